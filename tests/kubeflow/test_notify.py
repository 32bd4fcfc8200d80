"""The exit task: what it posts, to a real server on loopback, and that no error tells the address."""

import http.server
import json
import threading

import pytest

from graft.kubeflow import notify, pod


@pytest.fixture
def webhook(monkeypatch):
    """Its address stands in the variable HOOK; `bodies` has what came, `status` is what it answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(server.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.bodies, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{server.server_port}/services/hush")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def given(state: str | None = "SUCCEEDED", when: str = "always", error: dict | None = None) -> str:
    values = {
        "status": {"state": state, "error": error or {}} if state else None,
        "run": "weekly",
        "id": "run-1",
        "pipeline": "flowers",
        "settings": json.dumps({"webhook_env": "HOOK", "when": when}),
    }
    return json.dumps({"inputs": {"parameterValues": values}, "outputs": {"outputFile": "/none"}})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "error", "text", "told"),
    [
        ("SUCCEEDED", None, "flowers: run weekly succeeded", "SUCCEEDED"),
        ("FAILED", {"message": "oom", "code": 9}, "flowers: run weekly failed: oom", "FAILED"),
        ("RUNNING", None, "flowers: run weekly failed", "FAILED"),  # of a launcher that was killed
        (None, None, "flowers: run weekly ended as UNKNOWN", "UNKNOWN"),
    ],
)
def test_what_is_posted(webhook, state, error, text, told):
    assert notify.main([given(state, error=error)]) == 0
    assert webhook.bodies == [{"text": text, "pipeline": "flowers", "run": "weekly", "id": "run-1", "state": told}]


def test_a_success_may_stay_untold(webhook):
    assert notify.main([given("SUCCEEDED", "failed")]) == 0 and webhook.bodies == []
    assert notify.main([given("FAILED", "failed")]) == 0 and len(webhook.bodies) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refused", "away", "absent", "no address", "strange"])
def test_an_error_names_the_variable_and_never_the_address(webhook, monkeypatch, tmp_path, capsys, fault):
    log = tmp_path / "termination-log"
    monkeypatch.setenv(pod.TERMINATION_LOG, str(log))
    if fault == "refused":
        webhook.status = 403
    elif fault == "away":
        monkeypatch.setenv("HOOK", "http://127.0.0.1:9/hush")
    elif fault == "absent":
        monkeypatch.delenv("HOOK")
    else:
        monkeypatch.setenv("HOOK", "hush" if fault == "no address" else "http://[hush/x y")
    assert notify.main([given()]) == 2
    said = log.read_text() + capsys.readouterr().err
    assert "HOOK" in said and "kubeflow.notify" in said and "hush" not in said
