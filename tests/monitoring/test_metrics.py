"""Metrics as Prometheus reads them: counts, times and labels, over real transports and under threads."""

import json
import threading
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from small_models import save_linear

from graft.monitoring import metrics
from graft.monitoring.metrics import Metrics
from graft.serving.client import Client, ClientError
from graft.serving.observers import Served
from graft.serving.server import EmbeddedServer


def samples(text: str) -> dict[tuple, float]:
    """Values by name and labels, as Prometheus' own parser for Python reads them."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[(name, *sorted(labels.items()))]


def upstream_count(model: str, status: str, count: int) -> str:
    """The line of TensorFlow Serving's counter; the parser would give its name the ending that is usual by now."""
    return f':tensorflow:serving:request_count{{model_name="{model}",status="{status}"}} {count}'


def request(model="m", version=1, signature="s", code="OK", seconds=0.02, transport="grpc") -> Served:
    return Served(model, version, signature, {}, {}, grpc.StatusCode[code], seconds, transport, 0.0, "id")


OF = {"model": "m", "version": "1", "signature": "s", "transport": "grpc", "status": "OK"}


def test_served_requests_are_counted_over_both_transports(tmp_path):
    save_linear(tmp_path / "m" / "1", 0.5, 2.0)
    with EmbeddedServer(models={"m": tmp_path / "m"}, observers=[Metrics()]) as server:

        def get(path: str, body: bytes | None = None) -> tuple[int, str, str]:
            try:
                with urllib.request.urlopen(f"{server.rest_address}{path}", body, timeout=30) as answer:
                    return answer.status, answer.read().decode(), answer.headers["content-type"]
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode(), ""

        with Client(server.grpc_address, "m") as client, Client(server.grpc_address, "nobody") as astray:
            for _ in range(3):
                client.predict({"x": np.float32([1])})
            with pytest.raises(ClientError):
                astray.predict({"x": np.float32([1])})
        for body in ([1.0], [2.0], ["text"]):
            get("/v1/models/m:predict", json.dumps({"inputs": body}).encode())
        status, text, media_type = get("/monitoring/prometheus/metrics")
    assert (status, media_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    of = {"model": "m", "version": "1", "signature": "serving_default"}
    for transport, count in (("grpc", 3), ("rest", 2)):
        labels = {**of, "transport": transport, "status": "OK"}
        assert value(text, "graft_requests_total", **labels) == count
        assert value(text, "graft_request_duration_seconds_count", **labels) == count
        assert 0 < value(text, "graft_request_duration_seconds_sum", **labels) < 60
        entry = {"model_name": "m", "API": "Predict", "entrypoint": transport.upper()}
        assert value(text, ":tensorflow:serving:request_latency_count", **entry) == count
    for model, status, count in (("m", "OK", 5), ("m", "INVALID_ARGUMENT", 1), ("_unknown", "NOT_FOUND", 1)):
        assert upstream_count(model, status, count) in text.splitlines()


def test_without_the_observer_there_is_no_page(tmp_path):
    save_linear(tmp_path / "1", 0.5, 2.0)
    with EmbeddedServer(models={"m": tmp_path}) as server, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.rest_address}/monitoring/prometheus/metrics", timeout=30)
    assert caught.value.code == 404


def test_times_fall_into_their_buckets():
    observer = Metrics()
    for seconds in (0.0005, 0.0006, 0.02, 999.0):
        observer.observe(request(seconds=seconds))
    text = observer.text()
    bucket = "graft_request_duration_seconds_bucket"
    found = {name: count for name, count in samples(text).items() if name[0] == bucket}
    assert len(found) == len(metrics.BOUNDS_S) + 1
    for le, count in (("0.0005", 1), ("0.001", 2), ("0.01", 2), ("0.025", 3), ("120", 3), ("+Inf", 4)):
        assert value(text, bucket, **OF, le=le) == count
    assert value(text, "graft_request_duration_seconds_sum", **OF) == pytest.approx(999.0211)
    upstream = {"model_name": "m", "API": "Predict", "entrypoint": "GRPC"}
    assert value(text, ":tensorflow:serving:request_latency_sum", **upstream) == pytest.approx(999.0211e6)
    assert value(text, ":tensorflow:serving:request_latency_bucket", **upstream, le="10") == 0
    assert value(text, ":tensorflow:serving:request_latency_bucket", **upstream, le="+Inf") == 4


def test_a_failed_request_is_counted_but_not_timed_in_upstreams_series():
    observer = Metrics()
    observer.observe(request(code="DEADLINE_EXCEEDED"))
    text = observer.text()
    assert value(text, "graft_requests_total", **OF | {"status": "DEADLINE_EXCEEDED"}) == 1
    assert upstream_count("m", "DEADLINE_EXCEEDED", 1) in text.splitlines()
    assert "request_latency_count" not in text


def test_no_count_is_lost_between_threads():
    observer, threads, each = Metrics(), 8, 500
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        start.wait()
        for _ in range(each):
            observer.observe(request(transport=("grpc", "rest")[number % 2], seconds=0.25))
            observer.text() if number == 0 and not _ % 100 else None

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    text = observer.text()
    for transport in ("grpc", "rest"):
        assert value(text, "graft_requests_total", **OF | {"transport": transport}) == threads / 2 * each
        total = value(text, "graft_request_duration_seconds_sum", **OF | {"transport": transport})
        assert total == threads / 2 * each * 0.25


@pytest.mark.parametrize("name", ['a"} 1\nforged{x="', "back\\slash", "line\nbreak", 'quote"', "näme"])
def test_a_hostile_name_stays_within_its_label(name):
    observer = Metrics()
    observer.observe(request(model=name, signature=name))
    text = observer.text()
    assert value(text, "graft_requests_total", **OF | {"model": name, "signature": name}) == 1
    assert not any(line.startswith("forged") for line in text.splitlines())


def test_what_clients_make_up_is_counted_as_one():
    observer = Metrics()
    for _ in range(5):
        observer.observe(request(model=None, version=None, signature=None, code="NOT_FOUND"))
    labels = {"model": "_unknown", "version": "_unknown", "signature": "_unknown", "status": "NOT_FOUND"}
    assert value(observer.text(), "graft_requests_total", **OF | labels) == 5


def test_a_server_that_has_seen_very_many_versions_keeps_a_bounded_page(monkeypatch):
    monkeypatch.setattr(metrics, "MAX_SERIES", 10)
    observer = Metrics()
    for version in range(50):
        observer.observe(request(version=version))
    text = observer.text()
    assert (
        value(text, "graft_requests_total", **OF | {"model": "_other", "version": "_other", "signature": "_other"})
        == 40
    )
    assert value(text, "graft_requests_total", **OF | {"version": "9"}) == 1
