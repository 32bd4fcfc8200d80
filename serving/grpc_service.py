"""The gRPC side: official stubs over the handlers, health, message size cap.

Calls that are not served yet (Classify, Regress, MultiInference, HandleReloadConfigRequest) answer UNIMPLEMENTED.
"""

import functools
import logging
import threading
from collections.abc import Callable, Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from graft.serving.connections import connections_allowed
from graft.serving.handlers import Handlers
from graft.serving.limits import ByteBudget, Limits
from graft.serving.observers import Observer
from graft.serving.prediction_pool import PredictionPool
from graft.serving.protos import model_service_pb2_grpc, prediction_service_pb2_grpc
from graft.serving.reception import Reception
from graft.serving.status import ServingError

MAX_ERROR_LENGTH = 1024
HEALTH_NAMES = ("", "ModelService", "PredictionService")
_PREDICT = "/tensorflow.serving.PredictionService/Predict"

logger = logging.getLogger(__name__)


def truncated(message: str) -> str:
    """gRPC carries error texts in a header of limited size, so they are cut as TensorFlow Serving cuts them."""
    return message if len(message) <= MAX_ERROR_LENGTH else f"{message[:MAX_ERROR_LENGTH]}...TRUNCATED"


def _answering(call: Callable) -> Callable:
    @functools.wraps(call)
    def answer(self, request, context):
        try:
            return call(self, request, context)
        except ServingError as error:
            context.abort(error.code, truncated(error.message))
        except Exception as error:
            # A fault of ours: the client gets a status as REST gives it, the log the trace.
            logger.exception("%s failed", call.__name__)
            context.abort(grpc.StatusCode.INTERNAL, f"Internal error: {type(error).__name__}")

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the contexts are those of `serving.reception`, which know the exchange."""

    def __init__(self, handlers: Handlers):
        self._handlers = handlers

    @_answering
    def Predict(self, request, context):
        return self._handlers.predict(request, context.time_remaining(), context.exchange)

    @_answering
    def GetModelMetadata(self, request, context):
        return self._handlers.get_model_metadata(request)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, handlers: Handlers):
        self._handlers = handlers

    @_answering
    def GetModelStatus(self, request, context):
        return self._handlers.get_model_status(request)


class GrpcServer:
    """A listening gRPC server.

    Args:
        handlers: what answers.
        address: "HOST:PORT", port 0 for a free one.
        max_message_bytes: larger requests get RESOURCE_EXHAUSTED.
        pool: where predictions run; the other calls have threads of their own.
        limits: for connections, calls and messages under way.
        budget: of bytes, shared with REST.
        timeout_s: a call that takes longer is stopped, whatever its own deadline.
        observers: who is told of each call that has ended.

    Attributes:
        port: the port it listens on.

    Raises:
        RuntimeError: the address cannot be bound.
    """

    def __init__(
        self,
        handlers: Handlers,
        address: str,
        max_message_bytes: int,
        pool: PredictionPool,
        limits: Limits,
        budget: ByteBudget,
        timeout_s: float,
        observers: Sequence[Observer] = (),
    ):
        self._reception = Reception(_PREDICT, pool, limits, budget, timeout_s, observers)
        self._server = grpc.server(
            self._reception.threads,
            interceptors=[self._reception],
            maximum_concurrent_rpcs=self._reception.most_calls,
            options=_options(max_message_bytes, limits, timeout_s),
        )
        service = PredictionService(handlers)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(handlers), self._server)
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.port = self._server.add_insecure_port(address)

    def start(self) -> None:
        """Opens for calls and says so to health checks."""
        for name in HEALTH_NAMES:
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._server.start()

    def announce_end(self) -> None:
        """Answers NOT_SERVING to health checks, so that balancers stop sending."""
        self._health.enter_graceful_shutdown()

    def refuse(self, grace_s: float) -> threading.Event:
        """Refuses new calls from now on; those under way get `grace_s` seconds. The event says they ended."""
        self.announce_end()
        return self._server.stop(grace_s)

    def close(self) -> None:
        """Gives the threads back, after the event of `refuse`."""
        self._reception.close()


def _options(max_message_bytes: int, limits: Limits, timeout_s: float) -> list[tuple[str, int]]:
    """Channel arguments of gRPC's core, see its `grpc/impl/channel_arg_names.h`; times are in milliseconds."""
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # a second server on a port must fail, not take half of the calls
        ("grpc.max_allowed_incoming_connections", connections_allowed(limits.connections)),
        ("grpc.max_concurrent_streams", limits.streams),
        ("grpc.max_metadata_size", limits.header_bytes),
        ("grpc.absolute_max_metadata_size", limits.header_bytes),
        # What is no gRPC, or goes no further than its first bytes.
        ("grpc.server_handshake_timeout_ms", round(limits.header_s * 1000)),
        ("grpc.http2.settings_timeout", round(limits.header_s * 1000)),
        ("grpc.max_connection_idle_ms", round(limits.idle_s * 1000)),
        ("grpc.max_connection_age_ms", round(limits.connection_age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", round((timeout_s + 2 * limits.body_s) * 1000)),
        # A peer that is gone without a word; clients may ping as often as every 10 s.
        ("grpc.keepalive_time_ms", round(limits.idle_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(limits.stall_s * 1000)),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        # Streams that nobody reads from yet hold no more than this; a message that is read is given what it needs.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 1 << 16),
    ]
