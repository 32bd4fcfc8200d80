"""A client of any TensorFlow Serving compatible server, over gRPC; does not import TensorFlow."""

import dataclasses
import functools
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from graft.models.errors import GraftError
from graft.models.inputs import input_names, input_of_signature
from graft.models.inputs.base import Input, Refused
from graft.serving import address as addresses
from graft.serving import observers as observing
from graft.serving import request_ids, tensors
from graft.serving.observers import Observer, Served
from graft.serving.protos import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# What a request needs beside the contents: names, lengths, the shape.
_OVERHEAD_BYTES = 16 << 10

logger = logging.getLogger(__name__)


class ClientError(GraftError):
    """A call failed for good.

    Attributes:
        code: the gRPC status code, None if the fault is in the request or the answer itself.
        place: index of the content that was refused, None if it is not about one.
        request_id: id of the request that failed, None if there was none.
    """

    def __init__(
        self,
        message: str,
        code: grpc.StatusCode | None = None,
        place: int | None = None,
        request_id: str | None = None,
    ):
        super().__init__(message)
        self.code = code
        self.place = place
        self.request_id = request_id


class Answer(dict[str, np.ndarray]):
    """An array by output name; strings are object arrays of bytes.

    Attributes:
        request_id: id of the request.
    """

    def __init__(self, outputs: Mapping[str, np.ndarray], request_id: str):
        super().__init__(outputs)
        self.request_id = request_id


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer to one content.

    Attributes:
        outputs: value by output name, JSON types. Where the model names what the places of its outputs stand for (by an
            output of texts as long as they are, such as `classes`), a value is a mapping by those names.
        request_id: id of the request that asked about it; a label that comes later is joined by it.
        row: its place in that request, from 0.
    """

    outputs: dict[str, Any]
    request_id: str
    row: int

    def __getattr__(self, name: str) -> Any:
        """An output of that name: `prediction.label`."""
        try:
            return self.__dict__["outputs"][name]
        except KeyError:
            raise AttributeError(
                f"the model answers {', '.join(sorted(self.__dict__.get('outputs', ())))}, not {name}"
            ) from None


class Client:
    """Calls one model on one server; may be shared by threads; a context manager.

    Args:
        address: "HOST:PORT" of the gRPC port, or "unix:PATH".
        model: name of the model.
        version: a version, or None for the latest.
        deadline_s: seconds a call may take, all of its retries included.
        retries: how often a call is tried again while the server is UNAVAILABLE or RESOURCE_EXHAUSTED.
        max_message_bytes: largest request to send; bigger batches of contents go in several. Graft's server takes
            64 MiB by default.
        max_batch: most contents in one request.
        max_cost: most units that the contents of one request may announce; None: what Graft's server
            takes.
        takes: what the model takes; None: it is asked for its signature.
        observers: who is told of each Predict request, as a server of Graft's tells its own: a request log beside a
            server that keeps none. They are not closed with the client.

    Raises:
        ClientError: the address is none of gRPC's.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        deadline_s: float = 30.0,
        retries: int = 5,
        max_message_bytes: int = 60 << 20,
        max_batch: int = 64,
        max_cost: int | None = None,
        takes: Input | None = None,
        observers: Sequence[Observer] = (),
    ):
        if fault := addresses.fault_of(address):
            raise ClientError(fault)
        self.address, self.model, self.version = address, model, version
        self._deadline_s, self._retries = deadline_s, retries
        self._takes, self._observers = takes, tuple(observers)
        self._max_message_bytes, self._max_batch, self._max_cost = max_message_bytes, max_batch, max_cost
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options=unlimited)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict_contents(self, contents: Sequence[bytes]) -> list[Prediction]:
        """Asks the model's default signature about contents as they lie in files, in order.

        What the model takes is told by the name of the signature's input. A content that a model could not read but
        ingestion takes, for instance a WebP image, is sent in the form that ingestion gives it.

        Raises:
            ClientError: a content is too large for one message or cannot be used (`place` says which), the model takes
                something else, or a call failed.
        """
        return [
            Prediction(_row(outputs, place), outputs.request_id, place)
            for outputs in self._answers(contents)
            for place in range(len(next(iter(outputs.values()))))
        ]

    def predict_arrays(self, contents: Sequence[bytes]) -> dict[str, np.ndarray]:
        """The same answers as arrays by output name, a row for each content; empty without contents."""
        parts = list(self._answers(contents))
        return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}

    def _answers(self, contents: Sequence[bytes]) -> Iterator[Answer]:
        """The outputs of one request after the other."""
        done = 0
        for chunk in self._chunks(contents):
            try:
                yield self._predict_chunk(chunk)
            except ClientError as error:
                if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
                    raise
                # The server refuses a batch as a whole: one by one the bad content shows.
                for place, content in enumerate(chunk, done):
                    yield self._predict_one(content, place)
            done += len(chunk)

    def _predict_one(self, content: bytes, place: int) -> Answer:
        try:
            return self._predict_chunk([content])
        except ClientError as error:
            raise ClientError(f"{self._taken.one} {place}: {error}", error.code, place, error.request_id) from None

    def _predict_chunk(self, chunk: Sequence[bytes]) -> Answer:
        array = np.empty(len(chunk), np.object_)
        array[:] = chunk
        # All outputs, as warm-up asks: the first call with a filter of its own waits until the server has prepared it.
        return self.predict({self._taken.signature_name: array})

    @functools.cached_property
    def _taken(self) -> Input:
        """What the default signature takes."""
        if self._takes is not None:
            return self._takes
        names = list(self.metadata().get("serving_default", {}).get("inputs", {}))
        found = input_of_signature(names)
        if found is None:
            known = ", ".join(input_names())
            raise ClientError(
                f"{self.address}: model {self.model} takes {', '.join(names) or 'nothing'}; contents can be sent to a "
                f"model with one input, called {known}"
            )
        return found

    def predict(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = "serving_default",
        outputs: Sequence[str] = (),
        request_id: str | None = None,
    ) -> Answer:
        """Runs one signature.

        Args:
            inputs: an array by input name; strings as object arrays of bytes.
            signature: which one.
            outputs: the outputs wanted, none meaning all.
            request_id: what the request is to be known by, see `serving.request_ids`; a new one if None.

        Returns:
            An array by output name; strings as object arrays of bytes.

        Raises:
            ClientError: the call failed; its message names address, model and gRPC code. Or the id is none.
        """
        if request_id is not None and not request_ids.is_sound(request_id):
            raise ClientError(f"request_id is {request_id!r}; allowed: {request_ids.ALLOWED}")
        request_id = request_id or request_ids.made()
        request = predict_pb2.PredictRequest(output_filter=outputs)
        self._fill(request.model_spec)
        request.model_spec.signature_name = signature
        for alias, array in inputs.items():
            request.inputs[alias].CopyFrom(tensors.to_proto(np.asarray(array), as_content=True))
        began, start = time.time(), time.monotonic()
        response, code = predict_pb2.PredictResponse(), grpc.StatusCode.UNKNOWN
        try:
            response = self._call(self._prediction.Predict, request, request_id)
            answer = Answer(_arrays(response.outputs), request_id)
            code = grpc.StatusCode.OK
            return answer
        except ClientError as error:
            code, error.request_id = error.code or code, request_id
            raise
        finally:
            if self._observers:
                self._tell(request, response, code, time.monotonic() - start, began, request_id)

    def _tell(
        self,
        request: predict_pb2.PredictRequest,
        response: predict_pb2.PredictResponse,
        code: grpc.StatusCode,
        seconds: float,
        began: float,
        request_id: str,
    ) -> None:
        spec = response.model_spec
        served = Served(
            model=self.model,
            version=spec.version.value if spec.HasField("version") else self.version,
            signature=request.model_spec.signature_name,
            # Arrays of its own: an observer may keep them for a while, and the caller may write into those it has.
            inputs=_arrays(request.inputs),
            outputs=_arrays(response.outputs) if code is grpc.StatusCode.OK else {},
            code=code,
            seconds=seconds,
            transport="grpc",
            time=began,
            request_id=request_id,
        )
        observing.tell(self._observers, served)

    def metadata(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The signatures: `{name: {"inputs": {alias: {"dtype": str, "shape": list | None}}, "outputs": ...}}`.

        A size of -1 is any; the shape of unknown rank is None. Raises ClientError.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill(request.model_spec)
        response = self._call(self._prediction.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            name: {"inputs": _described(signature.inputs), "outputs": _described(signature.outputs)}
            for name, signature in signatures.signature_def.items()
        }

    def status(self) -> list[dict[str, Any]]:
        """`{"version", "state", "error_code", "error_message"}` of each version the server knows.

        Raises:
            ClientError: the call failed; NOT_FOUND if the server knows no such model.
        """
        request = get_model_status_pb2.GetModelStatusRequest()
        self._fill(request.model_spec)
        response = self._call(self._models.GetModelStatus, request)
        return [
            {
                "version": version.version,
                "state": _STATES.get(version.state, str(version.state)),
                "error_code": version.status.error_code,
                "error_message": version.status.error_message,
            }
            for version in response.model_version_status
        ]

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _fill(self, spec) -> None:
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version

    def _chunks(self, contents: Sequence[bytes]) -> Iterator[list[bytes]]:
        """What goes into one message each; made one after the other, as a content may grow when it is converted."""
        limit = self._max_message_bytes - _OVERHEAD_BYTES
        chunk: list[bytes] = []
        size = cost = 0
        for place, original in enumerate(contents):
            taken = self._taken
            try:
                content = taken.sendable(original)
            except Refused as error:
                raise ClientError(f"{taken.one} {place}: {error}", place=place) from error
            if len(content) > limit:
                converted = "" if content is original else " when converted"
                message = f"{taken.one} {place} has {len(content)} bytes{converted}; one message takes at most {limit}"
                raise ClientError(message, place=place)
            more = taken.request_cost(content)
            full = len(chunk) >= self._max_batch or cost + more > (self._max_cost or taken.REQUEST_COST)
            if chunk and (full or size + len(content) > limit):
                yield chunk
                chunk, size, cost = [], 0, 0
            chunk.append(content)
            size += len(content)
            cost += more
        if chunk:
            yield chunk

    def _call(self, method: Callable, request: Any, request_id: str | None = None) -> Any:
        metadata = ((request_ids.HEADER, request_id),) if request_id else None
        end = time.monotonic() + self._deadline_s
        attempt = 0
        while True:
            try:
                return method(request, timeout=max(0.0, end - time.monotonic()), metadata=metadata)
            except grpc.RpcError as error:
                pause = random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
                if not self._worth_a_retry(error, attempt) or time.monotonic() + pause >= end:
                    raise ClientError(self._explained(error, attempt), error.code()) from error
                logger.info("%s: %s, attempt %d, again in %.2f s", self.address, error.code().name, attempt + 1, pause)
                time.sleep(pause)
                attempt += 1

    def _worth_a_retry(self, error: grpc.RpcError, attempt: int) -> bool:
        # A message over the server's cap is RESOURCE_EXHAUSTED too, and stays too large.
        too_large = "larger than max" in (error.details() or "")
        return attempt < self._retries and error.code() in _RETRIED and not too_large

    def _explained(self, error: grpc.RpcError, attempt: int) -> str:
        model = self.model if self.version is None else f"{self.model} version {self.version}"
        tried = f" after {attempt + 1} attempts" if attempt else ""
        details = error.details() or ""
        advice = addresses.advice_on(details)
        return f"{self.address}: model {model}: {error.code().name}{tried}: {details}{advice and f'; {advice}'}"


def _arrays(protos: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {alias: tensors.to_array(proto) for alias, proto in protos.items()}


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


def _described(infos: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        alias: {
            "dtype": tensors.dtype_name(info.dtype),
            "shape": None if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim],
        }
        for alias, info in infos.items()
    }
