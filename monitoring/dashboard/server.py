"""The HTTP side of the dashboard: GET and HEAD only, for callers that asked this machine by its own name."""

import http
import http.server
import ipaddress
import logging
import socket
import urllib.parse

from graft.monitoring.dashboard.pages import Page, Pages
from graft.monitoring.dashboard.places import Places

_STALL_S = 10.0
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ALLOWED = "GET, HEAD"

logger = logging.getLogger(__name__)


class Server(http.server.ThreadingHTTPServer):
    """Serves the pages of some places.

    Args:
        host: address to listen on.
        port: 0 for a free one.
        places: what is shown.

    Raises:
        OSError, OverflowError: it cannot listen there.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, places: Places):
        self.host, self.pages = host, Pages(places)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def address(self) -> str:
        """Of the first page."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_port}/"

    def server_bind(self) -> None:
        """As the base does, without a look-up of the machine's name, which may wait for a name server."""
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = self.host, self.server_address[1]

    def is_own_name(self, host: str) -> bool:
        """Whether a Host header names this machine as its user would.

        A page of another site whose name was made to point here (DNS rebinding) asks by that site's name. Addresses
        are no names, so all of them pass; the port does not count, for it may be forwarded (ssh -L).
        """
        name = urllib.parse.urlsplit(f"//{host}").hostname or ""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in {"localhost", self.host.lower(), socket.gethostname().lower()}
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that goes away is no news."""
        logger.debug("%s: the connection broke off", client_address, exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _STALL_S
    server: Server
    server_version, sys_version = "graft", ""
    default_request_version = "HTTP/1.0"  # what is no request gets a status, too

    def do_GET(self) -> None:
        self._give(self._page())

    def do_HEAD(self) -> None:
        self._give(self._page())

    def _page(self) -> Page:
        hosts = self.headers.get_all("Host", [])
        try:
            known = len(hosts) == 1 and self.server.is_own_name(hosts[0])
        except ValueError:  # of brackets that do not close
            known = False
        if not known:
            status = http.HTTPStatus.MISDIRECTED_REQUEST
            return Page.plain(status, "this name is not known here; ask by address, localhost or what --host says")
        try:
            return self.server.pages.page(self.path)
        except Exception:  # of one page: the server goes on, and who runs it is told
            logger.exception("%s: the page cannot be made", self.path)
            return Page.plain(http.HTTPStatus.INTERNAL_SERVER_ERROR, "the page cannot be made; the log says why")

    def _give(self, page: Page, headers: dict[str, str] | None = None) -> None:
        self.send_response(page.status)
        for name, value in ({"Content-Type": page.media_type} | _HEADERS | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page.content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses: other methods, lines that are no request or too long."""
        status = http.HTTPStatus(code)
        if status is http.HTTPStatus.NOT_IMPLEMENTED:
            status = http.HTTPStatus.METHOD_NOT_ALLOWED
        headers = {"Allow": _ALLOWED} if status is http.HTTPStatus.METHOD_NOT_ALLOWED else None
        self.close_connection = True
        self._give(Page.plain(status, status.phrase), headers)

    def log_message(self, format: str, *args: object) -> None:
        """A request is no news."""
