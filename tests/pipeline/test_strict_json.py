"""JSON that every reader takes."""

import pathlib

import numpy as np

from graft.pipeline.strict_json import to_json


def test_numbers_are_numbers_and_what_is_none_is_null():
    value = {
        "a": np.float32("nan"),
        "b": [float("inf"), np.int64(3)],
        "c": np.array([0.5, np.nan]),
        "d": pathlib.Path("x"),
    }
    assert to_json(value) == '{"a": null, "b": [null, 3], "c": [0.5, null], "d": "x"}'
