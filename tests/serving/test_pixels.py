"""Pixels that a request announces."""

import numpy as np
import pytest
from tensorflow.core.example import example_pb2

from graft.serving.engine import Engine
from graft.serving.pixels import announced_pixels
from graft.serving.status import ServingError


def strings(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def example(**features):
    made = example_pb2.Example()
    for name, values in features.items():
        made.features.feature[name].bytes_list.value.extend(values)
    return made.SerializeToString()


def test_images_count_by_their_headers(png):
    assert announced_pixels(strings(png((0, 0, 0), (30, 20)), png((0, 0, 0), (8, 8)))) == 664
    assert announced_pixels(strings(png((0, 0, 0), (3, 2))).reshape(1, 1)) == 6
    assert announced_pixels(strings()) == 0


def test_a_header_is_believed_before_anything_is_decoded(png):
    bomb = bytearray(png((0, 0, 0)))
    bomb[16:24] = (50_000).to_bytes(4) * 2
    assert announced_pixels(strings(bytes(bomb))) == 2_500_000_000


def test_images_inside_of_examples_count_too(png):
    inside = example(image=[png((0, 0, 0), (30, 20))] * 2, label=[b"a"])
    assert announced_pixels(strings(inside, example(), b"\x0a\xff")) == 1200


def test_what_is_no_image_counts_for_nothing(png):
    assert announced_pixels(strings(b"", b"text", png((0, 0, 0))[:20], b"BM", b"\xff\xd8\xff\xd9")) == 0


def test_an_image_built_to_be_costly_is_refused():
    with pytest.raises(ServingError, match="JPEG of more than"):
        announced_pixels(strings(b"\xff\xd8" + b"\xff" * 100_000))


def test_which_models_decode_images(models):
    for name, expected in (("images", True), ("half_plus_two", False), ("zoo", False)):
        engine = Engine(models[name])
        assert engine.decodes_images is expected, name
        engine.close()
