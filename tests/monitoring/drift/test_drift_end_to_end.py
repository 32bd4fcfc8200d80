"""From a pipeline's push to an alarm: pushed reference, served requests, late labels, `graft monitor`."""

import json

import numpy as np
import pytest
import yaml
from small_images import image_file
from workshop import CLASSES, Workshop, draw

from graft.monitoring.request_log.labels import LabelStore
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import Options
from graft.serving.client import Client
from graft.serving.server import EmbeddedServer

ASKED = 120


@pytest.mark.slow
def test_pictures_that_become_dark_are_an_alarm_and_usual_ones_are_not(workshop, first_run, tmp_path):
    assert first_run.code == 0, first_run.stderr
    config = yaml.safe_load(workshop.config.read_text())
    drift = {"folder": str(tmp_path / "drift"), "window": {"rows": ASKED, "least": 50}, "vectors": {"sample": 100}}
    config["monitoring"] = {"request_log": {"folder": str(tmp_path / "log")}, "drift": drift}
    path = tmp_path / "shapes.yaml"
    path.write_text(yaml.safe_dump(config))
    usual = ask(workshop, tmp_path, darker=1.0)
    found = workshop.graft("monitor", str(path))
    assert (found.code, found.value["status"]) == (0, "no_drift"), found.value
    [window, labels] = found.value["windows"]
    assert window["rows"] == ASKED and not window["unmeasured"] and not found.value["faults"]
    calm = window["vectors"]
    assert (calm["rows"], calm["reference_rows"], calm["unwatched"]) == (100, 36, "") and calm["p_value"] > 1e-3
    assert labels["kind"] == "labels" and labels["quality"]["mean"] == pytest.approx(usual)
    assert window["estimate"]["low"] < usual + 0.1 and window["estimate"]["high"] > usual - 0.1
    ask(workshop, tmp_path, darker=0.3, seed=1)
    found = workshop.graft("monitor", str(path))
    assert (found.code, found.value["status"]) == (1, "drift")
    requests = [window for window in found.value["windows"] if window["kind"] == "requests"]
    assert {"brightness", "feature_vector"} <= {test["signal"] for test in requests[0]["tests"] if test["alarm"]}
    assert requests[0]["vectors"]["auc"]["mean"] > 0.9 > calm["auc"]["mean"]
    assert found.value["totals"]["labels_scored"] == 2 * ASKED
    page = tmp_path / "report.html"
    found = workshop.graft("monitor", "report", str(path), "-o", str(page))
    assert (found.code, found.value["version"]) == (0, 1), found.value
    assert found.value["state"] in ("drift", "quality") and "brightness" in found.value["sentence"]
    shown = page.read_text()
    assert 'alt="Reference: images, 8 of 8"' in shown and 'alt="Last window: images, 8 of 8"' in shown


def ask(workshop: Workshop, root, darker: float, seed: int = 0) -> float:
    """Serves, asks and brings the labels; returns the share of right answers."""
    rng, names = np.random.default_rng([seed, 7]), list(CLASSES)
    truth = [names[number % len(names)] for number in range(ASKED)]
    contents = [image_file((draw(name, rng) * darker).astype(np.uint8)) for name in truth]
    with (
        EmbeddedServer(str(workshop.store), observers=[RequestLog(Options(folder=str(root / "log")))]) as server,
        Client(server.grpc_address, "shapes") as client,
    ):
        found = client.predict_contents(contents)
    rows = [
        {"request_id": one.request_id, "row": one.row, "label": name} for one, name in zip(found, truth, strict=True)
    ]
    labels = root / "labels.jsonl"
    labels.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with LabelStore(root / "log") as store:
        assert store.add("shapes", labels, ("label",)).sound
    return float(np.mean([one.label == name for one, name in zip(found, truth, strict=True)]))
