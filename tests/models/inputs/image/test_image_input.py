"""Images as an input."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from graft.models.inputs import KINDS, input_of_signature, make_input
from graft.models.inputs.base import Refused
from graft.models.inputs.image import AugmentOptions, Input, Options

SMALL = Input(Options(image_size=(16, 24), value_range=(-1.0, 1.0)))


def test_neither_kind_brings_tensorflow():
    code = "import sys; from graft.models import inputs; [inputs.KINDS.module(k).Input for k in inputs.KINDS]; "
    code += "assert not {'tensorflow', 'PIL', 'sklearn'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_prepared_images_have_the_shape_and_range_that_the_backbone_takes(png):
    prepared = SMALL.prepare([png((0, 0, 0)), png((255, 255, 255))])
    assert SMALL.spec.is_compatible_with(prepared[:1]) and prepared.shape == [2, 16, 24, 3]
    assert float(prepared[0].numpy().max()) == -1.0 and float(prepared[1].numpy().min()) == 1.0


def test_the_size_is_that_of_the_network_where_its_shape_tells():
    def size(*shape):
        return SMALL.fitting(tf.TensorSpec(shape, tf.float32)).options.image_size

    assert size(None, 8, 2048, 3) == (8, 2048)
    assert SMALL.fitting(tf.TensorSpec([None, 8, 8, 3])).options.value_range == (-1.0, 1.0)
    for other in ([None, None, 32, 3], [None, 7, 32, 3], [None, 8, 2049, 3], [None, 32]):
        assert size(*other) == (16, 24)
    assert SMALL.fitting(tf.TensorSpec(None)) == SMALL


def test_inputs_of_equal_settings_are_equal():
    assert make_input(Options(image_size=(16, 24), value_range=(-1.0, 1.0))) == SMALL
    assert len({SMALL, make_input(SMALL.options), Input(Options())}) == 2


def test_augmentation_is_that_of_the_settings(png):
    mirrored = Input(Options(image_size=(16, 16), value_range=(0, 1), augment=AugmentOptions(flip=True)))
    image = np.zeros((16, 16, 3), np.float32)
    image[:, :8] = 1.0
    seen = {float(mirrored.augment(image, [seed, 0])[0, 0, 0]) for seed in range(20)}
    assert mirrored.augments and not SMALL.augments and seen == {0.0, 1.0}


@pytest.mark.slow
def test_plain_rows_are_pixels_and_grey_ones_have_one_channel(png):
    colours = [png((255, 0, 0)), png((0, 0, 255))]
    rows = SMALL.plain({"train": colours, "test": colours[1:]}, "stage")
    assert rows["train"].shape == (2, 16 * 24 * 3) and rows["test"].shape == (1, 16 * 24 * 3)
    assert rows["train"][:, :3].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert rows["test"][:, :3].tolist() == [[0.0, 0.0, 1.0]]
    grey = SMALL.plain({"train": [png((9, 9, 9))], "test": []}, "stage")
    assert grey["train"].shape == (1, 16 * 24) and grey["test"].shape == (0, 16 * 24)


@pytest.mark.slow
def test_large_images_become_small_rows(png):
    rows = Input(Options(image_size=(224, 224))).plain({"train": [png((1, 2, 3), (100, 90))]}, "stage")
    assert rows["train"].shape == (1, 32 * 32 * 3)


def test_a_client_sends_what_the_model_reads(encode):
    assert SMALL.sendable(encode(1, "WEBP")).startswith(b"\x89PNG")
    assert SMALL.sendable(b"anything else") == b"anything else"
    with pytest.raises(Refused, match="WEBP cannot be decoded"):
        SMALL.sendable(encode(1, "WEBP")[:40])


def test_the_name_of_a_signatures_input_tells_the_kind():
    assert {kind: input_of_signature([KINDS.module(kind).Input.signature_name]).kind for kind in KINDS} == {
        kind: kind for kind in KINDS
    }
    assert input_of_signature(["x"]) is None and input_of_signature(["text", "image_bytes"]) is None
