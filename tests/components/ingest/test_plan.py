"""The plan: what names and small classes change of what the hash says, and nothing else."""

import itertools
import random

import pytest

from graft.components.ingest.options import SplitOptions
from graft.components.ingest.plan import make_plan, merge, take_census
from graft.components.ingest.splits import SPLITS, assign_split

HALF = SplitOptions(eval=0.15, test=0.15)


def unit(u: float, more: int = 0) -> bytes:
    """A unit whose hash, read as a fraction, is `u`: below 0.15 test, below 0.3 eval, else train."""
    return int(u * 2**64).to_bytes(8, "big") + more.to_bytes(24, "big")


def splits_of(sightings, fractions=HALF, parts: int = 1) -> dict[bytes, str]:
    """Unit -> split, with the census taken in so many parts."""
    whole = list(sightings)
    units = sorted({unit for unit, _, _ in whole})
    groups = [[s for s in whole if units.index(s[0]) % parts == part] for part in range(parts)]
    plan = make_plan(merge(take_census(group, fractions) for group in groups), fractions)
    by_hash = {u: assign_split(u, eval_fraction=fractions.eval, test_fraction=fractions.test) for u in units}
    return by_hash | {u: named for u, _, named in whole if named} | plan


def test_nothing_is_moved_where_every_split_has_every_class():
    sightings = [(unit(u, n), label, None) for n, label in enumerate("ab") for u in (0.1, 0.2, 0.5, 0.6)]
    assert make_plan(take_census(sightings, HALF), HALF) == {}


@pytest.mark.parametrize(
    ("hashes", "splits"),
    [
        ((0.4, 0.5, 0.6, 0.7), ("test", "eval", "train", "train")),
        ((0.2, 0.5, 0.6), ("eval", "test", "train")),
        ((0.01, 0.02, 0.03), ("train", "eval", "test")),
        ((0.2, 0.21), ("train", "test")),
        ((0.2, 0.5), ("test", "train")),
        ((0.1, 0.2), ("train", "test")),
        ((0.1,), ("train",)),
        ((0.5, 0.6), ("test", "train")),
    ],
)
def test_small_class(hashes, splits):
    enough = [(unit(u, 9), "other", None) for u in (0.1, 0.2, 0.5)]
    found = splits_of([*enough, *((unit(u), "small", None) for u in hashes)])
    assert tuple(found[unit(u)] for u in hashes) == splits
    assert [found[u] for u, _, _ in enough] == ["test", "eval", "train"]


def test_every_class_of_three_units_or_more_is_in_every_split():
    rng = random.Random(0)
    for trial in range(200):
        units = [unit(rng.random(), n) for n in range(rng.randint(3, 12))]
        found = splits_of((u, "cat", None) for u in units)
        assert set(found.values()) == set(SPLITS), trial


def test_the_answer_depends_neither_on_order_nor_on_how_the_units_are_shared_out():
    rng = random.Random(1)
    sightings = [(unit(0.3 + 0.7 * rng.random(), n), rng.choice("abcd"), None) for n in range(40)]
    sightings += [(u, "e", name) for u, _, _ in sightings[:6] for name in ("train", "test")]
    first = splits_of(sightings)
    for parts in (2, 7, 32):
        rng.shuffle(sightings)
        assert splits_of(sightings, parts=parts) == first


def test_more_units_than_are_kept_give_the_lowest():
    units = [unit(0.3 + n / 2000, n) for n in range(1000)]
    found = splits_of([(u, "cat", None) for u in reversed(units)], parts=5)
    assert [found[u] for u in units[:3]] == ["test", "eval", "train"] and list(found.values()).count("train") == 998


def test_names_that_disagree_go_to_the_held_out_split_and_carry_the_nameless_along():
    a, b, c = unit(0.5), unit(0.6), unit(0.7)
    sightings = [(a, "x", "train"), (a, "x", "test"), (b, "x", None), (b, "x", "eval"), (c, "x", "train")]
    assert take_census(sightings, HALF).settled == {a: "test", b: "eval"}
    assert splits_of(sightings) == {a: "test", b: "eval", c: "train"}


def test_what_a_name_holds_is_not_moved():
    named = [(unit(0.5, n), "cat", split) for n, split in enumerate(["train"] * 5 + ["test"])]
    assert make_plan(take_census(named, HALF), HALF) == {}
    free = [(unit(0.4), "cat", None), (unit(0.45), "cat", None)]
    plan = make_plan(take_census(named + free, HALF), HALF)
    assert plan == {unit(0.4): "eval"}


def test_a_split_without_a_fraction_is_left_alone():
    fractions = SplitOptions(eval=0.15, test=0.0)
    found = splits_of([(unit(u), "cat", None) for u in (0.4, 0.5, 0.6)], fractions)
    assert sorted(found.values()) == ["eval", "train", "train"]


def test_groups_move_whole_and_take_no_other_class_its_last_unit():
    def group(u: float, labels: str):
        return [(unit(u), label, None) for label in labels]

    # Every class is with others; b is in test only with the group that also holds a.
    sightings = [*group(0.1, "b"), *group(0.2, "bc"), *group(0.4, "ab"), *group(0.5, "ac"), *group(0.6, "abc")]
    sightings += [*group(0.7, "c"), *group(0.8, "a")]
    found = splits_of(sightings)
    present = {(label, found[u]) for u, label, _ in sightings}
    assert present == set(itertools.product("abc", SPLITS))
    alone = [*group(0.4, "ab"), *group(0.5, "a"), *group(0.6, "a"), *group(0.1, "b"), *group(0.2, "b")]
    assert splits_of(alone)[unit(0.4)] == "train"  # it is the only one of b there


def test_what_is_only_held_out_is_learned_first():
    found = splits_of([(unit(0.1), "rare", None), *((unit(u, 1), "cat", None) for u in (0.1, 0.2, 0.5))])
    assert found[unit(0.1)] == "train"
