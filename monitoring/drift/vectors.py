"""Feature vectors of a window, held against the reference's: made here, of logged inputs, by the version that answered.

So the server does nothing for it, the log holds nothing for it, and it works where the log is a client's beside
another server. A sample of the window is embedded, as many examples for a day of a million as for one of a thousand.
"""

import contextlib
import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from graft.models.errors import GraftError, one_line
from graft.models.signals.domain import FEWEST, SURE, told_apart
from graft.models.signals.vectors import projected
from graft.monitoring.drift import results
from graft.monitoring.drift.rows import contents_of
from graft.monitoring.drift.sample import Place
from graft.monitoring.drift.watched import Watched
from graft.monitoring.drift.windows import Window
from graft.monitoring.request_log.reader import read_again
from graft.monitoring.request_log.record import ForeignRecord

_BATCH = 8
_OUTPUT = "feature_vector"
_LEAST = 2 * FEWEST


class Unwatched(Exception):
    """Why a window's feature vectors are not compared, a line."""


class Embedder:
    """The signature `features` of a version in a store, until `close`.

    Args:
        store: address of the model store.
        model: its name.
        version: of the model.

    Raises:
        Unwatched: the version is gone, cannot be loaded, has no such signature, or does more than compute.
    """

    def __init__(self, store: str, model: str, version: int):
        from graft.models.saved_model_check import find_faults, summary
        from graft.serving.store import open_store

        try:
            path = open_store(store).version_path(model, version)
            if faults := find_faults(path):
                raise Unwatched(f"{path} {summary(faults)}: a monitor runs no such model")
        except GraftError as error:
            raise Unwatched(str(error)) from error
        import tensorflow as tf

        from graft.models.frozen import FrozenRunner

        try:
            loaded = tf.saved_model.load(str(path))
        except Exception as error:  # TensorFlow's loader raises whatever comes of a damaged file
            raise Unwatched(f"{path} cannot be read as a SavedModel: {one_line(error)}") from error
        if "features" not in loaded.signatures:
            raise Unwatched(f"{path} has no signature `features`: an older Graft or another program exported it")
        self._errors = tf.errors.OpError
        try:
            self._runner = FrozenRunner(loaded.signatures["features"])
        except GraftError as error:
            raise Unwatched(f"{path}: {error}") from error
        if len(self._runner.input_names) != 1 or _OUTPUT not in self._runner.output_names:
            self.close()
            raise Unwatched(f"{path}: its signature `features` does not make `{_OUTPUT}` of one input")

    def __call__(self, contents: Iterator[bytes]) -> np.ndarray:
        """Their feature vectors in the columns of a reference, float32 [n, k]; reads a few batches ahead.

        Raises:
            Unwatched: the model cannot take a content.
        """
        [name] = self._runner.input_names
        batches = iter(lambda: list(itertools.islice(contents, _BATCH)), [])
        feeds = ({name: np.array(batch, dtype=object)} for batch in batches)
        try:
            parts = [projected(found[_OUTPUT]) for found in self._runner.map(feeds)]
        except self._errors as error:
            raise Unwatched(f"the model fails on what was logged as answered: {one_line(error)}") from error
        return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)

    def close(self) -> None:
        """Frees the model."""
        self._runner.close()


class FeatureVectors:
    """Compares windows while a pass is under way; a context manager, which holds one model at a time.

    Args:
        store: address of the model store.
        model: its name.
    """

    def __init__(self, store: str, model: str):
        self._store, self._model = store, model
        self._open: tuple[int, Embedder] | None = None
        self._failed: dict[int, str] = {}

    def __enter__(self) -> "FeatureVectors":
        return self

    def __exit__(self, *_) -> None:
        self._close()

    def compared(self, window: Window, watched: Watched, files: Mapping[int, pathlib.Path]) -> results.Vectors:
        """How well a window's feature vectors are told from the reference's, or why they are not compared.

        Args:
            window: that is judged; its `sample` is read.
            watched: its version.
            files: of the log, by number.

        Raises:
            GraftError: the log cannot be read.
        """
        kept = watched.reference.vectors
        rows = 0
        try:
            if kept is None:
                raise Unwatched(f"the reference of version {watched.version} has none: an older Graft pushed it")
            if kept.rows < _LEAST:
                raise Unwatched(f"the reference of version {watched.version} has {kept.rows}; it takes {_LEAST}")
            if not window.sample:
                raise Unwatched(
                    "the log has no inputs of answered requests (left out, hashed or dropped), or an older Graft "
                    "counted them"
                )
            vectors = self._embedder(watched.version)(_contents(window.sample, watched, files))
            vectors = vectors[np.isfinite(vectors).all(axis=1)]
            rows = len(vectors)
            if rows < _LEAST:
                raise Unwatched(f"inputs of {rows} answered examples are in the log; it takes {_LEAST}")
            if vectors.shape[1] != kept.values.shape[1]:
                raise Unwatched(f"version {watched.version} in the store is not the one of the reference")
        except Unwatched as why:
            return results.Vectors(rows=rows, reference_rows=kept.rows if kept else 0, unwatched=str(why))
        found = told_apart(kept.values, vectors)
        auc = results.Mean(mean=found.auc, low=found.low, high=found.high, miss=1 - SURE, rows=found.rows)
        return results.Vectors(rows=rows, reference_rows=kept.rows, auc=auc, p_value=found.p_value)

    def _embedder(self, version: int) -> Embedder:
        if version in self._failed:
            raise Unwatched(self._failed[version])
        if self._open is None or self._open[0] != version:
            self._close()
            try:
                self._open = (version, Embedder(self._store, self._model, version))
            except Unwatched as why:
                self._failed[version] = str(why)
                raise
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        self._open = None


def _contents(sample: Sequence[Place], watched: Watched, files: Mapping[int, pathlib.Path]) -> Iterator[bytes]:
    """What the log still has of a sample, in its order."""
    for place in sample:
        record = read_again(files[place.file], place.offset) if place.file in files else None
        contents = None
        with contextlib.suppress(ForeignRecord):
            contents = contents_of(record, watched) if record is not None else None
        if contents is not None and place.row < len(contents):
            yield contents[place.row]
