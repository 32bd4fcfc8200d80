"""Splits by content and by name."""

import hashlib

import pytest

from graft.components.ingest.splits import SPLITS, assign_split, parse_split


def test_fractions():
    digests = [hashlib.sha256(str(i).encode()).digest() for i in range(20_000)]
    splits = [assign_split(digest, eval_fraction=0.2, test_fraction=0.1) for digest in digests]
    assert abs(splits.count("test") - 2000) < 150
    assert abs(splits.count("eval") - 4000) < 200
    assert splits.count("train") == 20_000 - splits.count("test") - splits.count("eval")


def test_edges_of_the_fractions():
    lowest, highest = bytes(32), b"\xff" * 32
    assert assign_split(lowest, eval_fraction=0.1, test_fraction=0.1) == "test"
    assert assign_split(lowest, eval_fraction=0.1, test_fraction=0.0) == "eval"
    assert assign_split(lowest, eval_fraction=0.0, test_fraction=0.0) == "train"
    assert assign_split(highest, eval_fraction=0.5, test_fraction=0.4) == "train"


def test_a_larger_test_split_keeps_the_images_of_the_smaller():
    digests = [hashlib.sha256(str(i).encode()).digest() for i in range(1000)]
    small, large = (
        {d for d in digests if assign_split(d, eval_fraction=0.1, test_fraction=fraction) == "test"}
        for fraction in (0.1, 0.2)
    )
    assert small < large


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training ", "train"),
        ("VAL", "eval"),
        ("validation", "eval"),
        ("test", "test"),
        ("cat", None),
    ],
)
def test_names(name, split):
    assert parse_split(name) == split
    assert split is None or split in SPLITS
