"""A version of a model store in this process: predictions without a server, the same that one would give."""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graft.models.errors import GraftError
from graft.models.inputs.base import Refused
from graft.serving import contents, manifest
from graft.serving.predictor import Answer, Prediction, PredictionError, Predictor, rows_of
from graft.serving.store import ModelStore, open_store

Content = str | pathlib.Path | bytes | np.ndarray
"""A file or a folder by its path, the bytes of a file, an array; a `str` is a text where the model takes texts."""


class LoadedModel(Predictor):
    """One version, loaded; may be shared by threads; a context manager.

    `graft.load` makes one. It runs on the server's engine, under its limits on what contents may announce.

    Args:
        address: where the version lies, for messages.
        model: its name.
        version: its number.
        folder: of the SavedModel.
        trusted: whether the model may do more than compute.

    Raises:
        GraftError: it cannot be loaded.
    """

    def __init__(self, address: str, model: str, version: int, folder: pathlib.Path, trusted: bool = False):
        super().__init__(address, model)
        # Imported here: with TensorFlow, which the client does without.
        from graft.serving.engine import Engine
        from graft.serving.status import ServingError

        self.version = version
        try:
            self._engine = Engine(folder, trusted=trusted)
        except ServingError as error:
            raise GraftError(f"{address}: {error.message}") from error

    def predict(self, what: Content | Iterable[Content]) -> list[Prediction]:
        """What the model says.

        Args:
            what: one content or several. A path of a folder stands for all files in it, at any depth, that are such
                contents by their names. An array is one content, uint8 [height, width, 3] for an image, or several,
                [n, height, width, 3]. An array of floats is what the signature for decoded contents takes
                (`Input.values`), one row or several.

        Returns:
            for each content its prediction, in order; those of a folder in the natural order of names.

        Raises:
            PredictionError: a content cannot be used; its message says which.
            GraftError: there is no such file.
        """
        given = [what] if isinstance(what, (str, pathlib.Path, bytes, np.ndarray)) else list(what)
        predictions: list[Prediction] = []
        for decoded, several in itertools.groupby(given, _of_floats):
            for one in self._of_values(several) if decoded else self._of_contents(several):
                predictions.append(dataclasses.replace(one, row=len(predictions)))
        return predictions

    def _of_contents(self, given: Iterable[Content]) -> Iterator[Prediction]:
        items = [item for one in given for item in self._items(one)]
        for item, outcome in zip(items, self.outcomes(_read(item) for item in items), strict=True):
            if isinstance(outcome, PredictionError):
                raise outcome.of_file(item) if isinstance(item, pathlib.Path) else outcome
            yield dataclasses.replace(outcome, file=item if isinstance(item, pathlib.Path) else None)

    def _of_values(self, given: Iterable[Any]) -> Iterator[Prediction]:
        """Of what somebody else has decoded, `max_batch` rows at a time."""
        values = self.takes.values
        signature = None if values is None else self._engine.signatures.get(values.signature)
        for array in given:
            if values is None or signature is None:
                raise PredictionError(f"received an array of {array.dtype}; allowed: uint8, values from 0 to 255")
            rank = len(signature.inputs[values.name].tensor_shape.dim)
            rows = np.asarray(array if array.ndim == rank else array[None], np.float32)
            for start in range(0, len(rows), self._max_batch):
                yield from rows_of(self._run(values.signature, {values.name: rows[start : start + self._max_batch]}))

    def _items(self, one: Content) -> Iterator[bytes | pathlib.Path]:
        if isinstance(one, str) and not self.takes.reads_paths:
            yield one.encode()
        elif isinstance(one, (str, pathlib.Path)):
            yield from contents.find([pathlib.Path(one)], lambda: self.takes)
        elif isinstance(one, bytes):
            yield one
        elif isinstance(one, np.ndarray):
            yield from self._packed(one)
        else:
            raise PredictionError(
                f"received {type(one).__name__}; allowed: the path of a file or folder, its bytes, an array of uint8"
            )

    def _packed(self, array: np.ndarray) -> Iterator[bytes]:
        if array.dtype != np.uint8:
            raise PredictionError(f"received an array of {array.dtype}; allowed: uint8, values from 0 to 255")
        several = array if array.ndim == 4 else array[None]
        try:
            pack = self.takes.packer(several.shape[1:])
        except Refused as error:
            raise PredictionError(f"the array {error}") from error
        for one in several:
            yield pack(one.tobytes())

    def _ask(self, inputs: Mapping[str, np.ndarray]) -> Answer:
        from graft.serving.engine import DEFAULT_SIGNATURE

        return self._run(DEFAULT_SIGNATURE, inputs)

    def _run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Answer:
        from graft.serving.data_plane import Run, run_within
        from graft.serving.status import ServingError

        try:
            return Answer(run_within(self._engine, Run(signature, inputs)))
        except ServingError as error:
            raise PredictionError(f"{self.address}: {error.message}", error.code) from error

    def _input_names(self) -> Sequence[str]:
        signature = self._engine.signatures.get("serving_default")
        return list(signature.inputs) if signature is not None else []

    def close(self) -> None:
        """Frees the model."""
        self._engine.close()

    def __enter__(self) -> "LoadedModel":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<model {self.model}, version {self.version}, of {self.address}>"


def load(
    store: "str | pathlib.Path | ModelStore", model: str | None = None, version: int | None = None, trust: bool = False
) -> LoadedModel:
    """Loads a version of a model for predictions in this process.

    Args:
        store: a folder, or `s3://BUCKET/PREFIX`.
        model: its name; may be left out if the store holds one only.
        version: its number; None: the one that is served.
        trust: whether the model may do more than compute.

    Raises:
        GraftError: there is no such version, its files are not as its manifest says, or it cannot be loaded.
    """
    opened = store if isinstance(store, ModelStore) else open_store(store)
    name = model or only_model(opened)
    number = version if version is not None else opened.served(name)
    if number is None:
        raise GraftError(f"{opened.address}: no model {name}; there are: {', '.join(opened.models()) or 'none'}")
    folder = opened.version_path(name, number)
    if faults := manifest.problems(folder):
        raise GraftError(f"{opened.address}: {name} version {number} is damaged: {faults[0]}")
    return LoadedModel(opened.version_address(name, number), name, number, folder, trust)


def only_model(store: ModelStore) -> str:
    """The model to ask for where none is named. Raises GraftError unless the store holds one only."""
    names = store.models()
    if len(names) != 1:
        held = f"{store.address} holds {len(names)} models ({', '.join(names)})"
        raise GraftError(f"{held}; say which one to ask, with --model on the command line")
    return names[0]


def _of_floats(one: Content) -> bool:
    return isinstance(one, np.ndarray) and one.dtype.kind == "f"


def _read(item: bytes | pathlib.Path) -> bytes | PredictionError:
    return item if isinstance(item, bytes) else next(contents.read([item]))
