"""A real Prometheus scrapes a real server by our example, follows our rules, and is asked by its HTTP API."""

import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
import yaml
from exported_series import collector, server_metrics
from small_models import save_linear

from graft.monitoring.request_log.counts import Counts
from graft.serving.store import open_store

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "monitoring" / "examples"


def _needs(program: str, package: str):
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"{program} is not on the PATH; Debian's package {package} has it"
    )


def test_the_example_goes_with_the_rules():
    prometheus = yaml.safe_load((EXAMPLES / "prometheus.yaml").read_text())
    assert (EXAMPLES / prometheus["rule_files"][0]).resolve() == ROOT / "monitoring" / "rules" / "graft.rules.yaml"
    assert all(one["job_name"].startswith("graft") for one in prometheus["scrape_configs"])


@_needs("promtool", "prometheus")
def test_promtool_takes_the_example():
    done = subprocess.run(["promtool", "check", "config", EXAMPLES / "prometheus.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@_needs("promtool", "prometheus")
def test_promtool_finds_the_names_of_the_series_conventional(tmp_path):
    pages = server_metrics().text() + Counts().text() + collector(tmp_path).page()
    done = subprocess.run(["promtool", "check", "metrics"], input=pages, capture_output=True, text=True)
    told = (done.stdout + done.stderr).splitlines()
    assert [line for line in told if not line.startswith(":tensorflow:serving:")] == []
    assert any(line.startswith(":tensorflow:serving:") for line in told), "upstream's names are not"


@contextlib.contextmanager
def prometheus(folder: pathlib.Path, rest: str) -> Iterator[str]:
    """Yields its address."""
    config = yaml.safe_load((EXAMPLES / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "monitoring" / "rules" / "graft.rules.yaml")]
    del config["alerting"]
    config["scrape_configs"] = [one for one in config["scrape_configs"] if one["job_name"] == "graft-serve"]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [urllib.parse.urlsplit(rest).netloc]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        *("prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}"),
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def ask(address: str, query: str) -> list[dict]:
    """What Prometheus answers once it has an answer; it needs two scrapes for a rate."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            parameters = urllib.parse.urlencode({"query": query})
            with urllib.request.urlopen(f"{address}/api/v1/query?{parameters}", timeout=10) as answer:
                if found := json.load(answer)["data"]["result"]:
                    return found
        time.sleep(0.2)
    raise AssertionError(f"Prometheus has no answer to {query}")


@pytest.mark.slow
@_needs("prometheus", "prometheus")
def test_a_real_prometheus_reads_a_real_server(tmp_path):
    open_store(tmp_path / "store").push("m", save_linear(tmp_path / "model", 0.5, 2.0), {})
    options = ["--embedded", "--json", "--grpc-port", "0", "--rest-port", "0", "--metrics"]
    options += ["--request-log", str(tmp_path / "log"), "--access-log", str(tmp_path / "access.jsonl")]
    command = [sys.executable, "-m", "graft.pipeline.cli", "serve", str(tmp_path / "store"), *options]
    with (
        (tmp_path / "server.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            rest = json.loads(server.stdout.readline())["rest"]
            for _ in range(2):
                urllib.request.urlopen(f"{rest}/v1/models/m:predict", b'{"inputs": [1.0]}', timeout=30).read()
            with prometheus(tmp_path, rest) as address:
                [count] = ask(address, 'graft_requests_total{model="m", status="OK"} == 2')
                assert count["metric"]["job"] == "graft-serve" and count["metric"]["transport"] == "rest"
                [version] = ask(address, "graft_model_version_served == graft_model_version_newest")
                assert version["value"][1] == "1"
                assert ask(address, "process_resident_memory_bytes > 1e7") and ask(address, "graft_build_info")
                assert ask(address, "graft_request_log_records_total") and ask(address, "graft_access_log_lines_total")
                [rate] = ask(address, "job:graft_requests:rate5m")
                assert rate["metric"] == {"__name__": "job:graft_requests:rate5m", "job": "graft-serve"}
                with urllib.request.urlopen(f"{address}/api/v1/rules", timeout=10) as answer:
                    groups = json.load(answer)["data"]["groups"]
                assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
                with urllib.request.urlopen(f"{address}/api/v1/alerts", timeout=10) as answer:
                    assert not [one for one in json.load(answer)["data"]["alerts"] if one["state"] == "firing"]
        finally:
            server.terminate()
    assert server.returncode == 0
    methods = {json.loads(line)["method"] for line in (tmp_path / "access.jsonl").read_text().splitlines()}
    assert methods == {"predict", "page"}, "a scrape stands there too"
