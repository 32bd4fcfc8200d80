"""A server on loopback that answers as the Kubeflow Pipelines API does, and keeps what it was sent.

Every request body is checked against the models of the official client: a key that a model lacks, or a value of another
type, is answered with 400, as the real server does. So is what its own checks refuse (api server, 2.x).
"""

import contextlib
import datetime
import http.server
import json
import re
import ssl
import threading
import urllib.parse
import uuid
from typing import Any

import kfp_server_api.models as models

TOKEN = "a-token.for-tests"
_NATIVE = {"str": str, "bool": bool, "int": int, "object": dict}


class Refused(Exception):
    """What is answered in place of a result."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def check(value: Any, kind: str, where: str = "body") -> None:
    """Raises Refused unless a JSON value is one of a type of the API's description."""
    if found := re.fullmatch(r"list\[(.*)\]", kind):
        for number, one in enumerate(value):
            check(one, found[1], f"{where}[{number}]")
    elif found := re.fullmatch(r"dict\(str, (.*)\)", kind):
        for key, one in value.items():
            if found[1] != "object":
                check(one, found[1], f"{where}.{key}")
    elif kind == "datetime":
        datetime.datetime.fromisoformat(value)
    elif kind in _NATIVE:
        if not isinstance(value, _NATIVE[kind]):
            raise Refused(400, f"{where}: {value!r} is no {kind}")
    else:
        model = getattr(models, kind)
        if not model.openapi_types:  # an enumeration
            allowed = [held for name, held in vars(model).items() if name.isupper()]
            if value not in allowed:
                raise Refused(400, f"{where}: {value!r} is none of {allowed}")
            return
        kinds = {model.attribute_map[name]: held for name, held in model.openapi_types.items()}
        for key, one in value.items():
            if key not in kinds:
                raise Refused(400, f"{where}: unknown field {key!r} of {kind}")
            check(one, kinds[key], f"{where}.{key}")


class KfpServer:
    """State and faults of one server; a context manager that listens while it is open."""

    def __init__(self, token: str | None = TOKEN, tls: ssl.SSLContext | None = None):
        self.token = token
        self.scheme = "https" if tls else "http"
        self.experiments: dict[str, dict] = {}
        self.runs: dict[str, dict] = {}
        self.recurring_runs: dict[str, dict] = {}
        self.logs: dict[str, str] = {}
        """By name of the pod."""
        self.requests: list[tuple[str, str]] = []
        """Method and path of each request, faults included."""
        self.enabled_at_once = 0
        """The most recurring runs of one name that were enabled at any time."""
        self.faults: list[tuple[str, str, Any]] = []
        self.seconds = 0
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._http.daemon_threads = True
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)

    def __enter__(self) -> "KfpServer":
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def host(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._http.server_port}"

    def fail(self, method: str, path: str, fault: Any, times: int = 1) -> None:
        """Lets the next requests of that kind fail.

        Args:
            method: of HTTP.
            path: a regular expression that is searched in the path.
            fault: a status, a status and body, `hang`, `drop`, `drop stored`, `html` or `redirect`.
            times: how many.
        """
        self.faults += [(method, path, fault)] * times

    def changes(self) -> list[str]:
        """What requests that change something did, in order: `create`, `enable`..."""
        return [
            method if method == "DELETE" else path.rpartition(":")[2] if ":" in path else "create"
            for method, path in self.requests
            if method != "GET"
        ]

    def of_name(self, name: str) -> list[dict]:
        return [one for one in self.recurring_runs.values() if one["display_name"] == name]

    def fault(self, method: str, path: str) -> Any:
        with self._lock:
            self.requests.append((method, path))
            for number, (wanted, pattern, _) in enumerate(self.faults):
                if wanted == method and re.search(pattern, path):
                    return self.faults.pop(number)[2]
        return None

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        with self._lock:
            found = self._answer(method, path, query, body)
            for name in {one["display_name"] for one in self.recurring_runs.values()}:
                enabled = sum(one["mode"] == "ENABLE" for one in self.of_name(name))
                self.enabled_at_once = max(self.enabled_at_once, enabled)
            return found

    def _answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        kind, _, rest = path.removeprefix("/apis/v2beta1/").partition("/")
        if log := re.fullmatch(r"/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", path):
            if log[1] not in self.runs or log[2] not in self.logs:
                raise Refused(500, f"Failed to read logs from pod {log[2]}: not found")
            return self.logs[log[2]]
        store = {"experiments": self.experiments, "runs": self.runs, "recurringruns": self.recurring_runs}.get(kind)
        if store is None:
            raise Refused(404, f"no such path: {path}")
        if method == "POST" and not rest:
            return self._create(kind, store, body)
        if method == "GET" and not rest:
            return self._page("recurringRuns" if kind == "recurringruns" else kind, store, query)
        name, _, verb = rest.partition(":")
        if name not in store:
            raise Refused(404, f"{kind} {name} not found")
        if method == "DELETE":
            del store[name]
            return {}
        if verb in ("enable", "disable"):
            store[name] |= {"mode": verb.upper(), "status": f"{verb.upper()}D"}
            return {}
        return store[name]

    def _create(self, kind: str, store: dict, body: Any) -> dict:
        model = {"experiments": "Experiment", "runs": "Run", "recurringruns": "RecurringRun"}[kind]
        check(body, f"V2beta1{model}")
        if not body.get("display_name"):
            raise Refused(400, "display_name is empty")
        if kind == "experiments":
            if any(one["display_name"] == body["display_name"] for one in store.values()):
                raise Refused(409, f"Already exist error: experiment {body['display_name']}")
        else:
            self._check_pipeline(body)
        if kind == "recurringruns":
            if not 1 <= int(body.get("max_concurrency", 0)) <= 10:
                raise Refused(400, "The max concurrency of the recurring run is out of range. Support 1-10.")
            if len(body["trigger"]["cron_schedule"]["cron"].split()) not in (5, 6):
                raise Refused(400, "Schedule cron is not a supported format")
            enabled = body.get("mode") == "ENABLE"
            body |= {"mode": "ENABLE" if enabled else "DISABLE", "status": "ENABLED" if enabled else "DISABLED"}
        if kind == "runs":
            body |= {"state": "PENDING", "finished_at": "1970-01-01T00:00:00Z"}
        # Whole seconds, and a second later each time where a test asks for it.
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.seconds * len(store))
        made = body | {"created_at": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
        key = {"experiments": "experiment_id", "runs": "run_id", "recurringruns": "recurring_run_id"}[kind]
        made[key] = str(uuid.uuid4())
        store[made[key]] = made
        return made

    def _check_pipeline(self, body: dict) -> None:
        if body.get("experiment_id") not in self.experiments:
            raise Refused(404, f"experiment {body.get('experiment_id')!r} not found")
        if "pipeline_spec" not in body:
            raise Refused(400, "Pipeline source is missing")
        spec = body["pipeline_spec"].get("pipeline_spec", body["pipeline_spec"])
        if spec.get("schemaVersion") != "2.1.0":
            raise Refused(400, f"schema version {spec.get('schemaVersion')!r} is not supported")
        config = body.get("runtime_config", {})
        declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        for name, of in declared.items():
            value = config.get("parameters", {}).get(name, of.get("defaultValue"))
            if value is None and not of.get("isOptional"):
                raise Refused(
                    400, f"parameter {name} is not optional, yet has neither default value nor user provided value"
                )
            if of["parameterType"] == "STRING" and not isinstance(value, str):
                raise Refused(400, f"input parameter {name} requires type string, but the parameter value is {value!r}")
        if unknown := set(config.get("parameters", {})) - set(declared):
            raise Refused(400, f"parameters {sorted(unknown)} are not defined in the pipeline")
        if not re.match(r"(minio|s3|gs)://", config.get("pipeline_root", "")):
            raise Refused(400, f"unrecognized pipeline root format: {config.get('pipeline_root')!r}")

    def _page(self, kind: str, store: dict, query: dict[str, str]) -> dict:
        found = list(store.values())
        if query.get("experiment_id"):
            found = [one for one in found if one.get("experiment_id") == query["experiment_id"]]
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            assert predicate.pop("operation") in ("EQUALS", 1), "the only one that is in use"
            key, value = predicate["key"], predicate["stringValue"]
            found = [one for one in found if one[key].lower() == value.lower()]  # as MySQL compares
        if query.get("sort_by") == "created_at desc":
            found = found[::-1]
        start, size = int(query.get("page_token") or 0), int(query.get("page_size") or 20)
        more = {"next_page_token": str(start + size)} if start + size < len(found) else {}
        return {kind: found[start : start + size], "total_size": len(found), **more}


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: KfpServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: two wait for each other's acknowledgement
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        path = urllib.parse.unquote(path)
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        fault = self.owner.fault(self.command, path)
        if fault == "hang":
            self.owner.released.wait(30)
        if fault in ("hang", "drop"):
            self.close_connection = True
            return
        if fault == "html":
            return self._send(200, "<html>Log in</html>", "text/html")
        if fault == "redirect":
            return self._send(302, "", "text/plain", location=f"{self.owner.host}/login")
        try:
            if fault is not None and fault != "drop stored":
                status, words = fault if isinstance(fault, tuple) else (fault, f"told to fail with {fault}")
                raise Refused(status, words)
            if self.owner.token and self.headers.get("authorization") != f"Bearer {self.owner.token}":
                raise Refused(401, f"Request header error: received {self.headers.get('authorization')}")
            found = self.owner.answer(
                self.command, path, dict(urllib.parse.parse_qsl(query)), json.loads(content) if content else None
            )
        except Refused as error:
            return self._send(error.status, json.dumps({"error": str(error), "message": str(error), "code": 3}))
        if fault == "drop stored":
            self.close_connection = True
            return
        if isinstance(found, str):
            return self._send(200, found, "text/plain")
        self._send(200, json.dumps(found))

    do_GET = do_POST = do_DELETE = _handle

    def _send(self, status: int, text: str, kind: str = "application/json", **headers: str) -> None:
        body = text.encode()
        with contextlib.suppress(OSError):  # the client may have gone
            self.send_response(status)
            for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def run_with_tasks(server: KfpServer, run_id: str, states: dict[str, str]) -> None:
    """Gives a run the nodes that Kubeflow shows for tasks of these states, each after the one before."""
    details, nodes = [], list(states)
    for number, (name, state) in enumerate(states.items()):
        start = f"2026-01-01T00:{number:02}:00Z"
        end = f"2026-01-01T00:{number:02}:30Z" if state in ("SUCCEEDED", "FAILED") else "1970-01-01T00:00:00Z"
        common = {"run_id": run_id, "start_time": start, "create_time": start, "end_time": end, "state": state}
        following = [f"wf-{10 * (number + 1)}"] if number + 1 < len(nodes) else []
        node, pod = f"wf-{10 * number}", f"wf-{10 * number + 1}"
        details += [
            common | {"display_name": f"{name}-driver", "pod_name": f"wf-{10 * number + 2}", "child_tasks": []},
            common
            | {
                "display_name": name,
                "pod_name": node,
                "task_id": str(number),
                "child_tasks": [{"pod_name": one} for one in (pod, *following)],
            },
            common | {"display_name": "executor", "pod_name": pod, "child_tasks": []},
        ]
        if state == "FAILED":
            details[-1]["error"] = {"code": 2, "message": "the loss is\nnot finite"}
    check(details, "list[V2beta1PipelineTaskDetail]")
    server.runs[run_id]["run_details"] = {"task_details": details}
