"""A server on loopback that answers as the Kubernetes API does for the objects of a job, and keeps them.

Every object is checked as it comes (`schema_for_tests`). One that is deleted stays while `lingering` says so, as one
does whose pods still run.
"""

import contextlib
import http.server
import json
import re
import threading
from typing import Any

import schema_for_tests as schema

_PATH = re.compile(
    r"/apis/(?P<api>[^/]+/[^/]+)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/?]+)(?:/(?P<name>[^/?]+))?"
)
_KINDS = {"trainingruntimes": "TrainingRuntime", "trainjobs": "TrainJob", "tfjobs": "TFJob"}


class KubernetesServer:
    """State and faults of one server; a context manager that listens while it is open.

    Attributes:
        objects: by plural and name.
        asked: method and plural of each request that was answered well.
        refuse: plural to the status that all that is asked of it gets, and the message.
        away: how many requests are still answered with 503.
        lingering: how many requests an object is still there after it was deleted.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.asked: list[str] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        self.away = self.lingering = 0

    def condition(self, name: str, kind: str, reason: str = "", message: str = "") -> None:
        """Gives the job of a name a condition."""
        for (plural, held), one in self.objects.items():
            if held == name and plural != "trainingruntimes":
                told = {"type": kind, "status": "True", "reason": reason, "message": message}
                one.setdefault("status", {}).setdefault("conditions", []).append(told)

    def __enter__(self) -> "KubernetesServer":
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, value = outer._answer(self.command, self.path, body)
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = _do

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        found = _PATH.match(path)
        if found is None or found["plural"] not in _KINDS:
            return _status(404, "the server could not find the requested resource")
        plural, name = found["plural"], found["name"]
        if self.away:
            self.away -= 1
            return _status(503, "the server is currently unable to handle the request")
        if plural in self.refuse:
            return _status(*self.refuse[plural])
        if method == "POST":
            return self._make(found["api"], found["namespace"], plural, body or {})
        held = self.objects.get((plural, name))
        if held is not None and "deletionTimestamp" in held["metadata"]:
            if not self.lingering:
                del self.objects[plural, name]
                held = None
            self.lingering -= bool(self.lingering)
        if held is None:
            return _status(404, f'{plural} "{name}" not found')
        self.asked.append(f"{method} {plural}")
        if method == "DELETE":
            assert (body or {}).get("propagationPolicy") == "Foreground"
            held["metadata"]["deletionTimestamp"] = "2026-11-22T08:00:00Z"
        return 200, held

    def _make(self, api: str, namespace: str, plural: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if (body.get("apiVersion"), body.get("kind")) != (api, _KINDS[plural]):
            return _status(400, f"the object provided is unrecognized: {body.get('apiVersion')} {body.get('kind')}")
        if faults := schema.faults(body):
            return _status(422, faults[0])
        name = body["metadata"]["name"]
        if (plural, name) in self.objects:
            return _status(409, f'{plural} "{name}" already exists')
        self.asked.append(f"POST {plural}")
        body["metadata"]["namespace"] = namespace
        self.objects[plural, name] = body
        return 201, body


def _status(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


@contextlib.contextmanager
def api_of(server: KubernetesServer) -> Any:
    """A client of the server."""
    import kubernetes.client

    settings = kubernetes.client.Configuration(host=server.address)
    settings.retries = 0
    yield kubernetes.client.ApiClient(settings)
