"""The log beside a real server: both transports, answers as without it, TensorFlow reads it; and by the client."""

import json
import resource
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from small_models import save_linear, save_texts
from tensorflow_serving.apis import prediction_log_pb2

from graft.models.errors import GraftError
from graft.monitoring.cli import RequestLogPlace
from graft.monitoring.metrics import Metrics
from graft.monitoring.request_log.log_file import files
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import KEY_VARIABLE, Options
from graft.monitoring.request_log.reader import Reading, read
from graft.serving import observers
from graft.serving.client import Client, ClientError
from graft.serving.server import EmbeddedServer
from graft.serving.warmup import WARMUP_FILE


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    save_linear(root / "m" / "1", 0.5, 2.0)
    save_texts(root / "texts" / "1")
    return {"m": root / "m", "texts": root / "texts"}


def post(server, path, body, **headers):
    request = urllib.request.Request(f"{server.rest_address}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers["X-Request-Id"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers["X-Request-Id"]


def ask(server) -> list:
    """Requests of every kind, and what came back but for ids."""
    answers = []
    with Client(server.grpc_address, "m") as client, Client(server.grpc_address, "texts") as texts:
        answers += [client.predict({"x": np.float32([1, 2])}, request_id="by-grpc")["y"].tolist()]
        answers += [prediction.outputs for prediction in texts.predict_contents([b"my secret", b"another"])]
        with pytest.raises(ClientError) as caught:
            client.predict({"z": np.float32([1])}, request_id="fails")
        assert caught.value.request_id == "fails"
        answers += [(caught.value.code, str(caught.value).split(": ", 1)[1])]
    status, body, request_id = post(server, "/v1/models/m:predict", {"instances": [3.0]}, **{"X-Request-Id": "by-rest"})
    assert request_id == "by-rest"
    answers += [(status, body), post(server, "/v1/models/nobody:predict", {"instances": [3.0]})[:2]]
    return answers


@pytest.mark.slow
def test_requests_of_both_transports_are_logged_and_answered_as_without_it(folders, tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "a key of sixteen or more")
    with EmbeddedServer(models=folders) as server:
        plain = ask(server)
    log = RequestLog(Options(folder=str(tmp_path), hash=["text"]))
    with EmbeddedServer(models=folders, observers=[Metrics(), log]) as server:
        assert ask(server) == plain
        with urllib.request.urlopen(f"{server.rest_address}/monitoring/prometheus/metrics", timeout=30) as answer:
            page = answer.read().decode()
        assert "graft_requests_total{" in page and "graft_request_log_dropped_total{" in page, "one page for both"
    records = list(read(tmp_path, Reading()))
    assert [(one.model, one.transport, one.status) for one in records] == [
        ("m", "grpc", "OK"),
        ("texts", "grpc", "OK"),
        ("m", "grpc", "INVALID_ARGUMENT"),
        ("m", "rest", "OK"),
        (None, "rest", "NOT_FOUND"),
    ]
    first, secret, failed, rest, _ = records
    assert (first.request_id, failed.request_id, rest.request_id) == ("by-grpc", "fails", "by-rest")
    assert (first.inputs["x"].tolist(), first.outputs["y"].tolist(), first.version) == ([1, 2], [2.5, 3], 1)
    assert (rest.inputs["x"].tolist(), rest.outputs["y"].tolist()) == ([3], [3.5])
    assert secret.hashed == ("text",) and [len(digest) for digest in secret.inputs["text"]] == [64, 64]
    assert not any(b"my secret" in path.read_bytes() for path in files(tmp_path))
    assert all(one.seconds > 0 for one in records)


def test_tensorflow_reads_it_and_a_server_replays_it(folders, tmp_path):
    log = RequestLog(Options(folder=str(tmp_path / "log")))
    with (
        EmbeddedServer(models={"m": folders["m"]}, observers=[log], rest_port=None) as server,
        Client(server.grpc_address, "m") as client,
    ):
        client.predict({"x": np.float32([7])})
    (path,) = files(tmp_path / "log")
    (content,) = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    found = prediction_log_pb2.PredictionLog.FromString(content).predict_log
    assert tf.make_ndarray(found.request.inputs["x"]).tolist() == [7]
    assert tf.make_ndarray(found.response.outputs["y"]).tolist() == [5.5]
    model = save_linear(tmp_path / "next" / "2", 1.0, 0.0)
    (model / WARMUP_FILE).parent.mkdir()
    (model / WARMUP_FILE).write_bytes(path.read_bytes())
    with EmbeddedServer(models={"m": tmp_path / "next"}, rest_port=None) as server:
        assert server.registry.status("m")[0].error is None, "the log warms the next version up"


def test_a_client_logs_beside_a_server_that_does_not(folders, tmp_path):
    with (
        EmbeddedServer(models={"m": folders["m"]}, rest_port=None) as server,
        RequestLog(Options(folder=str(tmp_path))) as log,
        Client(server.grpc_address, "m", observers=[log]) as client,
    ):
        mine = np.float32([1, 2])
        answer = client.predict({"x": mine})
        mine[:], answer["y"] = 0, None  # what the caller does with them is not logged
        with pytest.raises(ClientError) as caught:
            client.predict({"z": mine})
    first, failed = read(tmp_path, Reading())
    assert (first.request_id, first.model, first.version) == (answer.request_id, "m", 1)
    assert (first.inputs["x"].tolist(), first.outputs["y"].tolist()) == ([1, 2], [2.5, 3])
    assert (failed.request_id, failed.status) == (caught.value.request_id, "INVALID_ARGUMENT")


def test_a_full_disk_fails_no_request(folders, tmp_path):
    """A real refusal of the kernel: no file may hold a byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = RequestLog(Options(folder=str(tmp_path)))
    with EmbeddedServer(models={"m": folders["m"]}, observers=[Metrics(), log]) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            deadline = time.monotonic() + 60
            asked = 0
            while not log.counts["dropped.disk"]:
                assert time.monotonic() < deadline
                asked += 1
                status, body, _ = post(server, "/v1/models/m:predict", {"instances": [3.0]})
                assert (status, json.loads(body)) == (200, {"predictions": [3.5]})
            with urllib.request.urlopen(f"{server.rest_address}/monitoring/prometheus/metrics", timeout=30) as answer:
                page = answer.read().decode()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "graft_request_log_failing 1\n" in page and 'graft_request_log_dropped_total{reason="disk"} ' in page
    assert log.counts["records"] == 0 and 1 <= log.counts["dropped.disk"] <= asked
    assert not files(tmp_path)


CONFIG = """
name: flowers
data: {{source: image_folder, path: photos}}
backbone: {{handle: backbone/1}}
monitoring: {{request_log: {log}}}
"""


def test_the_place_is_a_folder_or_a_configuration(tmp_path):
    config = tmp_path / "flowers.yaml"
    config.write_text(CONFIG.format(log=f"{{folder: {tmp_path / 'one'}, sample: 0.25}}"))
    made = observers.load([RequestLogPlace(str(config)), RequestLogPlace(str(tmp_path / "two"))])
    observers.close(made)
    assert [log._options.sample for log in made] == [0.25, 1.0]
    assert (tmp_path / "one").is_dir() and (tmp_path / "two").is_dir()


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("{}", r"monitoring\.request_log\.folder is null; give the folder of the log"),
        ("{folder: x, sampel: 1}", r"monitoring\.request_log\.sampel.*sample"),
        ("{folder: x, sample: 0}", r"monitoring\.request_log\.sample.* 0"),
        ("{folder: x, inputs: hide}", r"monitoring\.request_log\.inputs: .*'keep' or 'drop'.*hide"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_told(tmp_path, log, told):
    config = tmp_path / "flowers.yaml"
    config.write_text(CONFIG.format(log=log))
    with pytest.raises(GraftError, match=told):
        RequestLogPlace(str(config))()


def test_a_server_without_rest_keeps_a_log_but_shows_no_page(tmp_path):
    log = RequestLog(Options(folder=str(tmp_path)))
    log.close()
    assert not any(page.needed for page in observers.pages([log]).values())
    assert all(page.needed for page in observers.pages([log, Metrics()]).values())
