"""What `graft explain` says of a run: of one that helps, one that hurts, and those that show neither."""

import csv
import json

import numpy as np
import pytest
import yaml
from metadata_writer import MetadataWriter
from workshop import SIDE, Workshop, write_backbone, write_pictures

from graft.models.errors import GraftError
from graft.pipeline.explain import explain_run, find_run
from graft.pipeline.stages import base

RUN = "20250101-000000-000"
GATE = {"name": "accuracy", "value": 0.8, "limit": 0.5, "passed": True, "detail": "a floor"}


def compared(low: float, high: float) -> dict:
    return {
        "seeds": [0, 1, 2],
        "test_examples": 40,
        "epochs": 5,
        "score": "accuracy",
        "scores": {"transferred": [0.8, 0.9, 0.7], "raw_head": [0.5, 0.4, 0.6]},
        "gap": {"raw_head": {"mean": (low + high) / 2, "interval": [low, high]}},
        "beyond_luck": (low + high) / 2 if low > 0 else min((low + high) / 2, 0.0),
        "best_reference": "raw_head",
        "statement": "The gap is what it is.",
    }


def history(phases: list[str], best: int, method: str = "fine_tune", **more) -> dict:
    epochs = [{"epoch": i + 1, "phase": phase, "loss": 1.0, "val_loss": 1.0} for i, phase in enumerate(phases)]
    return {"method": method, "epochs": epochs, "best_epoch": best, "path": [], **more}


@pytest.fixture
def written(tmp_path):
    """written(...) -> the folder of a pipeline with one run."""

    def write(name: str = "pets", run: str = RUN, comparison=None, told=None, result=None):
        root = tmp_path / name
        writer = MetadataWriter(root, name)

        def artifact(kind: str, file: str, content) -> int:
            folder = root / f"{kind}-{run}"
            folder.mkdir()
            (folder / file).write_text(json.dumps(content))
            return writer.artifact(kind, str(folder))

        if told is not None:
            settings = {"backbone": {"handle": "/backbones/b"}, "transfer": {"method": told["method"], "unfreeze": 0.5}}
            kept = artifact("ModelRun", "history.json", told)
            writer.execution(run, "train", {"model_run": kept}, custom_config=settings)
        else:
            writer.execution(run, "ingest", {}, state="FAILED")
        if comparison is not None:
            kept = artifact("Comparison", "comparison.json", comparison)
            writer.execution(run, "negative_transfer", {"comparison": kept})
        if result is not None:
            folder = root / "runs" / run
            folder.mkdir(parents=True)
            (folder / "run.json").write_text(json.dumps(result))
        return root

    return write


PASSED = {"status": "passed", "reason": "", "gates": [GATE], "model_version": 3}


@pytest.mark.parametrize(
    ("interval", "verdict", "words"),
    [
        ((-0.4, -0.2), "helps", "Yes, transferring helps: "),
        ((0.1, 0.5), "hurts", "No, transferring hurts: "),
        ((-0.1, 0.3), "not shown", "Not shown: "),
    ],
)
def test_the_interval_decides_what_is_said(written, interval, verdict, words):
    root = written(told=history(["head"], 1, "frozen"), comparison=compared(*interval), result=PASSED)
    value, text = explain_run(root, RUN)
    assert json.loads(json.dumps(value)) == value
    assert value["verdict"] == verdict and value["gap"]["raw_head"]["interval"] == list(interval)
    assert value["answers"][base.HELPS][0] == f"{words}{value['answers'][base.HELPS][0][len(words) :]}"
    reach = (interval[1] - interval[0]) / 2
    assert f"larger than about {reach:.3f}" in value["answers"][base.SURE][0]
    assert text.startswith(f"Run {RUN} of pets: passed\n") and f"- {words}" in text
    assert "transferring 0.800, raw head 0.500" in text
    assert "1 of 1 gates were open." in text and "pushed as version 3" in text


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (history(["head"] * 3, 2, "frozen"), "All of /backbones/b: its weights are as they were published"),
        (history(["head", "fine_tune", "fine_tune"], 1), "trained on for 2 epochs, and no epoch was better on eval"),
        (
            history(["head", "fine_tune"], 2),
            "/backbones/b as a start: its weights have moved as far as transfer.unfreeze",
        ),
    ],
)
def test_what_the_backbone_gave_is_told(written, told, words):
    value, _ = explain_run(written(told=told, result=PASSED), RUN)
    transferred = " ".join(value["answers"][base.TRANSFERRED])
    assert words in transferred and f"Method {told['method']}: " in transferred
    assert value["verdict"] == "not measured" and value["gap"] is None
    assert value["answers"][base.HELPS] == ["Not measured: the run has no comparison with not transferring."]


def test_findings_are_told(written):
    found = [{"name": "effective sample size", "value": 12.0, "words": "Few rows count."}]
    value, text = explain_run(written(told=history(["head"], 1, "joint", findings=found), result=PASSED), RUN)
    assert value["findings"] == found and "- Effective sample size: Few rows count." in text


def test_a_run_that_came_to_nothing_says_so(written):
    value, text = explain_run(written(), RUN)  # killed before it wrote run.json
    assert value["status"] == "ingest failed" and value["verdict"] == "not measured" and value["gates"] == []
    assert "Nothing is known: no training was reached" in text
    assert "The model was not pushed; the run's status is `ingest failed`." in text
    closed = {**PASSED, "status": "gate_closed", "reason": "long", "model_version": None}
    closed["gates"] = [GATE | {"value": 0.2, "passed": False}]
    _, text = explain_run(written("birds", result=closed), RUN)
    assert "0 of 1 gates were open. Closed: accuracy is 0.2, limit 0.5 (a floor)." in text
    failed = {**PASSED, "status": "failed", "reason": "the disk is full", "gates": [], "model_version": None}
    _, text = explain_run(written("fish", result=failed), RUN)
    assert "the run's status is `failed`: the disk is full." in text


def test_an_artifact_that_cannot_be_read_is_named(written):
    root = written(told=history(["head"], 1), result=PASSED)
    (root / f"ModelRun-{RUN}" / "history.json").write_text("{")
    with pytest.raises(GraftError, match=r"history\.json: cannot be read"):
        explain_run(root, RUN)
    (root / f"ModelRun-{RUN}" / "history.json").unlink()
    assert "Nothing is known" in explain_run(root, RUN)[1]


def test_an_unknown_run_is_refused_with_those_there_are(written):
    roots = [written(), written("birds", "20250102-000000-000"), written("fish")]
    assert find_run(roots, None) == (roots[1], "20250102-000000-000")
    assert find_run(roots, "20250102-000000-000")[0] == roots[1]
    with pytest.raises(GraftError, match=rf"no run 'x'; the latest runs are pets: {RUN}; birds: 2025.*`graft runs`"):
        find_run(roots, "x")
    with pytest.raises(GraftError, match=r"several pipelines \(pets, fish\); choose one with --name"):
        find_run(roots, RUN)


@pytest.mark.slow
def test_a_source_with_shuffled_labels_closes_the_gate_and_is_told(tmp_path):
    pictures = write_pictures(tmp_path / "data", each=60)
    with pictures.open(newline="") as file:
        rows = list(csv.DictReader(file))
    source = [row for row in rows if row["camera"] == "left"]
    shuffled = np.random.default_rng(0).permutation([row["label"] for row in source])
    for row, label in zip(source, shuffled, strict=True):
        row["label"] = label
    with pictures.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {
        "name": "misled",
        "data": {
            "source": "csv",
            "path": str(pictures),
            "domain": {"column": "camera", "target": "right"},
            "split": {"eval": 0.2, "test": 0.5},
        },
        "input": {"image_size": [SIDE, SIDE], "value_range": [0, 1]},
        "backbone": {"handle": str(write_backbone(tmp_path / "backbone"))},
        "transfer": {"method": "joint", "weight": 1000.0},
        "gates": {"negative_transfer": {"references": ["raw"]}},
    }
    config = tmp_path / "misled.yaml"
    config.write_text(yaml.safe_dump(content))
    misled = Workshop(tmp_path, config)
    outcome = misled.again()
    assert outcome.value["status"] == "gate_closed", outcome.stderr
    assert [gate["name"] for gate in outcome.value["gates"] if not gate["passed"]] == ["negative_transfer"]
    told = misled.graft("explain", outcome.value["run_id"])
    assert told.code == 0 and told.value["verdict"] == "hurts"
    assert told.value["answers"][base.HELPS][0].startswith("No, transferring hurts: this source is worse than none.")
    assert any("Closed: negative_transfer is " in sentence for sentence in told.value["answers"][base.FATE])
    assert misled.graft("explain").value == told.value, "the latest run"
    assert "no run 'other'; the latest runs are misled: " in misled.graft("explain", "other").stderr
