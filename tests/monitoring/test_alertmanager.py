"""The example for Alertmanager: sound, and a real Alertmanager sends pages and tickets where it says."""

import contextlib
import http.server
import json
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "monitoring" / "examples" / "alertmanager.yaml"

needs_alertmanager = pytest.mark.skipif(
    not (shutil.which("amtool") and shutil.which("prometheus-alertmanager")),
    reason="amtool and prometheus-alertmanager are not on the PATH; Debian's package prometheus-alertmanager has them",
)


def test_the_example_goes_with_the_rules():
    rules = yaml.safe_load((ROOT / "monitoring" / "rules" / "graft.rules.yaml").read_text())
    alerts = {rule.get("alert") for group in rules["groups"] for rule in group["rules"]}
    text = EXAMPLE.read_text()
    named = {part.partition('"')[0] for part in text.split('alertname="')[1:]}
    assert named and named <= alerts
    receivers = {one["name"] for one in yaml.safe_load(text)["receivers"]}
    route = yaml.safe_load(text)["route"]
    assert {route["receiver"], *(one["receiver"] for one in route["routes"])} == receivers


@needs_alertmanager
def test_amtool_takes_the_example_and_routes_by_severity():
    assert subprocess.run(["amtool", "check-config", EXAMPLE], capture_output=True).returncode == 0
    for severity, receiver in (("page", "pages"), ("ticket", "tickets")):
        command = ["amtool", "config", "routes", "test", f"--config.file={EXAMPLE}", f"severity={severity}"]
        assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == receiver


@needs_alertmanager
def test_a_page_comes_in_slacks_form_and_a_ticket_as_json(tmp_path):
    got: dict[str, dict] = {}
    came = threading.Condition()

    class Webhook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")
            with came:
                got[self.path] = content
                came.notify_all()

        def log_message(self, *_):
            pass

    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as hooks,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        threading.Thread(target=hooks.serve_forever, daemon=True).start()
        port = free.getsockname()[1]
        free.close()
        config = yaml.safe_load(EXAMPLE.read_text())
        config["route"]["group_wait"] = "0s"
        (tmp_path / "slack").write_text(f"http://127.0.0.1:{hooks.server_port}/slack")
        pages, tickets = config["receivers"]
        pages["slack_configs"][0]["api_url_file"] = str(tmp_path / "slack")
        tickets["webhook_configs"][0]["url"] = f"http://127.0.0.1:{hooks.server_port}/tickets"
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        command = ["prometheus-alertmanager", f"--config.file={tmp_path / 'config.yaml'}", "--cluster.listen-address="]
        command += [f"--storage.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
        with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                _send(f"http://127.0.0.1:{port}/api/v2/alerts")
                with came:
                    assert came.wait_for(lambda: len(got) == 2, 30), (got, (tmp_path / "log").read_text())
            finally:
                process.terminate()
        hooks.shutdown()
    [message] = got["/slack"]["attachments"]
    assert got["/slack"]["channel"] == "#models" and message["title"] == "page: GraftScrapeDown"
    assert message["text"].startswith("graft on a does not answer. It is gone. (docs/alerts.md#graftscrapedown)")
    assert got["/tickets"]["receiver"] == "tickets" and got["/tickets"]["status"] == "firing"
    assert [one["labels"]["alertname"] for one in got["/tickets"]["alerts"]] == ["GraftDrift"]


def _send(url: str) -> None:
    """Two alerts as Prometheus sends them, once Alertmanager listens."""
    annotations = {
        "summary": "graft on a does not answer",
        "description": "It is gone.",
        "runbook_url": "docs/alerts.md#graftscrapedown",
    }
    alerts = [
        {"labels": {"alertname": "GraftScrapeDown", "severity": "page", "job": "graft"}, "annotations": annotations},
        {"labels": {"alertname": "GraftDrift", "severity": "ticket", "model": "m"}, "annotations": {}},
    ]
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            request = urllib.request.Request(url, json.dumps(alerts).encode(), {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=10).read()
            return
        assert time.monotonic() < end
        time.sleep(0.1)
