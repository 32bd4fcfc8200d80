"""gRPC calls on their way in and out: a caller that sends half a message, or takes no answer, holds nothing for long.

grpcio gives a call a thread before its message is there, and waits for it as long as the caller likes. A few calls that
send none would take all threads for predictions, which REST shares. So each call is received in a thread of its own, of
which there are enough, only what has come whole goes to the threads for predictions, and a watch ends what takes too
long.
"""

import concurrent.futures
import functools
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.protobuf import message

from graft.models.text import REQUEST_ID
from graft.serving import observers as observing
from graft.serving import request_ids, screening
from graft.serving.exchange import PREDICT, Exchange
from graft.serving.limits import ByteBudget, Claim, Limits
from graft.serving.observers import Observer
from graft.serving.prediction_pool import PredictionPool
from graft.serving.status import ServingError

_WATCH_S = 0.25
# Calls beyond `Limits.receiving` end if their message has been on its way for so long.
_GRACE_S = 1.0
# What a run that is stopped at its time limit gets to say so itself.
_STOPPING_S = 1.0
_CONTROL_THREADS = 32
_METHODS = {"GetModelStatus": "status", "GetModelMetadata": "metadata"}

logger = logging.getLogger(__name__)


class Reception(grpc.ServerInterceptor):
    """Takes the message of each call, then has it answered.

    Args:
        predict: full name of the method that runs in `pool`; it is refused while that is full.
        pool: where predictions run.
        limits: for messages under way.
        budget: of bytes, shared with REST.
        timeout_s: from the message to the answer; an earlier deadline of the caller counts.
        observers: who is told of each call that has ended.

    Attributes:
        threads: where calls are received and wait for their prediction.
        most_calls: calls that may be open at once.
    """

    def __init__(
        self,
        predict: str,
        pool: PredictionPool,
        limits: Limits,
        budget: ByteBudget,
        timeout_s: float,
        observers: Sequence[Observer] = (),
    ):
        self._predict, self._pool, self._limits = predict, pool, limits
        self._budget, self._timeout_s, self._observers = budget, timeout_s, tuple(observers)
        most = pool.max_calls + limits.receiving + _CONTROL_THREADS
        self.threads = concurrent.futures.ThreadPoolExecutor(most, thread_name_prefix="grpc")
        self.most_calls = 2 * most  # as many again may be waiting for their answer to be taken
        self._calls: dict[_Call, None] = {}  # in the order of their coming
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._wrapped: dict[str, grpc.RpcMethodHandler] = {}
        self._refusal = grpc.stream_unary_rpc_method_handler(self._refuse)
        self._watcher = threading.Thread(target=self._watch, name="grpc-watch", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Gives the threads back once no call is left."""
        self._closed.set()
        self._watcher.join()
        self.threads.shutdown(wait=False)

    def intercept_service(self, continuation, handler_call_details):
        """In place of the method's handler, one that does not wait for the message in a thread for predictions."""
        method = handler_call_details.method
        if method == self._predict and self._pool.full:
            return self._refusal
        if method not in self._wrapped:
            handler = continuation(handler_call_details)
            if handler is None or handler.request_streaming or handler.response_streaming:
                return None  # UNIMPLEMENTED; a stream, as of the health service's Watch, would stay open for ever
            self._wrapped[method] = grpc.stream_unary_rpc_method_handler(
                functools.partial(self._answer, handler, PREDICT if method == self._predict else _named(method))
            )
        return self._wrapped[method]

    def _refuse(self, _, context: grpc.ServicerContext) -> None:
        exchange = _begun(context, PREDICT)
        try:
            _abort(context, exchange, self._pool.refusal())
        finally:
            self._tell(context, exchange)

    def _answer(self, handler, method: str, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        exchange = _begun(context, method)
        try:
            answer = handler.response_serializer(self._worked(handler, exchange, messages, context))
            exchange.sent_bytes, exchange.code = len(answer), grpc.StatusCode.OK
            return answer
        finally:
            self._tell(context, exchange)

    def _tell(self, context: grpc.ServicerContext, exchange: Exchange) -> None:
        if self._observers:
            exchange.code = context.code() or exchange.code
            observing.ended(self._observers, exchange)

    def _worked(self, handler, exchange: Exchange, messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        in_pool = exchange.method == PREDICT
        call = _Call(context, self._budget.claim())
        with self._lock:
            self._calls[call] = None
        if not context.add_callback(functools.partial(self._ended, call)):
            self._ended(call)
        try:
            content = next(messages)
        except StopIteration:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call ended without a message")
        call.received = time.monotonic()
        try:
            exchange.received_bytes = len(content)
            if not call.claim.grow(len(content)):
                exchange.refuse("no_room")
                context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"the requests under way hold {self._budget.held} bytes; this server holds at most "
                    f"{self._budget.total}",
                )
            bounded = _Bounded(context, call.received + self._timeout_s, exchange)
            if not in_pool and len(content) > screening.SMALL:
                context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"the message has {len(content)} bytes; only Predict takes more than {screening.SMALL}",
                )
            work = functools.partial(_work, handler, [content], bounded)
            del content
            if not in_pool:
                answer = work()
                call.claim.release()
                return answer
            exchange.queued = time.monotonic()
            running = self._pool.submit(work)
        except ServingError as error:
            call.claim.release()
            _abort(context, exchange, error)
        except BaseException:
            call.claim.release()
            raise
        # With the thread and not with the call: a run that is stopped late still holds its message.
        running.add_done_callback(lambda _: call.claim.release())
        # A caller who went away, or whose deadline passed, is not waited for: what has not begun does not begin.
        context.add_callback(running.cancel)
        try:
            return running.result(bounded.time_remaining() + _STOPPING_S)
        except concurrent.futures.CancelledError:
            context.abort(grpc.StatusCode.CANCELLED, "the caller went away")
        except TimeoutError:
            running.cancel()
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"Timed out after {self._timeout_s:g} s")
        finally:
            # It holds the error, which holds this frame: a circle, and with it the message until the next collection.
            del running

    def _ended(self, call: "_Call") -> None:
        with self._lock:
            self._calls.pop(call, None)

    def _watch(self) -> None:
        while not self._closed.wait(_WATCH_S):
            now = time.monotonic()
            with self._lock:
                calls = list(self._calls)
            receiving = [call for call in calls if call.received is None]
            most_s = self._timeout_s + self._limits.body_s  # its answer's way back included
            late = [call for call in receiving if now - call.begun > self._limits.body_s]
            late += [call for call in calls if call.received is not None and now - call.received > most_s]
            too_many = len(receiving) - self._limits.receiving
            late += [call for call in receiving[: max(0, too_many)] if now - call.begun > _GRACE_S]
            for call in late:
                if call.received is None:
                    logger.warning("a gRPC call of %s was ended: its message did not come", call.context.peer())
                else:
                    logger.warning("a gRPC call of %s was ended: it took too long", call.context.peer())
                call.context.cancel()


class _Call:
    """One open call."""

    def __init__(self, context: grpc.ServicerContext, claim: Claim):
        self.context, self.claim = context, claim
        self.begun = time.monotonic()
        self.received: float | None = None


class _Bounded:
    """A call's context whose time is up at `end`, if not before; it knows the call's exchange."""

    def __init__(self, context: grpc.ServicerContext, end: float, exchange: Exchange):
        self._context, self._end, self.exchange = context, end, exchange

    def time_remaining(self) -> float:
        """Seconds left, never less than 0."""
        return max(0.0, min(self._context.time_remaining(), self._end - time.monotonic()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _named(method: str) -> str:
    """`Exchange.method` of a full method's name, other than Predict."""
    return _METHODS.get(method.rpartition("/")[2], "other")


def _begun(context: grpc.ServicerContext, method: str) -> Exchange:
    """Names the call. Its id goes back as trailing metadata, which a call that fails has too."""
    metadata = context.invocation_metadata()
    request_id = request_ids.chosen(value for key, value in metadata if key == request_ids.HEADER)
    context.set_trailing_metadata(((request_ids.HEADER, request_id),))
    exchange = Exchange("grpc", request_id, method)
    exchange.trace(metadata)
    REQUEST_ID.set(request_id)  # of this thread until its next call
    return exchange


def _abort(context: grpc.ServicerContext, exchange: Exchange, error: ServingError) -> None:
    exchange.refuse(error.refusal)
    context.abort(error.code, error.message)


def _work(handler: grpc.RpcMethodHandler, content: list[bytes], context: _Bounded) -> Any:
    """Reads the message and answers it; `content` is emptied, so that the bytes go when they are read."""
    exchange = context.exchange
    exchange.started = time.monotonic()
    REQUEST_ID.set(exchange.request_id)
    if not context.time_remaining():
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out before the run could start")
    try:
        screening.check_predict(content[0])
        request = handler.request_deserializer(content.pop())
    except ServingError as error:
        context.abort(error.code, error.message)
    except message.DecodeError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the message cannot be read: {error}")
    try:
        return handler.unary_unary(request, context)
    except NotImplementedError:
        # What the stubs raise for methods that nobody wrote; grpcio would log it with its traceback, call by call.
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server does not serve the method")
