"""`graft metrics`: series of runs, store and labels for Prometheus, printed, as a textfile or by HTTP."""

import argparse
import http.server
import logging
import threading
from collections.abc import Callable

from graft.models import durable
from graft.models.errors import GraftError
from graft.monitoring.collect import Collector
from graft.monitoring.ending import asked_to_end
from graft.monitoring.exposition import MEDIA_TYPE
from graft.pipeline.output import answer

EXIT_FAULTS = 1
PATH = "/metrics"
_STALL_S = 10.0

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Runs the command; 1 if something could not be read and it was asked for once only."""
    # Imported here: a mistyped option does without.
    from graft.monitoring.label_series import Labels
    from graft.monitoring.run_series import Runs
    from graft.monitoring.store_series import Store

    parts: dict[str, Callable[[], list[str]]] = {"runs": Runs(args.root, args.expect_every).lines}
    if args.store is not None:
        parts["store"] = Store(args.store).lines
    if args.log is not None:
        parts["labels"] = Labels(args.log).lines
    if args.textfile is not None and args.textfile.suffix != ".prom":
        raise GraftError(f"--textfile: {args.textfile}: node_exporter reads files that end in .prom only")
    collector = Collector(parts)
    if args.port is None and args.every is None:
        page = collector.page()
        if args.textfile is not None:
            durable.write_atomic(args.textfile, page.encode())
            answer(args, {"textfile": str(args.textfile), "faults": collector.faults}, f"wrote {args.textfile}")
        else:
            answer(args, {"metrics": page, "faults": collector.faults}, *page.splitlines())
        return EXIT_FAULTS if collector.faults else 0
    if args.port is None and args.textfile is None:
        raise GraftError("--every is given without --textfile or --port: say where the series go")
    return _serve(args, collector)


def _serve(args: argparse.Namespace, collector: Collector) -> int:
    """Collects again and again until SIGTERM or SIGINT."""
    logging.getLogger("graft.monitoring").setLevel(logging.INFO)
    server = None
    with asked_to_end() as ended:
        try:
            pages = [_collected(args, collector)]
            if args.port is not None:
                server = _opened(args, pages)
                threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
                address = f"http://{args.host}:{server.server_port}{PATH}"
                answer(args, {"metrics": address}, f"ready: {address}")
            while not ended.wait(args.every or 60.0):
                pages[0] = _collected(args, collector)
        finally:
            if server is not None:
                server.shutdown()
                server.server_close()
    return 0


def _opened(args: argparse.Namespace, pages: list[bytes]) -> "_Server":
    try:
        return _Server((args.host, args.port), pages)
    except (OSError, OverflowError) as error:
        raise GraftError(f"--port {args.port} on {args.host} cannot be opened: {error}") from error


def _collected(args: argparse.Namespace, collector: Collector) -> bytes:
    page = collector.page().encode()
    if args.textfile is not None:
        try:
            durable.write_atomic(args.textfile, page)
        except OSError as error:  # the next look may find room; Prometheus sees the age of the file
            logger.error("%s: %s", args.textfile, error.strerror)
    return page


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], pages: list[bytes]):
        self.pages = pages
        super().__init__(address, _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _STALL_S
    server: _Server

    def do_GET(self) -> None:
        content = self.server.pages[0] if self.path == PATH else f"only {PATH} is served\n".encode()
        self.send_response(200 if self.path == PATH else 404)
        self.send_header("Content-Type", MEDIA_TYPE if self.path == PATH else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape is no news."""
