"""A request and its answer on their way through the server: transports and data plane note what they know of them."""

import dataclasses
import time
from collections.abc import Iterable

import grpc

PREDICT = "predict"

_BY_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: "malformed",
    grpc.StatusCode.DEADLINE_EXCEEDED: "expired",
    grpc.StatusCode.CANCELLED: "gone",
}
REASONS = ("queue_full", "no_room", "too_large", "ending", *_BY_CODE.values(), "other")
"""Why a Predict request came to no model: too many wait, too many bytes are held, it is too large, the server ends, it
is no such request, its time was over, its caller went away."""


@dataclasses.dataclass(slots=True, eq=False)
class Exchange:
    """One request of a client, of any method. Times are of the clock `time.monotonic`; None: it came not so far.

    Attributes:
        transport: `grpc` or `rest`.
        request_id: its id, see `serving.request_ids`.
        method: `predict`, `status`, `metadata`, `page` (what an observer shows) or `other`.
        traceparent, tracestate: what the caller sent of W3C Trace Context, unchecked.
        wall_time: when it began, seconds since 1970.
        begun: when its headers had come.
        queued: when it began to wait for a thread.
        started: when a thread took it.
        finished: when the data plane was done with it.
        ended: when its answer was ready; `Observer.ended` has it.
        received_bytes: of the body or message, as sent.
        sent_bytes: of the answer's body or message.
        model, version, signature: as of `observers.Served`, for Predict requests that came so far.
        code: gRPC's, also of REST.
        http_status: of REST.
        reached: the data plane took it, so that it is a served request, see `observers.Served`.
    """

    transport: str
    request_id: str
    method: str = "other"
    traceparent: str | None = None
    tracestate: str | None = None
    wall_time: float = dataclasses.field(default_factory=time.time)
    begun: float = dataclasses.field(default_factory=time.monotonic)
    queued: float | None = None
    started: float | None = None
    finished: float | None = None
    ended: float | None = None
    received_bytes: int = 0
    sent_bytes: int = 0
    model: str | None = None
    version: int | None = None
    signature: str | None = None
    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    http_status: int | None = None
    reached: bool = False
    _refusal: str | None = None

    @property
    def seconds(self) -> float:
        """From its headers to its answer, the waits included."""
        return (time.monotonic() if self.ended is None else self.ended) - self.begun

    @property
    def refusal(self) -> str | None:
        """Of a Predict request that no model was asked: one of `REASONS`."""
        if self.method != PREDICT or self.reached or self.code is grpc.StatusCode.OK:
            return None
        return self._refusal or _BY_CODE.get(self.code, "other")

    def refuse(self, reason: str | None) -> None:
        """Notes why; the first one counts."""
        self._refusal = self._refusal or reason

    def trace(self, headers: Iterable[tuple[str, str | bytes]]) -> None:
        """Takes the trace context from lower-case headers or metadata; several of one name mean none (W3C, 3.2.1)."""
        found: dict[str, list[str]] = {"traceparent": [], "tracestate": []}
        for name, value in headers:
            if name in found:
                found[name].append(value if isinstance(value, str) else value.decode("latin-1"))
        if len(found["traceparent"]) == 1:
            [self.traceparent] = found["traceparent"]
            self.tracestate = ",".join(found["tracestate"]) or None
