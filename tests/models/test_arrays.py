"""Parts of arrays, arrays as one, and their batches."""

import numpy as np
import pytest

from graft.models.arrays import ArraySplit, Joined, Picked

ROWS = np.arange(24, dtype=np.float32).reshape(12, 2)


@pytest.mark.parametrize("rows", [slice(1, 4), slice(None), np.array([0, 2])])
def test_picked_rows_are_those_of_a_copy(tmp_path, rows):
    np.save(tmp_path / "rows.npy", ROWS)
    places = np.array([7, 1, 4, 11, 0])
    picked = Picked(np.load(tmp_path / "rows.npy", mmap_mode="r"), places)
    assert (len(picked), picked.shape, picked.ndim, picked.dtype) == (5, (5, 2), 2, np.float32)
    np.testing.assert_array_equal(picked[rows], ROWS[places][rows])


@pytest.mark.parametrize("rows", [slice(2, 9), slice(None), slice(0, 3), np.array([0, 4, 5, 10])])
def test_joined_arrays_are_those_of_a_copy(rows):
    joined = Joined(ROWS[:5], Picked(ROWS, np.arange(5, 12)))
    assert joined.shape == (12, 2)
    np.testing.assert_array_equal(joined[rows], ROWS[rows])


def test_chunks_hold_columns_that_belong_together():
    split = ArraySplit(ROWS, {"targets": np.arange(12), "weights": ROWS[:, 0] / 10}, 5)
    assert split.count == 12 and {name: spec.shape.rank for name, spec in split.spec.items()} == {
        "inputs": 2,
        "targets": 1,
        "weights": 1,
    }
    orders = []
    for chunks in split.shuffled(0, 2, seed=1):
        [chunk] = list(chunks)
        np.testing.assert_array_equal(chunk["inputs"], ROWS[chunk["targets"]])
        np.testing.assert_array_equal(chunk["weights"], chunk["inputs"][:, 0] / 10)
        orders.append(chunk["targets"].tolist())
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12)) and orders[0] != orders[1]
    [again] = list(split.shuffled(1, 2, seed=1))
    assert next(again)["targets"].tolist() == orders[1]


def test_large_features_come_in_chunks_of_whole_batches():
    wide = np.zeros((9, 2**22), np.float32)  # 16 MiB a row: four in a chunk
    split = ArraySplit(wide, {"targets": np.arange(9)}, 2)
    assert [len(chunk["targets"]) for chunk in split.ordered()] == [4, 4, 1]
