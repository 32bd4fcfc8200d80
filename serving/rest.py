"""The REST side: routes, codes and error bodies of TensorFlow Serving's HTTP API, on starlette and uvicorn."""

import asyncio
import dataclasses
import functools
import json
import logging
import math
import re
import socket
import threading
import time
import urllib.parse
import zlib
from collections.abc import Mapping, Sequence

import anyio.to_thread
import grpc
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from graft.models.text import REQUEST_ID
from graft.serving import json_tensors, request_ids, rest_messages
from graft.serving import observers as observing
from graft.serving.codecs import Json
from graft.serving.connections import GuardedProtocol, GuardedServer, connections_allowed
from graft.serving.data_plane import Asked
from graft.serving.exchange import PREDICT, Exchange
from graft.serving.handlers import Handlers
from graft.serving.limits import ByteBudget, Claim, Limits
from graft.serving.observers import Observer, Page
from graft.serving.prediction_pool import PredictionPool
from graft.serving.protos import get_model_metadata_pb2, get_model_status_pb2
from graft.serving.status import ServingError, invalid

_MODEL = r"/v1/models(?:/([^/:]+))?(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?"
_GET = re.compile(rf"{_MODEL}(/metadata)?", re.IGNORECASE)
_POST = re.compile(rf"{_MODEL.replace('(?:/([^/:]+))?', '/([^/:]+)', 1)}:(classify|regress|predict)", re.IGNORECASE)

_Code = grpc.StatusCode
HTTP_STATUS = {
    _Code.OK: 200,
    _Code.INVALID_ARGUMENT: 400,
    _Code.FAILED_PRECONDITION: 400,
    _Code.OUT_OF_RANGE: 400,
    _Code.UNAUTHENTICATED: 401,
    _Code.PERMISSION_DENIED: 403,
    _Code.NOT_FOUND: 404,
    _Code.ALREADY_EXISTS: 409,
    _Code.ABORTED: 409,
    _Code.RESOURCE_EXHAUSTED: 429,
    _Code.CANCELLED: 499,
    _Code.UNKNOWN: 500,
    _Code.INTERNAL: 500,
    _Code.DATA_LOSS: 500,
    _Code.UNIMPLEMENTED: 501,
    _Code.UNAVAILABLE: 503,
    _Code.DEADLINE_EXCEEDED: 504,
}
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type, X-Request-Id",
    "Access-Control-Expose-Headers": "X-Request-Id",
}

# What a run that is stopped at its time limit gets to say so itself.
_STOPPING_S = 1.0

logger = logging.getLogger(__name__)


class _Refused(ServingError):
    """A request that HTTP has a status of its own for."""

    def __init__(self, status: int, message: str, refusal: str | None = None):
        super().__init__(_Code.RESOURCE_EXHAUSTED, message, refusal)
        self.status = status


class RestApp:
    """The ASGI application.

    Args:
        handlers: what answers.
        pool: where predictions run; the other calls have threads of their own.
        max_body_bytes: cap of a body, as sent and as unpacked.
        limits: for headers.
        budget: of bytes that the bodies of all requests share.
        timeout_s: a prediction that takes longer, its wait for a thread included, is stopped.
        pages: what observers show, by path.
        observers: who is told of each request that has its answer.
        cors: add the CORS headers to every answer.

    Attributes:
        ending: set to refuse whatever comes from now on.
    """

    def __init__(
        self,
        handlers: Handlers,
        pool: PredictionPool,
        max_body_bytes: int,
        limits: Limits,
        budget: ByteBudget,
        timeout_s: float,
        pages: Mapping[str, Page],
        observers: Sequence[Observer] = (),
        cors: bool = False,
    ):
        self.ending = False
        self._pages, self._observers = pages, tuple(observers)
        self._handlers = handlers
        self._pool = pool
        self._max_body_bytes = max_body_bytes
        self._limits, self._budget = limits, budget
        self._timeout_s = timeout_s
        self._headers = _CORS if cors else {}

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served, not {scope['type']}")
        request = Request(scope, receive)
        exchange = Exchange("rest", request_ids.chosen(request.headers.getlist(request_ids.HEADER)))
        exchange.trace(request.headers.items())
        REQUEST_ID.set(exchange.request_id)  # of this task
        try:
            response = await self._answer(request, exchange)
            response.headers[request_ids.HEADER] = exchange.request_id
            exchange.http_status, exchange.sent_bytes = response.status_code, len(response.body)
        except asyncio.CancelledError:
            exchange.code = _Code.CANCELLED
            raise
        finally:
            if self._observers:
                observing.ended(self._observers, exchange)
        await response(scope, receive, send)

    async def _answer(self, request: Request, exchange: Exchange) -> Response:
        exchange.code = _Code.OK
        path = request.scope["raw_path"].decode("latin-1")
        page = self._pages.get(path)
        if page is None and not path.lower().startswith("/v1/"):
            exchange.code = _Code.NOT_FOUND
            return self._json(404, _error("Not Found"))
        if request.method == "OPTIONS":
            known = request.headers.get("origin", "").startswith(("http://", "https://"))
            return Response(status_code=200 if known else 400, headers=self._headers)
        if request.url.query:
            # Upstream matches path and query as one string.
            path = f"{path}?{request.url.query}"
        try:
            if request.method == "POST" and path.lower().endswith(":predict"):
                exchange.method = PREDICT
            if self.ending:
                raise ServingError(_Code.UNAVAILABLE, "the server is ending and takes no new requests", "ending")
            if len(request.scope["headers"]) > self._limits.headers:
                sent = len(request.scope["headers"])
                raise _Refused(431, f"the request has {sent} header lines; this server takes {self._limits.headers}")
            if page is not None:
                exchange.method = "page"
                return await self._page(request, page, path)
            if request.method == "GET" and (match := _GET.fullmatch(path)):
                exchange.method = "metadata" if match[4] else "status"
                return self._json(200, await anyio.to_thread.run_sync(functools.partial(self._get, *match.groups())))
            if request.method == "POST" and (match := _POST.fullmatch(path)):
                return self._json(200, await self._predict(request, match, exchange))
            raise invalid(f"Malformed request: {request.method} {path}")
        except _Refused as error:
            exchange.code = error.code
            exchange.refuse(error.refusal)
            return self._json(error.status, _error(error.message))
        except ServingError as error:
            exchange.code = error.code
            exchange.refuse(error.refusal)
            return self._json(HTTP_STATUS[error.code], _error(error.message))
        except ClientDisconnect:
            exchange.code = _Code.CANCELLED
            return self._json(499, _error("the client closed the connection"))
        except Exception as error:
            # A fault of ours: the client still gets the API's error body, the log the trace.
            exchange.code = _Code.INTERNAL
            logger.exception("%s %s failed", request.method, path)
            return self._json(500, _error(f"Internal error: {type(error).__name__}"))

    async def _page(self, request: Request, page: Page, path: str) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise _Refused(405, f"{request.method} is not allowed here; GET is")
        if request.url.query:
            raise invalid(f"Unexpected path: {path}")  # upstream takes no query either
        content = await anyio.to_thread.run_sync(page.make)
        return Response(content, headers=self._headers, media_type=page.media_type)

    def _json(self, status: int, body: str) -> Response:
        return Response(body, status, headers=self._headers, media_type="application/json")

    async def _body(self, request: Request, claim: Claim, exchange: Exchange) -> bytearray:
        packed = "gzip" in request.headers.get("content-encoding", "").lower()
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if packed else None
        announced = request.headers.get("content-length", "0")
        if int(announced) > self._max_body_bytes:
            raise self._too_large()
        if not self._budget.fits(int(announced)):
            raise self._no_room()
        body, sent = bytearray(), 0
        async for chunk in request.stream():
            sent += len(chunk)
            exchange.received_bytes = sent
            if inflater is not None:
                try:
                    chunk = inflater.decompress(chunk, self._max_body_bytes - len(body) + 1)
                except zlib.error as error:
                    raise invalid(f"the body is not gzip, though Content-Encoding says so: {error}") from error
            if max(len(body) + len(chunk), sent) > self._max_body_bytes:
                raise self._too_large()
            if not claim.grow(len(chunk)):
                raise self._no_room()
            body += chunk
        if inflater is not None and sent and not inflater.eof:
            raise invalid("the gzip body ends too early")
        return body

    def _too_large(self) -> _Refused:
        return _Refused(413, f"the request body is larger than {self._max_body_bytes} bytes", "too_large")

    def _no_room(self) -> ServingError:
        return ServingError(
            _Code.UNAVAILABLE,
            f"the requests under way hold {self._budget.held} bytes; this server holds at most {self._budget.total}",
            refusal="no_room",
        )

    def _get(self, name: str | None, version: str | None, label: str | None, metadata: str | None) -> str:
        if name is None:
            raise invalid("Missing model name in request.")
        if metadata:
            request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
            rest_messages.fill_spec(request.model_spec, name, version, label)
            return rest_messages.metadata_json(self._handlers.get_model_metadata(request))
        status = get_model_status_pb2.GetModelStatusRequest()
        rest_messages.fill_spec(status.model_spec, name, version, label)
        return rest_messages.message_json(self._handlers.get_model_status(status))

    async def _predict(self, request: Request, match: re.Match, exchange: Exchange) -> str:
        claim = self._budget.claim()
        try:
            body = await self._body(request, claim, exchange)
            exchange.queued = time.monotonic()
            end = exchange.queued + self._timeout_s
            post = functools.partial(self._post, body, *match.groups(), claim=claim, end=end, exchange=exchange)
            running = self._pool.submit(post)
            del post  # it holds the body
        except BaseException:
            claim.release()
            raise
        # With the thread and not with the request: a run that is stopped late still holds its body.
        running.add_done_callback(lambda _: claim.release())
        try:
            async with asyncio.timeout(self._timeout_s + _STOPPING_S):
                return await asyncio.wrap_future(running)
        except TimeoutError as error:
            raise ServingError(_Code.DEADLINE_EXCEEDED, f"Timed out after {self._timeout_s:g} s") from error
        finally:
            # It holds the error, which holds this frame: a circle, and with it the body until the next full collection.
            del running

    def _post(
        self,
        body: bytearray,
        name: str,
        version: str | None,
        label: str | None,
        method: str,
        *,
        claim: Claim,
        end: float,
        exchange: Exchange,
    ) -> str:
        exchange.started = time.monotonic()
        REQUEST_ID.set(exchange.request_id)  # of this thread until its next prediction
        if time.monotonic() > end:
            raise ServingError(_Code.DEADLINE_EXCEEDED, "Timed out before the run could start")
        if method.lower() != "predict":
            raise ServingError(_Code.UNIMPLEMENTED, f":{method} is not served by this server; :predict is")
        label = None if label is None else urllib.parse.unquote(label)
        asked = Asked(urllib.parse.unquote(name), rest_messages.version_number(version), label)
        codec = Json(body, functools.partial(self._charge, claim), end)
        return self._handlers.data_plane.predict(asked, codec, exchange)

    def _charge(self, claim: Claim, values: int, what: str) -> None:
        """Takes what `values` of JSON need as objects, before there are any: 64 KB of gzip may hold 30 million.

        Raises:
            _Refused: 413, there can never be as much.
            ServingError: UNAVAILABLE, there is not as much now.
        """
        most = self._budget.largest // json_tensors.VALUE_BYTES
        if values > most:
            raise _Refused(
                413, f"the {what} has up to {values} JSON values; this server takes at most {most}: use gRPC"
            )
        if not claim.grow(values * json_tensors.VALUE_BYTES):
            raise self._no_room()


class RestServer:
    """The application listening in a thread of its own.

    Args:
        handlers, pool, max_body_bytes, limits, budget, timeout_s, pages, observers, cors: as for `RestApp`.
        host: address to listen on.
        port: 0 takes a free one.

    Attributes:
        port: the port it listens on.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(
        self,
        handlers: Handlers,
        pool: PredictionPool,
        host: str,
        port: int,
        *,
        max_body_bytes: int,
        limits: Limits,
        budget: ByteBudget,
        timeout_s: float,
        pages: Mapping[str, Page],
        observers: Sequence[Observer] = (),
        cors: bool = False,
    ):
        limits = dataclasses.replace(limits, connections=connections_allowed(limits.connections))
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # With its protocol named: asyncio turns Nagle's algorithm off (TCP_NODELAY) only where it says TCP, and without
        # that every answer on a kept connection waits for the client's delayed ACK, 40 ms.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(2048)  # before uvicorn does: callers may connect as soon as the server is made
        except OSError:
            self._socket.close()
            raise
        self.port = self._socket.getsockname()[1]
        self._socket.setblocking(False)
        self._app = RestApp(handlers, pool, max_body_bytes, limits, budget, timeout_s, pages, observers, cors)
        # An upgrade to WebSocket is answered as the plain request it is, like upstream's server does.
        config = uvicorn.Config(
            self._app,
            http=GuardedProtocol,
            lifespan="off",
            ws="none",
            log_level="warning",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=math.ceil(limits.idle_s),
            h11_max_incomplete_event_size=limits.header_bytes,
        )
        self._config = config
        self._server = GuardedServer(config, limits)
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def refuse(self, grace_s: float) -> None:
        """Refuses new requests from now on, also on open connections; those under way get `grace_s` seconds."""
        self._app.ending = True
        self._config.timeout_graceful_shutdown = max(1, round(grace_s))
        self._server.should_exit = True

    def close(self) -> None:
        """Waits for the requests under way, after `refuse`."""
        self._thread.join((self._config.timeout_graceful_shutdown or 0) + 5)
        self._socket.close()


def _error(message: str) -> str:
    return json.dumps({"error": message})
