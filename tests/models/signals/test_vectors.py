"""Feature vectors are kept in few columns that keep distances, the same everywhere."""

import hashlib

import numpy as np
import pytest

from graft.models.signals.vectors import COLUMNS, ROWS, Vectors, projected


def test_few_columns_stay_as_they_are():
    rows = np.random.default_rng(0).normal(size=(5, COLUMNS)).astype(np.float32)
    assert projected(rows) is rows
    kept = Vectors.of(rows)
    assert (kept.width, kept.rows) == (COLUMNS, 5) and (kept.values == rows).all()


def test_many_keep_their_distances():
    rows = np.random.default_rng(0).normal(size=(40, 1500)).astype(np.float32)
    few = projected(rows)
    assert few.shape == (40, COLUMNS)
    before = np.linalg.norm(rows[:, None] - rows, axis=2)[np.triu_indices(40, 1)]
    after = np.linalg.norm(few[:, None] - few, axis=2)[np.triu_indices(40, 1)] * np.sqrt(1500 / COLUMNS)
    assert np.abs(after / before - 1).max() < 0.5 and np.mean(after / before) == pytest.approx(1, abs=0.1)


def test_the_projection_never_changes():
    signs = np.sign(projected(np.eye(200, dtype=np.float32)))
    assert hashlib.sha256(signs.astype(np.int8).tobytes()).hexdigest()[:16] == "8bd25911260aa7b7"


def test_it_has_a_largest_size_and_finite_numbers_only():
    rows = np.ones((ROWS + 9, 900), np.float32)
    rows[3, 5] = np.nan
    kept = Vectors.of(rows)
    assert kept.rows == ROWS - 1 and len(kept.data) < 2**17 and Vectors.from_json(kept.to_json()) == kept
    assert Vectors.of(np.full((2, 3), np.inf)).values.shape == (0, 3)


@pytest.mark.parametrize(("rows", "data"), [(2, b""), (-1, b""), (1, b"12")])
def test_parts_that_do_not_fit_are_refused(rows, data):
    with pytest.raises(ValueError, match=f"vectors are not {rows} rows of 3 columns"):
        Vectors(3, rows, data)
