"""Bulk predictions of an exported model, through its own serving signature."""

import itertools
import pathlib
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from graft.models.frozen import FrozenRunner
from graft.models.inputs import exported_input
from graft.models.loaded_export import take_export
from graft.models.targets import exported_target

_VECTORS = "feature_vector"


class SavedModelPredictor:
    """Runs `serving_default` of an export (see `models.export`) as a frozen graph; a context manager.

    Args:
        path: folder of the SavedModel.
        embeds: whether feature vectors are asked for as well.

    Attributes:
        input: what it takes.
        target: what it answers.
        embeds: whether `predict` gives feature vectors too, which cost nothing: the head takes them.
        examples_per_second: rate of the last `predict`.

    Raises:
        GraftError: `path` is not an export of Graft.
    """

    def __init__(self, path: str | pathlib.Path, embeds: bool = False):
        self.target = exported_target(path)
        self.input = exported_input(path)
        model = take_export(path)  # owns the variables
        self.embeds = embeds and hasattr(model, "prepare")
        function = self._embedding(model) if self.embeds else model.signatures["serving_default"]
        self._runner = FrozenRunner(function)
        self.examples_per_second = 0.0

    def _embedding(self, model: Any) -> Any:
        """`serving_default` and `features` in one: both are made of the export's functions."""
        import tensorflow as tf

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, self.input.signature_name)], autograph=False)
        def both(contents: tf.Tensor) -> dict[str, tf.Tensor]:
            vectors, outputs = model.network(model.prepare(contents))
            return {self.target.answer_name: self.target.answer(outputs)[self.target.answer_name], _VECTORS: vectors}

        return both.get_concrete_function()

    def predict(
        self,
        contents: Iterable[bytes],
        batch_size: int = 8,
        progress: Callable[[int], None] | None = None,
        embedded: Callable[[np.ndarray], None] | None = None,
    ) -> np.ndarray:
        """The answers that are measured, float32 [n, ...], of contents in their order (`Target.answer_name`).

        Args:
            contents: as ingestion stored them, read once.
            batch_size: examples a call.
            progress: called with the number of examples of each batch that is done.
            embedded: called with the feature vectors of each batch, float32 [b, d], in their order, if it `embeds`.
        """
        start = time.perf_counter()
        source = iter(contents)
        batches = iter(lambda: list(itertools.islice(source, batch_size)), [])
        feeds = ({self.input.signature_name: np.array(batch, dtype=object)} for batch in batches)
        parts = []
        for result in self._runner.map(feeds, progress):
            parts.append(result[self.target.answer_name])
            if embedded is not None and self.embeds:
                embedded(result[_VECTORS])
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
