"""Serves a store: by tensorflow_model_server where that is on the PATH, else by the embedded server."""

import contextlib
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from graft.models.errors import GraftError
from graft.serving.address import MOST_PORT
from graft.serving.store import ModelStore, open_store

if TYPE_CHECKING:
    from graft.serving.observers import Observer

BINARY = "tensorflow_model_server"
CONFIG_POLL_S = 1
_ENDING = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger(__name__)


def serve_command(
    binary: str, config: str, grpc_port: int, rest_port: int | None, extra: tuple[str, ...] = ()
) -> list[str]:
    """The command line of a real TensorFlow Serving that follows `models.config`; `rest_port` None leaves REST off."""
    return [
        binary,
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port or 0}",
        f"--model_config_file={config}",
        f"--model_config_file_poll_wait_seconds={CONFIG_POLL_S}",
        *extra,
    ]


def serve(
    store: str | pathlib.Path | ModelStore,
    grpc_port: int = 8500,
    rest_port: int | None = 8501,
    *,
    host: str | None = None,
    embedded: bool | None = None,
    drain_s: float = 30.0,
    freeze: bool = True,
    trusted: Collection[str] = (),
    timeout_s: float | None = None,
    observers: "Sequence[str | Callable[[], Observer]]" = (),
    extra: tuple[str, ...] = (),
    on_ready: Callable[[str, str | None], None] | None = None,
) -> int:
    """Serves every model of a store until SIGTERM or SIGINT; call it from the main thread.

    The first signal lets calls under way end (health says NOT_SERVING); a second one ends at once.

    Args:
        store: the store whose pointers are followed, or its address.
        grpc_port: 0 takes a free one (embedded server only).
        rest_port: as `grpc_port`; None leaves REST off.
        host: address to listen on (embedded server only, 127.0.0.1 by default; the real one listens on all).
        embedded: True or False chooses the server; None takes the real one where it is on the PATH and can read the
            store.
        drain_s: seconds for calls under way.
        freeze: as for `serving.server.EmbeddedServer`; only there can it be turned off.
        trusted: as for `serving.server.EmbeddedServer`; the real server trusts every model.
        timeout_s: a request that runs longer is stopped (embedded server only); None takes that server's own limits.
        observers: who is told of each request: names of installed observers, or what makes one (embedded server only).
        extra: more arguments for the real server.
        on_ready: called with the gRPC and the REST address once the ports are open (embedded server only).

    Returns:
        The exit status: 0 after a drain, else that of the real server. After a second signal, or if calls are
        still running when `drain_s` is over, the process ends with status 1.

    Raises:
        GraftError: the embedded server cannot start, or the real one was asked for what only the embedded one can.
        StoreError: there is no store.
        FileNotFoundError: `embedded=False` and the real server is not on the PATH.
    """
    for name, port in (("gRPC", grpc_port), ("REST", rest_port)):
        if port is not None and not 0 <= port <= MOST_PORT:
            raise GraftError(f"{name} port: received {port}; allowed: 0 (a free one) to {MOST_PORT}")
    store = store if isinstance(store, ModelStore) else open_store(store)
    store.models()  # a mistyped path must fail now, not wait for a first version
    binary = shutil.which(BINARY)
    if embedded is False and binary is None:
        raise FileNotFoundError(f"{BINARY} is not on the PATH")
    if not store.is_local and not embedded:
        if embedded is False:
            raise GraftError(
                f"{BINARY} reads no s3:// since version 2.7, so it cannot serve {store.address}; use the embedded "
                "server, or give it a copy of the store with mounted.config"
            )
        if binary is not None:
            logger.info("%s reads no s3://: not used", binary)
            binary = None
    if binary is not None and not embedded:
        asked = {
            "host": host is not None,
            "port 0": 0 in (grpc_port, rest_port),
            "no-freeze": not freeze,
            "trust": bool(trusted),
            "timeout": timeout_s is not None,
            "observe": bool(observers),
        }
        unknown = [name for name, given in asked.items() if given]
        if unknown:
            raise GraftError(
                f"{binary} listens on all interfaces, at the ports given, and has no option for: {', '.join(unknown)}; "
                "leave that out or use the embedded server (--embedded)"
            )
        logger.info("serving %s with %s (it listens on all interfaces)", store.address, binary)
        return _run_real(serve_command(binary, store.write_models_config(), grpc_port, rest_port, extra))
    logger.info("serving %s with Graft's embedded server", store.address)
    return _run_embedded(
        store, grpc_port, rest_port, host or "127.0.0.1", drain_s, on_ready, freeze, trusted, timeout_s, observers
    )


def _run_real(command: list[str]) -> int:
    servers: list[subprocess.Popen] = []
    came: list[int] = []

    def forward(number: int, _frame) -> None:
        # The real server has no handler and no drain: the signal ends it at once, so the deployment has to drain.
        came.append(number)
        for server in servers:
            server.send_signal(number)

    with _handling(forward, *_ENDING):
        servers.append(subprocess.Popen(command))
        for number in came:  # while it was being started
            servers[0].send_signal(number)
        status = servers[0].wait()
    logger.info("%s ended with status %d", command[0], status)
    return 0 if status in (-signal.SIGTERM, -signal.SIGINT) else status


def _run_embedded(
    store: ModelStore,
    grpc_port: int,
    rest_port: int | None,
    host: str,
    drain_s: float,
    on_ready: Callable[[str, str | None], None] | None,
    freeze: bool,
    trusted: Collection[str],
    timeout_s: float | None,
    observers: "Sequence[str | Callable[[], Observer]]",
) -> int:
    # gRPC's core writes a line for much that a client does wrong, past Python's logging and its filter of repetitions.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Imported here: TensorFlow is not needed to start the real server.
    from graft.serving import observers as observing
    from graft.serving.limits import GRPC_TIMEOUT_S, REST_TIMEOUT_S
    from graft.serving.server import EmbeddedServer

    made = observing.load(observers)
    paths = [path for path, page in observing.pages(made).items() if page.needed]
    if rest_port is None and paths:
        observing.close(made)
        raise GraftError(f"{', '.join(paths)} would be on the REST port, which is off; give --rest-port a number")
    server = EmbeddedServer(
        store,
        host=host,
        port=grpc_port,
        rest_port=rest_port,
        rest_timeout_s=REST_TIMEOUT_S if timeout_s is None else timeout_s,
        grpc_timeout_s=GRPC_TIMEOUT_S if timeout_s is None else timeout_s,
        drain_s=drain_s,
        freeze=freeze,
        trusted=trusted,
        observers=made,
    )
    asked = threading.Event()

    def end(number: int, _frame) -> None:
        if asked.is_set():
            logger.warning("second signal: ending at once")
            os._exit(1)
        logger.info("%s: no new calls, waiting up to %g s for those under way", signal.Signals(number).name, drain_s)
        asked.set()
        server.interrupt()

    def reopen(*_) -> None:
        for observer in made:
            observer.reopen()

    with _handling(end, *_ENDING), _handling(reopen, *([signal.SIGHUP] if any(one.reopens for one in made) else [])):
        if not server.start(wait_s=None):
            return 0
        if on_ready is not None:
            on_ready(server.grpc_address, server.rest_address if server.serves_rest else None)
        asked.wait()
        drained = server.stop()
    if not drained:
        logger.error("not drained: ending all the same")
        logging.shutdown()
        os._exit(1)  # a thread in TensorFlow cannot be stopped, and the interpreter would wait for it
    logger.info("drained")
    return 0


@contextlib.contextmanager
def _handling(handler: Callable, *numbers: signal.Signals) -> Iterator[None]:
    """These signals go to `handler` inside the `with` block."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
