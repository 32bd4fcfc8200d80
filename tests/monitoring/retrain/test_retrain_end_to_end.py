"""A served model, logged requests, late labels: `graft retrain` runs the pipeline on them, once."""

import json
import shutil

import grpc
import numpy as np
import pytest
import yaml
from drift_samples import write_log
from small_images import image_file
from workshop import CLASSES, draw

from graft.monitoring.request_log.labels import LabelStore
from graft.monitoring.retrain import audit
from graft.serving.observers import Served

ASKED = 60


@pytest.mark.slow
def test_labelled_requests_are_learned_from_once_and_what_is_made_is_judged_by_the_same_gates(
    workshop, first_run, tmp_path
):
    assert first_run.code == 0, first_run.stderr
    shutil.copytree(workshop.store, tmp_path / "store")
    raw = yaml.safe_load(workshop.config.read_text()) | {"store": str(tmp_path / "store"), "root": str(tmp_path)}
    retrain = {"new_labels": ASKED, "least_labels": 20, "cooldown_hours": 0}
    raw["monitoring"] = {"request_log": {"folder": str(tmp_path / "log")}, "retrain": retrain}
    path = tmp_path / "shapes.yaml"
    path.write_text(yaml.safe_dump(raw))
    ask(tmp_path)
    found = workshop.graft("retrain", str(path))
    assert found.value["retrain"]["triggers"] == ["labels"], found.value
    assert found.value["status"] in ("passed", "gate_closed") and found.value["error" if found.code > 1 else "run_id"]
    assert (found.value["model_version"] == 2) == (found.value["status"] == "passed")
    ingest = next(stage for stage in found.value["stages"] if stage["name"] == "ingest")
    assert "; 0 rejected; 1 left out" in ingest["result"]
    [summary] = (tmp_path / "shapes" / "artifacts" / "ingest" / "rejected").rglob("summary.json")
    assert json.loads(summary.read_text())["used_count"] == ASKED + 40 * len(CLASSES)
    assert any("baseline" in gate["name"] for gate in found.value["gates"]), found.value["gates"]
    started, finished = audit.read(tmp_path / "shapes" / "retrain")
    assert (started.kind, started.figures["new_labels"]) == ("started", ASKED)
    assert (finished.status, finished.version) == (found.value["status"], found.value["model_version"])
    assert finished.run == found.value["run_id"] and finished.learned_until == started.learned_until
    again = workshop.graft("retrain", str(path))
    assert (again.code, again.value["status"], again.value["figures"]["new_labels"]) == (0, "held", 0)
    assert len(audit.read(tmp_path / "shapes" / "retrain")) == 2


def ask(root) -> None:
    """Logs requests as a server would, and brings the labels of all but the last."""
    rng, names = np.random.default_rng(11), list(CLASSES)
    truth = [names[number % len(names)] for number in range(ASKED + 1)]
    requests = []
    for number, name in enumerate(truth):
        given = np.empty(1, object)
        given[:] = [image_file(draw(name, rng))]
        answers = {"probabilities": np.full((1, len(names)), 1 / len(names), np.float32)}
        requests.append(
            Served(
                **{"model": "shapes", "version": 1, "signature": "serving_default", "inputs": {"image_bytes": given}},
                **{"outputs": answers, "code": grpc.StatusCode.OK, "seconds": 0.01, "transport": "grpc"},
                **{"time": 1_700_000_000.0 + number, "request_id": f"q{number}"},
            )
        )
    write_log(root / "log", requests)
    labels = root / "labels.jsonl"
    rows = ({"request_id": f"q{number}", "label": truth[number]} for number in range(ASKED))
    labels.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with LabelStore(root / "log") as store:
        assert store.add("shapes", labels, ("label",)).added == ASKED
