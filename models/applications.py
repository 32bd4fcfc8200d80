"""Networks of `keras.applications` by name, without their classifiers and with their preprocessing inside."""

import contextlib
import os
import pathlib
import random
import socket
import sys
import urllib.parse
from collections.abc import Iterator

import keras
from keras.src.backend import config as keras_config  # `keras.config` does not say where the weights lie

from graft.models import application_inputs
from graft.models.application_inputs import PREFIX, is_application, near_names
from graft.models.download import ANSWER_S
from graft.models.errors import GraftError, one_line
from graft.models.inputs import base, image
from graft.models.private_folder import require_private

# The caffe and torch normalisations differ by channel, so the backbone applies them itself, behind a plain range.
_CAFFE = {"ResNet50", "ResNet101", "ResNet152", "VGG16", "VGG19"}
_TORCH = {"DenseNet121", "DenseNet169", "DenseNet201"}
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_VARIANCE = (0.229**2, 0.224**2, 0.225**2)
_CAFFE_MEAN_BLUE_GREEN_RED = (103.939, 116.779, 123.68)
_WEIGHTS = ("imagenet", "none")

__all__ = ["build_application", "is_application", "near_names"]


@keras.saving.register_keras_serializable("graft")
class ReverseChannels(keras.layers.Layer):
    """RGB to BGR, the channel order of networks that came from Caffe."""

    def call(self, inputs):
        return inputs[..., ::-1]


def build_application(handle: str, input: base.Input) -> keras.Model:
    """Builds a network of `keras.applications` without its classifier, with its own preprocessing inside.

    Args:
        handle: `[applications:]NAME[?weights=imagenet|none]`; "none" means random weights, the same each time.
        input: images, whose value range must be the one that the network was trained on.

    Returns:
        A functional model from images `[n, height, width, 3]` to the map before the classifier.

    Raises:
        GraftError: for an unknown name or option, an input that is not images, another value range than the network's,
            an image size that it refuses, a cache that others may write to, or weights that cannot be downloaded.
    """
    name, _, query = handle.removeprefix(PREFIX).partition("?")
    expected = application_inputs.value_range(handle)
    if expected is None:
        near = near_names(handle)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise GraftError(f"backbone {handle!r}: keras.applications has no network {name!r} with a known range{hint}")
    options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    weights = options.pop("weights", "imagenet")
    if options or weights not in _WEIGHTS:
        raise GraftError(f"backbone {handle!r}: the one option is weights={'|'.join(_WEIGHTS)}; received {query!r}")
    if not isinstance(input, image.Input):
        raise GraftError(
            f"backbone {handle!r} is a network of keras.applications, which take images; input.kind is {input.kind}"
        )
    image_size, value_range = input.image_size, input.value_range
    if weights == "imagenet":
        _require_private_cache()
    if tuple(value_range) != expected:
        raise GraftError(
            f"backbone {handle!r} takes pixels from {expected[0]:g} to {expected[1]:g}; "
            f"input.value_range is {list(value_range)}"
        )
    images = keras.Input((*image_size, 3), name="images")
    # Keras draws the seeds of weights from `random`: without weights each stage of a run builds the same network.
    state = random.getstate()
    random.seed(0)
    try:
        # Keras reports a download on stdout, which belongs to the command's own output.
        with contextlib.redirect_stdout(sys.stderr), _answers_in_time():
            network = getattr(keras.applications, name)(
                include_top=False,
                weights=None if weights == "none" else weights,
                input_tensor=_normalise(name, images),
                input_shape=(*image_size, 3),
            )
    except ValueError as error:
        raise GraftError(
            f"backbone {handle!r} refuses input.image_size {list(image_size)}: {one_line(error, None)}"
        ) from error
    # keras.utils.get_file raises bare Exception when a download fails.
    except Exception as error:
        raise GraftError(
            f"backbone {handle!r}: its ImageNet weights cannot be downloaded: {error}. Connect to the network once to "
            "fill the Keras cache, or use a SavedModel or .keras file"
        ) from error
    finally:
        random.setstate(state)
    return keras.Model(images, network.output, name=name.lower())


def _require_private_cache() -> None:
    """Keras keeps weights in its home, or in /tmp/.keras where it cannot, and gives no checksum for some networks."""
    home = pathlib.Path(keras_config.keras_home()).expanduser()
    home = home if os.access(home, os.W_OK) else pathlib.Path("/tmp/.keras")  # as keras.utils.get_file does
    for folder in (home, home / "models"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(folder, "name another folder as KERAS_HOME")


@contextlib.contextmanager
def _answers_in_time() -> Iterator[None]:
    """Keras downloads with urllib, which waits for ever unless every socket is told otherwise."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(ANSWER_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _normalise(name: str, images: keras.KerasTensor) -> keras.KerasTensor:
    if name in _CAFFE:
        reversed_channels = ReverseChannels(name="blue_green_red")(images)
        mean = _CAFFE_MEAN_BLUE_GREEN_RED
        return keras.layers.Normalization(mean=mean, variance=(1.0, 1.0, 1.0), name="caffe_mean")(reversed_channels)
    if name in _TORCH:
        return keras.layers.Normalization(mean=_IMAGENET_MEAN, variance=_IMAGENET_VARIANCE, name="imagenet")(images)
    return images
