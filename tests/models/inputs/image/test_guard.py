"""Pixels that a request announces."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.example import example_pb2

from graft.models.inputs.base import Refused
from graft.models.inputs.guards import guards_for
from graft.models.inputs.image.guard import PixelGuard

announced_pixels = PixelGuard().cost


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
    with pytest.raises(Refused, match="JPEG of more than"):
        announced_pixels(strings(b"\xff\xd8" + b"\xff" * 100_000))


def test_which_graphs_are_guarded():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def pictures(encoded):
        return tf.map_fn(tf.io.decode_png, encoded, fn_output_signature=tf.uint8)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def texts(encoded):
        return tf.strings.length(encoded)

    [guard] = guards_for(pictures.get_concrete_function().graph.as_graph_def())
    assert (guard.things, guard.unit) == ("images", "pixels")
    assert guards_for(texts.get_concrete_function().graph.as_graph_def()) == ()
