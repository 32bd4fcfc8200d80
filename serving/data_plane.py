"""The one way to a model: gRPC, REST and warm-up bring their inputs here."""

from collections.abc import Mapping, Sequence

import numpy as np

from serving.engine import Engine
from serving.status import invalid

DEFAULT_MAX_BATCH = 1024


class DataPlane:
    """Holds requests to what the server takes, then runs them.

    Args:
        max_batch: most strings in one input: an image of some bytes becomes some hundred thousand.
    """

    def __init__(self, max_batch: int = DEFAULT_MAX_BATCH):
        self._max_batch = max_batch

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
            ServingError: INVALID_ARGUMENT for more strings than allowed; else as `Engine.run`.
        """
        for alias, array in inputs.items():
            if array.dtype == object and array.size > self._max_batch:
                raise invalid(f"input {alias} has {array.size} strings; this server takes at most {self._max_batch}")
        return engine.run(signature_name, inputs, outputs, timeout_s)
