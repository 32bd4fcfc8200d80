"""A client of any TensorFlow Serving compatible server, over gRPC; takes grpcio and NumPy, and nothing else."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
import numpy as np

from graft.models.inputs.base import Input
from graft.serving import address as addresses
from graft.serving import observers as observing
from graft.serving import request_ids, tensors, wire_messages
from graft.serving.observers import Observer, Served
from graft.serving.predictor import Answer, Prediction, PredictionError, Predictor
from graft.serving.status import ServingError
from graft.serving.wire import WireError

_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# What a request needs beside the contents: names, lengths, the shape.
_OVERHEAD_BYTES = 16 << 10

T = TypeVar("T")

__all__ = ["Answer", "Client", "ClientError", "Prediction"]

logger = logging.getLogger(__name__)


class ClientError(PredictionError):
    """A call failed for good."""


class Client(Predictor):
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

    error = ClientError

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
        max_bytes = max_message_bytes - _OVERHEAD_BYTES
        super().__init__(address, model, takes=takes, max_batch=max_batch, max_bytes=max_bytes, max_cost=max_cost)
        self.version = version
        self._deadline_s, self._retries = deadline_s, retries
        self._observers = tuple(observers)
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options=unlimited)

    def _ask(self, inputs: Mapping[str, np.ndarray]) -> Answer:
        # All outputs, as warm-up asks: the first call with a filter of its own waits until the server has prepared it.
        return self.predict(inputs)

    def _input_names(self) -> Iterable[str]:
        return self.metadata().get("serving_default", {}).get("inputs", {})

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
        sent = {alias: wire_messages.tensor(np.asarray(array)) for alias, array in inputs.items()}
        request = wire_messages.predict_request(self.model, self.version, signature, sent, outputs)
        began, start = time.time(), time.monotonic()
        version, answer, code = self.version, Answer({}, request_id), grpc.StatusCode.UNKNOWN
        try:
            said, tensors_said = self._call(wire_messages.PREDICT, request, wire_messages.read_prediction, request_id)
            answer = self._read(lambda: Answer(_arrays(tensors_said), request_id))
            version = self.version if said is None else said
            code = grpc.StatusCode.OK
            return answer
        except ClientError as error:
            code, error.request_id = error.code or code, request_id
            raise
        finally:
            if self._observers:
                # Arrays of its own: an observer may keep them for a while, and the caller may write into those it has.
                served = Served(
                    model=self.model,
                    version=version,
                    signature=signature,
                    inputs=_arrays({alias: wire_messages.read_tensor(one) for alias, one in sent.items()}),
                    outputs={name: array.copy() for name, array in answer.items()},
                    code=code,
                    seconds=time.monotonic() - start,
                    transport="grpc",
                    time=began,
                    request_id=request_id,
                )
                observing.tell(self._observers, served)

    def metadata(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The signatures: `{name: {"inputs": {alias: {"dtype": str, "shape": list | None}}, "outputs": ...}}`.

        A size of -1 is any; the shape of unknown rank is None. Raises ClientError.
        """
        request = wire_messages.metadata_request(self.model, self.version)
        return self._call(wire_messages.METADATA, request, wire_messages.read_signatures)

    def status(self) -> list[dict[str, Any]]:
        """`{"version", "state", "error_code", "error_message"}` of each version the server knows.

        Raises:
            ClientError: the call failed; NOT_FOUND if the server knows no such model.
        """
        request = wire_messages.status_request(self.model, self.version)
        return [
            {"version": version, "state": _STATES.get(state, str(state)), "error_code": code, "error_message": message}
            for version, state, code, message in self._call(wire_messages.STATUS, request, wire_messages.read_statuses)
        ]

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _read(self, read: Callable[[], T]) -> T:
        """What an answer holds. Raises ClientError where it holds no such thing."""
        try:
            return read()
        except (WireError, ServingError) as error:
            message = f"{self.address}: model {self.model}: the answer cannot be read: {error}"
            raise ClientError(message, grpc.StatusCode.INTERNAL) from error

    def _call(self, path: str, request: bytes, read: Callable[[bytes], T], request_id: str | None = None) -> T:
        """The answer to a call, read; messages go as bytes."""
        method = self._channel.unary_unary(path)
        metadata = ((request_ids.HEADER, request_id),) if request_id else None
        end = time.monotonic() + self._deadline_s
        attempt = 0
        while True:
            try:
                answer = method(request, timeout=max(0.0, end - time.monotonic()), metadata=metadata)
                return self._read(lambda: read(answer))  # noqa: B023 - called at once
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


def _arrays(sent: Mapping[str, wire_messages.Tensor]) -> dict[str, np.ndarray]:
    return {alias: tensors.to_array(tensor) for alias, tensor in sent.items()}
