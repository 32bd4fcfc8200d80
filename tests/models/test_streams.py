"""Several streams side by side: what an epoch is, and that every epoch is a function of seed and epoch."""

import itertools

import numpy as np
import pytest

from graft.models import streams
from graft.models.arrays import ArraySplit


class Numbers:
    """The numbers from `first`, in batches, as a stream that reads inputs gives them."""

    def __init__(self, count: int, first: int = 0, batch: int = 4):
        self._split = ArraySplit(np.arange(first, first + count, dtype=np.float32)[:, None], {}, batch)
        self.count, self.spec, self._batch = count, self._split.spec, batch

    def _cut(self, chunks):
        for chunk in chunks:
            rows = chunk["inputs"]
            yield from ({"inputs": rows[i : i + self._batch]} for i in range(0, len(rows), self._batch))

    def ordered(self):
        return self._cut(self._split.ordered())

    def shuffled(self, first_epoch, last_epoch, seed):
        return map(self._cut, self._split.shuffled(first_epoch, last_epoch, seed))


def drawn(chunks) -> dict[str, list[int]]:
    """What each stream gave, over all chunks."""
    found: dict[str, list[int]] = {}
    for chunk in chunks:
        sizes = {len(batch["inputs"]) for batch in chunk.values()}
        assert len(sizes) == 1, "every stream gives as many as the main one"
        for name, batch in chunk.items():
            found.setdefault(name, []).extend(np.asarray(batch["inputs"])[:, 0].astype(int).tolist())
    return found


def pair(main: int, other: int, chunked: bool):
    if chunked:
        return {"main": Numbers(main), "other": Numbers(other, 100)}
    arrays = (np.arange(first, first + n, dtype=np.float32)[:, None] for n, first in ((main, 0), (other, 100)))
    return {name: ArraySplit(array, {}, 4) for name, array in zip(("main", "other"), arrays, strict=True)}


@pytest.mark.parametrize("chunked", [True, False], ids=["batches", "large chunks"])
@pytest.mark.parametrize(("main", "other"), [(10, 3), (10, 25), (8, 8), (5, 1)])
def test_the_main_stream_sets_the_epoch_and_the_others_go_round(main, other, chunked):
    epochs = [drawn(chunks) for chunks in streams.shuffled(pair(main, other, chunked), 0, 5, seed=3)]
    assert all(sorted(epoch["main"]) == list(range(main)) for epoch in epochs)
    taken = list(itertools.chain(*(epoch["other"] for epoch in epochs)))
    assert len(taken) == 5 * main
    rounds = [taken[i : i + other] for i in range(0, len(taken), other)]
    whole = [one for one in rounds if len(one) == other]
    assert all(sorted(one) == list(range(100, 100 + other)) for one in whole)
    if other > 3 and len(whole) > 1:
        assert whole[0] != whole[1], "each round has an order of its own"
    assert epochs[0]["main"] != epochs[1]["main"]


@pytest.mark.parametrize("chunked", [True, False], ids=["batches", "large chunks"])
@pytest.mark.parametrize(("main", "other"), [(10, 3), (10, 25), (8, 8)])
def test_a_later_start_sees_what_an_uninterrupted_run_sees(main, other, chunked):
    whole = [drawn(chunks) for chunks in streams.shuffled(pair(main, other, chunked), 0, 5, seed=3)]
    for first in range(1, 5):
        later = [drawn(chunks) for chunks in streams.shuffled(pair(main, other, chunked), first, 5, seed=3)]
        assert later == whole[first:]


def test_streams_of_the_same_data_are_shuffled_each_in_its_own_way():
    data = Numbers(16)
    [epoch] = [drawn(chunks) for chunks in streams.shuffled({"one": data, "two": data}, 0, 1, seed=0)]
    assert sorted(epoch["one"]) == sorted(epoch["two"]) and epoch["one"] != epoch["two"]


def test_in_order_the_others_begin_again():
    found = drawn(streams.ordered({"main": Numbers(6), "other": Numbers(4, 100)}))
    assert found == {"main": [0, 1, 2, 3, 4, 5], "other": [100, 101, 102, 103, 100, 101]}
