"""The example that is written."""

import pytest
import tensorflow as tf
from ingest_request import request

from graft.components.ingest import transforms
from graft.components.ingest.sources.base import About, Item

FACTS = {"width": 3, "height": 4, "format": "PNG", "_pixels": 12}


def feature(about: About, file: str = "a.png") -> dict:
    """The features of the example that is made, as lists."""
    item = Item(file, about, b"as it came")
    made = transforms.make_example(item, b"bytes", FACTS, b"\x01" * 32, request(source="csv", path="x"))
    features = tf.train.Example.FromString(made).features.feature
    return {name: list(getattr(one, one.WhichOneof("kind")).value) for name, one in features.items()}


def test_example():
    found = feature(About(("caf\\xe9",), columns={"site": "north \u732b", "none": ""}), "a b\n.png")
    assert found == {
        **{"input": [b"bytes"], "label": [b"caf\\xe9"], "file": [b"a b\n.png"], "sha256": [b"01" * 32]},
        **{"width": [3], "height": [4], "format": [b"PNG"], "site": ["north \u732b".encode()], "none": [b""]},
    }


@pytest.mark.parametrize("group", ["p 1", ""])
def test_group_is_a_feature_where_a_column_is_named(group):
    assert feature(About(("cat",), group=group))["group"] == [group.encode()]


def test_domain_and_weight_are_features_where_there_are_any():
    found = feature(About((0.5, -1.0), domain="source", weight=2.5))
    assert (found["domain"], found["weight"], found["label"]) == ([b"source"], [2.5], [0.5, -1.0])
    assert not {"domain", "weight", "group"} & set(feature(About(("cat",))))
