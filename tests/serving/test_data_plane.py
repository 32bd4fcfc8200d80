"""What a request may hold, whoever brings it."""

import numpy as np
import pytest

from graft.serving.data_plane import DataPlane
from graft.serving.status import ServingError


class Echo:
    """An engine that answers what it was asked."""

    def __init__(self, decodes_images=False):
        self.decodes_images = decodes_images

    def run(self, *arguments):
        return arguments


def test_a_sound_request_reaches_the_engine_as_it_is():
    inputs = {"image_bytes": np.array([b"1", b"2"], dtype=object), "size": np.zeros(50)}
    assert DataPlane(max_batch=2).predict(Echo(), "s", inputs, ["y"], 3.0) == ("s", inputs, ["y"], 3.0)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)])
def test_too_many_strings_are_refused(shape):
    inputs = {"size": np.zeros(50), "image_bytes": np.full(shape, b"1", dtype=object)}
    with pytest.raises(ServingError, match="input image_bytes has 3 strings; this server takes at most 2"):
        DataPlane(max_batch=2).predict(Echo(), "s", inputs)


def test_pixels_are_counted_over_all_images_of_a_request(png):
    images = np.array([png((0, 0, 0), (10, 10))] * 3, dtype=object)
    plane = DataPlane(max_pixels=500)
    assert plane.predict(Echo(True), "s", {"a": images, "b": images[:2]})
    with pytest.raises(ServingError, match="announce 600 pixels; this server takes at most 500"):
        plane.predict(Echo(True), "s", {"a": images, "b": images})
    assert plane.predict(Echo(False), "s", {"a": images, "b": images}), "a model of texts has no pixels"
