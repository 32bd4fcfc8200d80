"""Bulk predictions of an exported model, through its own serving signature."""

import itertools
import pathlib
import time
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from graft.models.errors import GraftError
from graft.models.frozen import FrozenRunner


class SavedModelPredictor:
    """Runs `serving_default` of an export (see `models.export`) as a frozen graph; a context manager.

    Args:
        path: folder of the SavedModel.

    Attributes:
        classes: the class names, by index of the probability.
        images_per_second: rate of the last `predict`.

    Raises:
        GraftError: `path` is not an export of Graft.
    """

    def __init__(self, path: str | pathlib.Path):
        labels = pathlib.Path(path) / "assets.extra" / "labels.txt"
        if not labels.is_file():
            raise GraftError(f"{labels}: missing; only models exported by Graft name their classes there")
        self.classes = labels.read_bytes().decode().removesuffix("\n").split("\n")
        self._model = tf.saved_model.load(str(path))  # owns the variables
        self._runner = FrozenRunner(self._model.signatures["serving_default"])
        self.images_per_second = 0.0

    def predict(
        self, encoded: Iterable[bytes], batch_size: int = 8, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Probabilities float32 [n, k] of encoded images, in their order.

        Args:
            encoded: bytes of image files, read once.
            batch_size: images a call.
            progress: called with the number of images of each batch that is done.
        """
        start = time.perf_counter()
        images = iter(encoded)
        batches = iter(lambda: list(itertools.islice(images, batch_size)), [])
        feeds = ({"image_bytes": np.array(batch, dtype=object)} for batch in batches)
        parts = [result["probabilities"] for result in self._runner.map(feeds, progress)]
        probabilities = np.concatenate([np.zeros((0, len(self.classes)), np.float32), *parts])
        self.images_per_second = len(probabilities) / max(time.perf_counter() - start, 1e-9)
        return probabilities

    def close(self) -> None:
        """Frees the session."""
        self._runner.close()

    def __enter__(self) -> "SavedModelPredictor":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """int [n], the class with the largest of the probabilities or logits [n, k]; -1 where one is no finite number."""
    return np.where(np.isfinite(probabilities).all(axis=1), np.nan_to_num(probabilities).argmax(axis=1), -1)
