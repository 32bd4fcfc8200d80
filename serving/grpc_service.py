"""The gRPC side: official stubs over the handlers, health, message size cap.

Calls that are not served yet (Classify, Regress, MultiInference, HandleReloadConfigRequest) answer UNIMPLEMENTED.
"""

import concurrent.futures
import functools
import logging
import os
from collections.abc import Callable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.handlers import Handlers
from serving.status import ServingError

MAX_ERROR_LENGTH = 1024
HEALTH_NAMES = ("", "ModelService", "PredictionService")

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
    """Predict and GetModelMetadata."""

    def __init__(self, handlers: Handlers):
        self._handlers = handlers

    @_answering
    def Predict(self, request, context):
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


class GrpcServer:
    """A listening gRPC server.

    Args:
        handlers: what answers.
        address: "HOST:PORT", port 0 for a free one.
        max_message_bytes: larger requests get RESOURCE_EXHAUSTED.
        threads: calls worked on at once; four a core if None.
        max_calls: calls worked on or waiting at once; more get RESOURCE_EXHAUSTED.

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
        threads: int | None = None,
        max_calls: int | None = None,
    ):
        threads = threads or 4 * (os.cpu_count() or 1)
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="grpc")
        self._server = grpc.server(
            self._pool,
            maximum_concurrent_rpcs=max_calls or 32 * threads,
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # a second server on a port must fail, not take half of the calls
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(handlers), self._server)
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

    def stop(self, grace_s: float) -> None:
        """Refuses new calls and waits up to `grace_s` seconds for those under way."""
        self.announce_end()
        self._server.stop(grace_s).wait()
        self._pool.shutdown(wait=False)
