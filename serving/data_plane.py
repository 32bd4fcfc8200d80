"""The one way to a model: gRPC, REST and warm-up bring their inputs here."""

from collections.abc import Mapping, Sequence

import numpy as np

from graft.serving.engine import Engine
from graft.serving.limits import Limits
from graft.serving.pixels import announced_pixels
from graft.serving.status import invalid

DEFAULT_MAX_BATCH = 1024


class DataPlane:
    """Holds requests to what the server takes, then runs them.

    Args:
        max_batch: most strings in one input: an image of some bytes becomes some hundred thousand.
        max_pixels: most pixels that the images of one request may announce.
    """

    def __init__(self, max_batch: int = DEFAULT_MAX_BATCH, max_pixels: int = Limits.pixels):
        self._max_batch = max_batch
        self._max_pixels = max_pixels

    def predict(
        self,
        engine: Engine,
        signature_name: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs one signature; arguments and answer are those of `Engine.run`.

        Raises:
            ServingError: INVALID_ARGUMENT for more strings or pixels than allowed; else as `Engine.run`.
        """
        pixels = 0
        for alias, array in inputs.items():
            if array.dtype == object and array.size > self._max_batch:
                raise invalid(f"input {alias} has {array.size} strings; this server takes at most {self._max_batch}")
            if array.dtype == object and engine.decodes_images:
                pixels += announced_pixels(array)
        if pixels > self._max_pixels:
            raise invalid(
                f"the images of the request announce {pixels} pixels; this server takes at most {self._max_pixels}"
            )
        return engine.run(signature_name, inputs, outputs, timeout_s)
