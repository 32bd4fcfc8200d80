"""Asks a model about contents as they lie in files, whichever way leads to it: a server, or an engine in this process.

Does not import TensorFlow.
"""

import abc
import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import grpc
import numpy as np

from graft.models.errors import GraftError
from graft.models.inputs import input_names, input_of_signature
from graft.models.inputs.base import Input, Refused


class PredictionError(GraftError):
    """A model could not be asked, or did not answer.

    Attributes:
        code: the gRPC status code, None if the fault is in the request or the answer itself.
        place: index of the content that was refused, None if it is not about one.
        request_id: id of the request that failed, None if there was none.
        file: the file that the message begins with, None if it names none.
    """

    def __init__(
        self,
        message: str,
        code: grpc.StatusCode | None = None,
        place: int | None = None,
        request_id: str | None = None,
        file: pathlib.Path | None = None,
    ):
        super().__init__(message)
        self.code = code
        self.place = place
        self.request_id = request_id
        self.file = file

    def of_file(self, path: pathlib.Path) -> Self:
        """The same about a content that came from a file, whose path stands in front; itself where it names one."""
        if self.file is not None:
            return self
        return type(self)(f"{path}: {self}", self.code, self.place, self.request_id, path)


class Answer(dict[str, np.ndarray]):
    """An array by output name; strings are object arrays of bytes.

    Attributes:
        request_id: id of the request, empty where no server was asked.
    """

    def __init__(self, outputs: Mapping[str, np.ndarray], request_id: str = ""):
        super().__init__(outputs)
        self.request_id = request_id


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer to one content.

    Attributes:
        outputs: value by output name, JSON types. Where the model names what the places of its outputs stand for (by an
            output of texts as long as they are, such as `classes`), a value is a mapping by those names.
        request_id: id of the request that asked about it; a label that comes later is joined by it. Empty where no
            server was asked.
        row: its place in that request, from 0.
        file: where the content came from a file, which.
    """

    outputs: dict[str, Any]
    request_id: str
    row: int
    file: pathlib.Path | None = None

    def __getattr__(self, name: str) -> Any:
        """An output of that name: `prediction.label`."""
        try:
            return self.__dict__["outputs"][name]
        except KeyError:
            raise AttributeError(
                f"the model answers {', '.join(sorted(self.__dict__.get('outputs', ())))}, not {name}"
            ) from None


class Predictor(abc.ABC):
    """Knows what a model takes, and cuts contents into requests.

    Args:
        address: where the model is, for messages.
        model: its name.
        takes: what it takes; None: it is told by its signature.
        max_batch: most contents in one request.
        max_bytes: most bytes of the contents of one request; None: as many as they are.
        max_cost: most units that the contents of one request may announce; None: what Graft's server takes.
    """

    error: ClassVar[type[PredictionError]] = PredictionError

    def __init__(
        self,
        address: str,
        model: str,
        *,
        takes: Input | None = None,
        max_batch: int = 64,
        max_bytes: int | None = None,
        max_cost: int | None = None,
    ):
        self.address, self.model = address, model
        self._takes = takes
        self._max_batch, self._max_bytes, self._max_cost = max_batch, max_bytes, max_cost

    @abc.abstractmethod
    def _ask(self, inputs: Mapping[str, np.ndarray]) -> Answer:
        """Runs the default signature.

        Raises:
            PredictionError: it cannot be run; with the code INVALID_ARGUMENT where the contents are to blame.
        """

    @abc.abstractmethod
    def _input_names(self) -> Iterable[str]:
        """Of the default signature. Raises PredictionError."""

    @property
    def takes(self) -> Input:
        """What the default signature takes. Raises PredictionError where it takes no content of a file."""
        if self._takes is None:
            names = list(self._input_names())
            self._takes = input_of_signature(names)
            if self._takes is None:
                known = ", ".join(input_names())
                raise self.error(
                    f"{self.address}: model {self.model} takes {', '.join(names) or 'nothing'}; contents can be sent "
                    f"to a model with one input, called {known}"
                )
        return self._takes

    def predict_contents(self, contents: Sequence[bytes]) -> list[Prediction]:
        """Asks the model's default signature about contents as they lie in files, in order.

        What the model takes is told by the name of the signature's input. A content that a model could not read but
        ingestion takes, for instance a WebP image, is sent in the form that ingestion gives it.

        Raises:
            PredictionError: a content is too large for one message or cannot be used (`place` says which), the model
                takes something else, or a call failed.
        """
        return [prediction for answer in map(_sound, self._answers(contents)) for prediction in rows_of(answer)]

    def predict_arrays(self, contents: Sequence[bytes]) -> dict[str, np.ndarray]:
        """The same answers as arrays by output name, a row for each content; empty without contents."""
        parts = [_sound(answer) for answer in self._answers(contents)]
        return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}

    def outcomes(self, contents: Iterable[bytes | PredictionError]) -> Iterator[Prediction | PredictionError]:
        """For one content after the other what the model says, or why that one cannot be used; the others go on.

        Args:
            contents: taken as they are needed, so an iterator may read files; an error stands for one that it cannot.

        Raises:
            PredictionError: nobody can be asked at all.
        """
        for answer in self._answers(contents):
            if isinstance(answer, PredictionError):
                yield answer
            else:
                yield from rows_of(answer)

    def _answers(self, contents: Iterable[bytes | PredictionError]) -> Iterator[Answer | PredictionError]:
        """The outputs of one request after the other; an error stands for one content."""
        place = 0
        for chunk in self._chunks(contents):
            if isinstance(chunk, PredictionError):
                yield chunk
                place += 1
                continue
            try:
                whole = self._ask(self._fed(chunk))
            except PredictionError as error:
                if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
                    raise
                # A batch is refused as a whole: one by one the bad content shows.
                for at, content in enumerate(chunk, place):
                    yield self._ask_one(content, at)
            else:
                yield whole
            place += len(chunk)

    def _ask_one(self, content: bytes, place: int) -> Answer | PredictionError:
        try:
            return self._ask(self._fed([content]))
        except PredictionError as error:
            if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            return self.error(f"{self.takes.one} {place}: {error}", error.code, place, error.request_id)

    def _fed(self, chunk: Sequence[bytes]) -> dict[str, np.ndarray]:
        array = np.empty(len(chunk), np.object_)
        array[:] = chunk
        return {self.takes.signature_name: array}

    def _chunks(self, contents: Iterable[bytes | PredictionError]) -> Iterator[list[bytes] | PredictionError]:
        """What goes into one request each; made one after the other, as a content may grow when it is converted."""
        chunk: list[bytes] = []
        size = cost = 0
        for place, original in enumerate(contents):
            content = original if isinstance(original, PredictionError) else self._sendable(original, place)
            if isinstance(content, PredictionError):
                if chunk:
                    yield chunk
                yield content
                chunk, size, cost = [], 0, 0
                continue
            more = self.takes.request_cost(content)
            full = len(chunk) >= self._max_batch or cost + more > (self._max_cost or self.takes.REQUEST_COST)
            if chunk and (full or size + len(content) > (self._max_bytes or float("inf"))):
                yield chunk
                chunk, size, cost = [], 0, 0
            chunk.append(content)
            size += len(content)
            cost += more
        if chunk:
            yield chunk

    def _sendable(self, original: bytes, place: int) -> bytes | PredictionError:
        """What is sent for a content, or why it cannot be sent."""
        taken, limit = self.takes, self._max_bytes
        try:
            content = taken.sendable(original)
        except Refused as error:
            return self.error(f"{taken.one} {place}: {error}", place=place)
        if limit is not None and len(content) > limit:
            converted = "" if content is original else " when converted"
            message = f"{taken.one} {place} has {len(content)} bytes{converted}; one message takes at most {limit}"
            return self.error(message, place=place)
        return content


def _sound(answer: Answer | PredictionError) -> Answer:
    if isinstance(answer, PredictionError):
        raise answer
    return answer


def rows_of(answer: Answer) -> Iterator[Prediction]:
    """The predictions of one request."""
    for row in range(len(next(iter(answer.values())))):
        yield Prediction(_row(answer, row), answer.request_id, row)


def _row(outputs: Mapping[str, np.ndarray], place: int) -> dict[str, Any]:
    """One example's outputs as JSON types, places by their names where an output of texts [n, k] gives them."""
    row: dict[str, Any] = {name: _plain(array[place]) for name, array in outputs.items()}
    names = [name for name, array in outputs.items() if array.ndim == 2 and array.dtype == object]
    if len(names) != 1:
        return row
    keys = row.pop(names[0])
    return {
        name: dict(zip(keys, value, strict=True)) if isinstance(value, list) and len(value) == len(keys) else value
        for name, value in row.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value.item()
