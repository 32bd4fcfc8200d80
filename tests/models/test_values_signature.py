"""The export's signature for decoded contents: over gRPC, over REST and in process the answers of the bytes."""

import json
import types
import urllib.error
import urllib.request

import numpy as np
import pytest
from small_images import image_file
from training_input import IMAGE_SIZE

from graft.models.errors import GraftError
from graft.monitoring.drift.rows import answers_of, contents_of
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import Options
from graft.monitoring.request_log.reader import Reading, read_file
from graft.serving.client import Client, ClientError
from graft.serving.loaded import LoadedModel, load
from graft.serving.server import EmbeddedServer
from graft.serving.store import open_store

pytestmark = pytest.mark.slow

TOLERANCE = 1e-5
"""Largest difference of a probability, as docs/serving.md says."""


@pytest.fixture(scope="module")
def store(taught, tmp_path_factory):
    found = open_store(tmp_path_factory.mktemp("values") / "store")
    found.push("colours", taught, {})
    return found


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="module")
def server(store, log):
    with EmbeddedServer(str(store.local_root), observers=[RequestLog(Options(folder=str(log), max_bytes=8192))]) as run:
        yield run


@pytest.fixture(scope="module")
def model(store):
    with load(store) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def picture():
    """Pixels of the model's size, so that nothing is resized; as uint8, as values from 0 to 1, and as a PNG."""
    pixels = np.random.default_rng(3).integers(0, 256, (*IMAGE_SIZE, 3)).astype(np.uint8)
    return pixels, pixels.astype(np.float32) / 255, image_file(pixels)


def post(server, body):
    request = urllib.request.Request(
        f"{server.rest_address}/v1/models/colours:predict", json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_every_way_gives_the_answer_of_the_bytes(server, model, picture):
    pixels, values, png = picture
    with Client(server.grpc_address, "colours") as client:
        wanted = client.predict({"image_bytes": np.array([png], object)})
        found = client.predict({"pixels": values[None]}, signature="serving_pixels")
        assert client.predict({"pixels": values[None][:0]}, signature="serving_pixels")["probabilities"].shape == (0, 3)
    assert sorted(found) == sorted(wanted) and found["label"].tolist() == wanted["label"].tolist()
    np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], atol=TOLERANCE)
    [row] = post(server, {"signature_name": "serving_pixels", "instances": [values.tolist()]})["predictions"]
    np.testing.assert_allclose(row["probabilities"], wanted["probabilities"][0], atol=TOLERANCE)

    here = model.predict([values, pixels, np.stack([values] * 65), png])
    assert [one.row for one in here] == list(range(68)) and {one.label for one in here} == {wanted["label"][0].decode()}
    for one in here:
        given = [one.probabilities[name.decode()] for name in wanted["classes"][0]]
        np.testing.assert_allclose(given, wanted["probabilities"][0], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v[None] * 255, "RGB values from 0 to 1; the least and the largest value are"),
        (lambda v: v[None] * np.nan, "the least and the largest value are"),
        (lambda v: v[None, :8], "pixels must be float32 [n, 16, 16, 3]"),
        (lambda v: v, "pixels must be float32 [n, 16, 16, 3]"),
        (lambda v: v[None].astype(np.float64), "double"),
    ],
)
def test_what_it_does_not_take_is_one_line(server, picture, change, told):
    with Client(server.grpc_address, "colours") as client, pytest.raises(ClientError) as refused:
        client.predict({"pixels": change(picture[1])}, signature="serving_pixels")
    assert refused.value.code.name == "INVALID_ARGUMENT" and told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_rest_says_the_same(server, picture):
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(server, {"signature_name": "serving_pixels", "instances": [(picture[1] * 255).tolist()]})
    assert refused.value.code == 400 and "RGB values from 0 to 1" in json.load(refused.value)["error"]


def test_in_process_too(model, picture):
    with pytest.raises(GraftError, match="the least and the largest value are"):
        model.predict(picture[1] * 255)
    with pytest.raises(GraftError, match=r"pixels must be float32 \[n, 16, 16, 3\]"):
        model.predict(picture[1][:8])


def test_an_older_export_has_none(model, picture, monkeypatch):
    signatures = {name: value for name, value in model._engine.signatures.items() if name != "serving_pixels"}
    monkeypatch.setattr(model._engine, "signatures", signatures)
    with pytest.raises(GraftError, match="received an array of float32; allowed: uint8"):
        model.predict(picture[1])


def test_it_is_warm_before_it_is_asked(store):
    """The warm-up asks every signature that serves."""
    from graft.serving import warmup
    from graft.serving.data_plane import DataPlane

    with LoadedModel("here", "colours", 1, store.version_path("colours", 1)) as loaded:
        asked = []
        plane = DataPlane.__new__(DataPlane)
        plane.replay = lambda engine, run: asked.append((run.signature, [len(v) for v in run.inputs.values()]))
        warmup.warm_up(loaded._engine, plane)
    assert ("serving_pixels", [1]) in asked and {name for name, _ in asked} == {
        *("serving_default", "features", "serving_pixels")
    }


def test_log_and_monitor_know_the_answer_and_not_the_content(server, log, picture, taught):
    """The monitor watches the answers; of the input it says that it was not logged, as of one that is left out."""
    from graft.models.inputs import exported_input
    from graft.models.targets import exported_target

    with Client(server.grpc_address, "colours") as client:
        small = client.predict({"pixels": picture[1][None]}, signature="serving_pixels")
        client.predict({"pixels": np.stack([picture[1]] * 9)}, signature="serving_pixels")
    [observer] = [one for one in server._observers if isinstance(one, RequestLog)]
    observer.close()
    records = [
        record
        for path in sorted(log.glob("*.tfrecord"))
        for record in read_file(path, Reading())
        if record.signature == "serving_pixels" and record.answered
    ]
    watched = types.SimpleNamespace(input=exported_input(taught), target=exported_target(taught))
    assert len(records) >= 2
    for record in records:
        assert contents_of(record, watched) is None
        assert len(answers_of(record, watched)) == record.examples
    [logged] = [record for record in records if record.request_id == small.request_id]
    np.testing.assert_array_equal(logged.inputs["pixels"], picture[1][None])
    assert records[-1].examples == 9 and records[-1].shortened and not records[-1].inputs, "longer than max_bytes"
