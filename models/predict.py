"""Bulk predictions of an exported model, through its own serving signature."""

import itertools
import pathlib
import time
from collections.abc import Callable, Iterable

import numpy as np

from graft.models.frozen import FrozenRunner
from graft.models.inputs import exported_input
from graft.models.loaded_export import take_export
from graft.models.targets import exported_target


class SavedModelPredictor:
    """Runs `serving_default` of an export (see `models.export`) as a frozen graph; a context manager.

    Args:
        path: folder of the SavedModel.

    Attributes:
        input: what it takes.
        target: what it answers.
        examples_per_second: rate of the last `predict`.

    Raises:
        GraftError: `path` is not an export of Graft.
    """

    def __init__(self, path: str | pathlib.Path):
        self.target = exported_target(path)
        self.input = exported_input(path)
        model = take_export(path)  # owns the variables
        self._runner = FrozenRunner(model.signatures["serving_default"])
        self.examples_per_second = 0.0

    def predict(
        self, contents: Iterable[bytes], batch_size: int = 8, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """The answers that are measured, float32 [n, ...], of contents in their order (`Target.answer_name`).

        Args:
            contents: as ingestion stored them, read once.
            batch_size: examples a call.
            progress: called with the number of examples of each batch that is done.
        """
        start = time.perf_counter()
        source = iter(contents)
        batches = iter(lambda: list(itertools.islice(source, batch_size)), [])
        feeds = ({self.input.signature_name: np.array(batch, dtype=object)} for batch in batches)
        parts = [result[self.target.answer_name] for result in self._runner.map(feeds, progress)]
        answers = np.concatenate([np.zeros((0, self.target.units), np.float32), *parts])
        self.examples_per_second = len(answers) / max(time.perf_counter() - start, 1e-9)
        return answers

    def close(self) -> None:
        """Frees the session."""
        self._runner.close()

    def __enter__(self) -> "SavedModelPredictor":
        return self

    def __exit__(self, *_) -> None:
        self.close()
