"""The one way to a model: gRPC and REST are codecs that bring their requests here, and warm-up replays its own.

A request goes through: version held, codec reads, limits, (room for a batcher), engine, codec writes, observers.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import grpc
import numpy as np

from graft.models.inputs.base import Refused
from graft.models.inputs.guards import Guard
from graft.serving import observers as observing
from graft.serving import request_ids
from graft.serving.engine import Engine
from graft.serving.exchange import PREDICT, Exchange
from graft.serving.observers import Observer, Served
from graft.serving.registry import ModelRegistry, Version
from graft.serving.status import ServingError, invalid

DEFAULT_MAX_BATCH = 1024

Answer = TypeVar("Answer", covariant=True)


@dataclasses.dataclass(frozen=True)
class Asked:
    """Which model a client wants: the newest version, or one by number or label."""

    model: str
    version: int | None = None
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """What is to be run, of the arguments of `Engine.run`."""

    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: Sequence[str] = ()
    timeout_s: float | None = None


class Codec(Protocol[Answer]):
    """One request in the form of its transport.

    Attributes:
        transport: `grpc` or `rest`.
    """

    @property
    def transport(self) -> str: ...

    def read(self, engine: Engine) -> Run:
        """The request as arrays. Raises ServingError for what cannot be read, or a signature that the model lacks."""

    def write(self, version: Version, request: Run, outputs: Mapping[str, np.ndarray]) -> Answer:
        """The answer; the version is no longer held. Raises ServingError."""


class DataPlane:
    """Holds requests to what the server takes, runs them and tells the observers.

    Args:
        registry: the loaded models.
        max_batch: most strings in one input: an image of some bytes becomes some hundred thousand.
        announced: by the unit of a guard, the most that one request may announce; else the guard's own limit.
        observers: who is told of served requests.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        max_batch: int = DEFAULT_MAX_BATCH,
        announced: Mapping[str, int] | None = None,
        observers: Sequence[Observer] = (),
    ):
        self._registry = registry
        self._max_batch = max_batch
        self._announced = announced or {}
        self._observers = tuple(observers)

    def predict(self, asked: Asked, codec: Codec[Answer], exchange: Exchange | None = None) -> Answer:
        """Answers one request of a client.

        Args:
            asked: what of.
            codec: the request.
            exchange: what is noted of it; a new one if None.

        Raises:
            ServingError: NOT_FOUND for a model or version that is not available; what the codec finds wrong;
                INVALID_ARGUMENT for more than the limits allow; else as `Engine.run`.
        """
        if not self._observers:
            return self._answer(asked, codec, None)
        exchange = exchange or Exchange(codec.transport, request_ids.made(), PREDICT)
        exchange.reached = True
        course = _Course()
        began, start = time.time(), time.monotonic()
        code = grpc.StatusCode.INTERNAL  # what the transports call a fault of ours
        try:
            answer = self._answer(asked, codec, course)
            code = grpc.StatusCode.OK
            return answer
        except ServingError as error:
            code = error.code
            raise
        finally:
            exchange.finished = time.monotonic()
            seconds = exchange.finished - start
            self._tell(asked, exchange, course, code, seconds, began)

    def replay(self, engine: Engine, request: Run) -> dict[str, np.ndarray]:
        """Runs one request of a warm-up file, on a version that does not serve yet; observers are not told.

        Raises:
            ServingError: INVALID_ARGUMENT for more than the limits allow; else as `Engine.run`.
        """
        return self._run(engine, request)

    def _answer(self, asked: Asked, codec: Codec[Answer], course: "_Course | None") -> Answer:
        with self._registry.use(asked.model, asked.version, asked.label) as version:
            assert version.engine is not None
            if course:
                course.version, course.signatures = version, version.engine.signatures
            request = codec.read(version.engine)
            if course:
                course.request = request
            outputs = self._run(version.engine, request)
        answer = codec.write(version, request, outputs)
        if course:
            course.outputs = outputs
        return answer

    def _run(self, engine: Engine, request: Run) -> dict[str, np.ndarray]:
        # A batcher has its place here: requests to one engine that ask the same of it become one run.
        return run_within(engine, request, self._max_batch, self._announced)

    def _tell(
        self,
        asked: Asked,
        exchange: Exchange,
        course: "_Course",
        code: grpc.StatusCode,
        seconds: float,
        began: float,
    ) -> None:
        version, request = course.version, course.request
        # What a client named may be anything, and there is no end of it: only what the server knows is told.
        known = version is not None or asked.model in self._registry.models()
        signature = request.signature if request is not None else None
        exchange.model = asked.model if known else None
        exchange.version = None if version is None else version.number
        exchange.signature = signature if signature in course.signatures else None
        observing.tell(
            self._observers,
            Served(
                model=exchange.model,
                version=exchange.version,
                signature=exchange.signature,
                inputs=request.inputs if request is not None else {},
                outputs=course.outputs,
                code=code,
                seconds=seconds,
                transport=exchange.transport,
                time=began,
                request_id=exchange.request_id,
            ),
        )


def run_within(
    engine: Engine, request: Run, max_batch: int = DEFAULT_MAX_BATCH, announced: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Runs a request on an engine if it asks no more than may be asked; the last two arguments as of `DataPlane`.

    Raises:
        ServingError: INVALID_ARGUMENT for more than that; else as `Engine.run`.
    """
    _require_within(engine.guards, request.inputs, max_batch, announced or {})
    return engine.run(request.signature, request.inputs, request.outputs, request.timeout_s)


def _require_within(
    guards: Sequence[Guard], inputs: Mapping[str, np.ndarray], max_batch: int, announced: Mapping[str, int]
) -> None:
    strings = {alias: array for alias, array in inputs.items() if array.dtype == object}
    for alias, array in strings.items():
        if array.size > max_batch:
            raise invalid(f"input {alias} has {array.size} strings; this server takes at most {max_batch}")
    for guard in guards:
        try:
            cost = sum(guard.cost(array) for array in strings.values())
        except Refused as error:
            raise invalid(str(error)) from error
        limit = announced.get(guard.unit, guard.limit)
        if cost > limit:
            raise invalid(
                f"the {guard.things} of the request announce {cost} {guard.unit}; this server takes at most {limit}"
            )


@dataclasses.dataclass
class _Course:
    """How far a request came."""

    version: Version | None = None
    signatures: Mapping[str, object] = dataclasses.field(default_factory=dict)
    request: Run | None = None
    outputs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
