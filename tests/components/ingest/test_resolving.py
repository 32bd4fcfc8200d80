"""Decisions between copies and inside groups."""

import hashlib

import pytest
from ingest_request import request

from graft.components.ingest import resolving
from graft.components.ingest.reasons import Reason
from graft.components.ingest.records import BUCKETS, Record, bucket_of, pack

REQUEST = request(source="csv", path="x")
FRACTIONS = REQUEST.data.split
TRAIN, TEST = b"\xee" * 32, b"\x01" * 32
"""Digests that go to these splits by themselves."""


def record(file, label="cat", named=None, group="", digest=TRAIN, chunk="chunk-000-000000", offset=0, length=0):
    return Record(digest, (label,), group, named, None, 5, chunk, offset, length, file)


def resolve(*copies, plan=None):
    return resolving.resolve(list(copies), plan or {}, FRACTIONS)


def test_copies_with_one_label_all_stay():
    copies = [record("a"), record("b"), record("c")]
    assert resolve(*copies) == (copies, "train", [])
    assert resolve(record("a", digest=TEST))[1] == "test"


def test_copies_with_two_labels_all_go():
    kept, _, refused = resolve(record("a"), record("b", "dog"), record("c", named="test"))
    assert kept == [] and len(refused) == 3
    assert {reason for _, reason, _ in refused} == {Reason.LABEL_CONFLICT}
    assert refused[0][2] == "same bytes under cat, dog: a as cat, b as dog, c as cat"


@pytest.mark.parametrize(
    ("names", "winner"),
    [(["train", "eval"], "eval"), (["train", "test", "train"], "test"), (["eval", "test", "train"], "test")],
)
def test_held_out_copy_stays(names, winner):
    copies = [record(str(i), named=name) for i, name in enumerate(names)]
    kept, split, refused = resolve(*copies, plan={TRAIN: winner})
    assert split == winner and [copy.named for copy in kept] == [winner] * names.count(winner)
    assert all(copy.named != winner and reason is Reason.SPLIT_CONFLICT for copy, reason, _ in refused)
    assert refused[0][2].startswith(f"in {refused[0][0].named}, and in {winner} as ")
    assert len(refused) + len(kept) == len(names)


def test_a_copy_without_a_name_follows_those_that_have_one():
    copies = [record("a", named="eval"), record("b")]
    assert resolve(*copies, plan={TRAIN: "eval"}) == (copies, "eval", [])


def test_training_image_of_a_held_out_group_goes_with_a_reason_that_names_the_group():
    one = record("a", named="train", group="p1")
    kept, _, refused = resolve(one, plan={one.unit: "test"})
    assert kept == [] and refused == [(one, Reason.SPLIT_CONFLICT, "in train, and its group 'p1' is in test")]


def test_one_image_in_two_groups_stays_in_the_held_out_one():
    one, two = record("a", group="p1"), record("b", group="p2")
    kept, split, refused = resolve(one, two, plan={one.unit: "train", two.unit: "eval"})
    assert (kept, split) == ([two], "eval")
    assert refused == [(one, Reason.SPLIT_CONFLICT, "in train, and in eval as b")]


def test_units_are_listed_without_images_that_will_be_refused():
    lists = [
        [record("a", digest=TRAIN), record("b", digest=TEST)],
        [record("c", "dog", digest=TEST), record("d", group="p1", named="eval")],
    ]
    found = [
        sighting for _, sightings in resolving.list_units((0, map(pack, lists)), REQUEST) for sighting in sightings
    ]
    assert sorted(found, key=str) == sorted(
        [(TRAIN, "cat", None), (hashlib.sha256(b"p1").digest(), "cat", "eval")], key=str
    )


def test_buckets_hold_neighbours():
    digests = sorted(hashlib.sha256(str(n).encode()).digest() for n in range(500))
    numbers = [bucket_of(digest) for digest in digests]
    assert numbers == sorted(numbers) and set(numbers) == set(range(BUCKETS))
