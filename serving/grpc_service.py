"""The gRPC side: official stubs over the handlers, health, message size cap.

Calls that are not served yet (Classify, Regress, MultiInference, HandleReloadConfigRequest) answer UNIMPLEMENTED.
"""

import concurrent.futures
import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.handlers import Handlers
from serving.prediction_pool import PredictionPool
from serving.status import ServingError

MAX_ERROR_LENGTH = 1024
HEALTH_NAMES = ("", "ModelService", "PredictionService")
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_CONTROL_THREADS = 4

logger = logging.getLogger(__name__)


def truncated(message: str) -> str:
    """gRPC carries error texts in a header of limited size, so they are cut as TensorFlow Serving cuts them."""
    return message if len(message) <= MAX_ERROR_LENGTH else f"{message[:MAX_ERROR_LENGTH]}...TRUNCATED"


def _remaining(context: grpc.ServicerContext) -> float | None:
    # Without a deadline gRPC says some 300 years, more than a RunOptions can hold.
    remaining = context.time_remaining()
    return None if remaining is None or remaining > 1e6 else remaining


def _answering(call: Callable) -> Callable:
    @functools.wraps(call)
    def answer(self, request, context):
        try:
            return call(self, request, context)
        except ServingError as error:
            context.abort(error.code, truncated(error.message))

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, in the threads of `pool`, and GetModelMetadata."""

    def __init__(self, handlers: Handlers, pool: PredictionPool):
        self._handlers = handlers
        predict: Any = functools.partial(self._predict)
        # grpcio's own way to give a method other threads than the server's; its health service uses it too.
        predict.experimental_thread_pool = pool
        self.Predict = predict

    @_answering
    def _predict(self, request, context):
        return self._handlers.predict(request, _remaining(context))

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


class _Admission(grpc.ServerInterceptor):
    """Refuses predictions while their pool is full, before their threads or their messages are touched."""

    def __init__(self, pool: PredictionPool):
        self._pool = pool
        # Of the streaming kind, which does not wait for the message.
        self._refusal = grpc.stream_unary_rpc_method_handler(self._refuse)

    def intercept_service(self, continuation, details):
        if details.method == _PREDICT and self._pool.full:
            return self._refusal
        return continuation(details)

    def _refuse(self, _, context):
        error = self._pool.refusal()
        context.abort(error.code, error.message)


class GrpcServer:
    """A listening gRPC server.

    Args:
        handlers: what answers.
        address: "HOST:PORT", port 0 for a free one.
        max_message_bytes: larger requests get RESOURCE_EXHAUSTED.
        pool: where predictions run; the other calls have threads of their own.

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
    ):
        self._control = concurrent.futures.ThreadPoolExecutor(_CONTROL_THREADS, thread_name_prefix="grpc")
        self._server = grpc.server(
            self._control,
            interceptors=[_Admission(pool)],
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # a second server on a port must fail, not take half of the calls
            ],
        )
        service = PredictionService(handlers, pool)
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
        self._control.shutdown(wait=False)
