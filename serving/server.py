"""The embedded server: registry, sources and transports put together.

Speaks TensorFlow Serving's gRPC and REST API where the real binary is not at hand.
"""

import logging
import math
import pathlib
import threading
import time
from collections.abc import Collection, Mapping, Sequence

import grpc

from graft.models.errors import GraftError
from graft.serving import log_rate, manifest, warmup
from graft.serving import observers as observing
from graft.serving.data_plane import DEFAULT_MAX_BATCH, DataPlane
from graft.serving.engine import Engine
from graft.serving.grpc_service import GrpcServer
from graft.serving.handlers import Handlers
from graft.serving.limits import GRPC_TIMEOUT_S, REST_TIMEOUT_S, ByteBudget, Limits
from graft.serving.observers import Observer, ServerState
from graft.serving.pointer import Unreachable
from graft.serving.prediction_pool import PredictionPool
from graft.serving.registry import ModelRegistry
from graft.serving.sources import FolderSource, Source, StoreSource
from graft.serving.status import ServingError
from graft.serving.store import ModelStore, open_store

DEFAULT_MAX_MESSAGE_BYTES = 64 << 20
_UNLOAD_S = 5.0

logger = logging.getLogger(__name__)


class ServerError(GraftError):
    """The server cannot start."""


class EmbeddedServer:
    """Serves models over gRPC and REST, in this process; a context manager.

    Args:
        store: a model store whose pointers are followed, or its address.
        models: folder by model name: of one SavedModel, or a base path whose newest numbered folder is served.
        host: address to listen on.
        port: for gRPC; 0 takes a free one.
        rest_port: for REST; 0 takes a free one, None leaves REST off, and so does the gRPC port (with an error logged).
        freeze: run models with their variables frozen to constants where that changes no answer.
        poll_s: seconds between two looks at the store or the folders.
        max_message_bytes: cap of one request, gRPC or REST.
        rest_timeout_s: a REST request that runs longer is stopped.
        grpc_timeout_s: a gRPC call that runs longer is stopped, whatever its own deadline.
        drain_s: seconds that calls under way get when the server stops.
        verify: refuse a store's version whose files are not as its manifest says.
        threads: predictions worked on at once, gRPC and REST together; four a core if None.
        tensor_content: answer with raw tensor bytes in place of typed fields.
        max_batch: most strings in one input of a request; more are INVALID_ARGUMENT.
        retry_s: pause before a version that failed to load is tried again.
        trusted: names of the models that may do more than compute (see `models.saved_model_check`).
        limits: what is taken of all clients together, and how long it is waited for any.
        observers: who is told of each served request; closed when the server stops.

    Raises:
        ServerError: neither a store nor models are given, or the limits do not go together.
    """

    def __init__(
        self,
        store: ModelStore | str | pathlib.Path | None = None,
        models: Mapping[str, str | pathlib.Path] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        rest_port: int | None = 0,
        freeze: bool = True,
        poll_s: float = 1.0,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        rest_timeout_s: float = REST_TIMEOUT_S,
        grpc_timeout_s: float = GRPC_TIMEOUT_S,
        drain_s: float = 30.0,
        verify: bool = True,
        threads: int | None = None,
        tensor_content: bool = False,
        max_batch: int = DEFAULT_MAX_BATCH,
        retry_s: float = 60.0,
        trusted: Collection[str] = (),
        limits: Limits = Limits(),  # noqa: B008 - frozen
        observers: Sequence[Observer] = (),
    ):
        if store is None and not models:
            raise ServerError("nothing to serve: give a store or models by name")
        self._sources: list[Source] = [FolderSource(name, path) for name, path in (models or {}).items()]
        self._store: ModelStore | None = None
        if store is not None:
            store = store if isinstance(store, ModelStore) else open_store(store)
            self._store = store
            self._sources.append(StoreSource(store))
        self._host, self._port, self._rest_port = host, port, rest_port
        self._freeze, self._verify, self._trusted = freeze, verify, frozenset(trusted)
        self._poll_s, self._drain_s = poll_s, drain_s
        self._max_message_bytes = max_message_bytes
        self._rest_timeout_s, self._grpc_timeout_s = rest_timeout_s, grpc_timeout_s
        for name, value in (("rest_timeout_s", rest_timeout_s), ("grpc_timeout_s", grpc_timeout_s)):
            if value <= 0:
                raise ServerError(f"{name} is {value}; it must be more than 0")
        if max_message_bytes * 4 > limits.pending_bytes * 3:
            raise ServerError(
                f"limits.pending_bytes is {limits.pending_bytes}; with requests of up to {max_message_bytes} bytes "
                f"it must be at least {math.ceil(max_message_bytes * 4 / 3)}"
            )
        self._limits, self._budget = limits, ByteBudget(limits.pending_bytes)
        self._pool = PredictionPool(threads)
        self._observers, self._pages = tuple(observers), observing.pages(observers)
        self._required = set(models or {})
        self._reported: set[str] = set()
        self.registry = ModelRegistry(self._load, retry_s=retry_s)
        self._data_plane = DataPlane(self.registry, max_batch, limits.announced, self._observers)
        for observer in self._observers:
            observer.attach(self.state)
        self.handlers = Handlers(self.registry, self._data_plane, tensor_content)
        self._ending = threading.Event()
        self._stopped = False
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._grpc: GrpcServer | None = None
        self._rest = None

    @property
    def grpc_address(self) -> str:
        """`host:port` of the open gRPC port."""
        if self._grpc is None:
            raise ServerError("the server has not been started")
        return f"{self._bracketed}:{self._grpc.port}"

    @property
    def serves_rest(self) -> bool:
        """Whether there is a `rest_address`."""
        return self._rest is not None

    @property
    def rest_address(self) -> str:
        """`http://host:port` of the open REST port. Raises ServerError if REST is off."""
        if self._rest is None:
            raise ServerError("REST is off or the server has not been started")
        return f"http://{self._bracketed}:{self._rest.port}"

    @property
    def _bracketed(self) -> str:
        """The host as an address writes it: an IPv6 one in brackets."""
        return f"[{self._host}]" if ":" in self._host else self._host

    def state(self) -> ServerState:
        """What the server is at."""
        return ServerState(
            self.registry.states(),
            self._pool.running,
            self._pool.waiting,
            self._pool.max_calls,
            self._budget.held,
            self._budget.total,
        )

    def start(self, wait_s: float | None = 300.0) -> bool:
        """Loads the models, then opens the ports: an open port means ready.

        Args:
            wait_s: how long to wait for a first version where there is none yet; None waits for ever.

        Returns:
            True; False if `interrupt` ended the wait.

        Raises:
            ServerError: a model could not be loaded, nothing to serve came in time, or a port is taken.
        """
        log_rate.install()
        try:
            if not self._wait_until_available(wait_s):
                self.stop(0)
                return False
            self._open()
        except BaseException:
            self.stop(0)
            raise
        self._watcher.start()
        return True

    def interrupt(self) -> None:
        """Ends a wait in `start` and says NOT_SERVING; safe in a signal handler. `stop` is still to be called."""
        self._ending.set()
        if self._grpc is not None:
            self._grpc.announce_end()

    def stop(self, drain_s: float | None = None) -> bool:
        """Says NOT_SERVING, refuses new calls, waits for those under way, unloads the models.

        Args:
            drain_s: seconds for the calls under way; by default as given to the server.

        Returns:
            Whether all calls had ended in time; else their threads and models are still there.
        """
        if self._stopped:
            return True
        self._stopped = True
        self.interrupt()
        drain_s = self._drain_s if drain_s is None else drain_s
        # Both refuse before either waits.
        ended = None if self._grpc is None else self._grpc.refuse(drain_s)
        if self._rest is not None:
            self._rest.refuse(drain_s)
        if self._grpc is not None and ended is not None:
            ended.wait()
            self._grpc.close()
        if self._rest is not None:
            self._rest.close()
        self._pool.shutdown(wait=False)
        if self._watcher.is_alive():
            self._watcher.join()
        drained = self.registry.close(_UNLOAD_S)
        observing.close(self._observers)
        if not drained:
            logger.error("calls were still running %g s after the server refused new ones: left behind", drain_s)
        return drained

    def __enter__(self) -> "EmbeddedServer":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def _open(self) -> None:
        try:
            address = f"{self._bracketed}:{self._port}"
            self._grpc = GrpcServer(
                self.handlers,
                address,
                self._max_message_bytes,
                self._pool,
                self._limits,
                self._budget,
                self._grpc_timeout_s,
                self._observers,
            )
        except RuntimeError as error:
            raise ServerError(f"gRPC port {self._port} on {self._host} cannot be opened: {error}") from error
        if self._rest_port is not None:
            if self._rest_port and self._rest_port == self._grpc.port:
                logger.error("REST port %d is the gRPC port: REST is not served", self._rest_port)
            else:
                self._rest = self._open_rest(self._rest_port)
        self._grpc.start()
        logger.info("gRPC on %s%s", self.grpc_address, f", REST on {self.rest_address}" if self._rest else "")

    def _open_rest(self, port: int):
        # Imported here: a server without REST does not need starlette and uvicorn.
        from graft.serving import rest

        try:
            return rest.RestServer(
                self.handlers,
                self._pool,
                self._host,
                port,
                max_body_bytes=self._max_message_bytes,
                limits=self._limits,
                budget=self._budget,
                timeout_s=self._rest_timeout_s,
                pages=self._pages,
                observers=self._observers,
            )
        except OSError as error:
            raise ServerError(f"REST port {port} on {self._host} cannot be opened: {error.strerror}") from error

    def _load(self, model: str, number: int, path: pathlib.Path) -> Engine:
        # Every version of a store has a manifest; a plain folder may have none.
        root = self._store.local_root if self._store is not None else None
        stored = root is not None and path.is_relative_to(root)
        if stored and self._store is not None and not self._store.is_local:
            path = self._brought(self._store, model, number)
        if self._verify and (stored or (path / manifest.NAME).exists()):
            faults = manifest.problems(path, root if stored else None)
            if faults:
                raise ServingError(grpc.StatusCode.DATA_LOSS, f"{path} is not whole: {'; '.join(faults)}")
        engine = Engine(path, freeze=self._freeze, trusted=model in self._trusted)
        try:
            count = warmup.warm_up(engine, self._data_plane)
        except BaseException:
            engine.close()
            raise
        logger.info("%s version %d: %d warm-up requests", model, number, count)
        return engine

    def _brought(self, store: ModelStore, model: str, number: int) -> pathlib.Path:
        try:
            return store.version_path(model, number)
        except Unreachable as error:
            raise ServingError(grpc.StatusCode.UNAVAILABLE, str(error)) from error
        except GraftError as error:
            raise ServingError(grpc.StatusCode.DATA_LOSS, str(error)) from error

    def _poll(self) -> None:
        for source in self._sources:
            for model, wanted in source.poll().items():
                self.registry.want(model, wanted)

    def _watch(self) -> None:
        while not self._ending.wait(self._poll_s):
            try:
                self._poll()
            except Exception:
                # The watch must outlive any fault of a file system; what is served goes on being served.
                logger.exception("a look at the models failed")

    def _wait_until_available(self, wait_s: float | None) -> bool:
        end = None if wait_s is None else time.monotonic() + wait_s
        warned = False
        while True:
            self._poll()
            if self._settled():
                return True
            if not warned:
                logger.warning("nothing to serve yet: waiting for a first version")
                warned = True
            if self._ending.wait(self._poll_s):
                return False
            if end is not None and time.monotonic() > end:
                raise ServerError(f"nothing to serve came within {wait_s} s")

    def _settled(self) -> bool:
        """Whether what can be served is available. Models given by name must all be; of a store's, one is enough.

        Raises:
            ServerError: a model that must be there cannot be loaded, or none can.
        """
        names = self.registry.models()
        missing = {name for name in names if not self.registry.wait_settled(name)}
        failed = {name for name in missing if self._errors(name)}
        if failed:
            reasons = "; ".join(error for name in sorted(failed) for error in self._errors(name))
            message = f"{len(failed)} servable(s) did not become available: {{{reasons}}}"
            if failed & self._required or missing == set(names):
                raise ServerError(message)
            if failed - self._reported:
                logger.error("%s; the others are served", message)
                self._reported |= failed
        return missing == failed and len(missing) < len(names)

    def _errors(self, model: str) -> list[str]:
        try:
            versions = self.registry.status(model)
        except ServingError:
            return []
        return [f"{{name: {model} version: {v.number}}} due to error: {v.error}" for v in versions if v.error]
