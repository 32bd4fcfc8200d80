"""What a request may hold, whoever brings it."""

import numpy as np
import pytest

from serving.data_plane import DataPlane
from serving.status import ServingError


class Echo:
    """An engine that answers what it was asked."""

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
