"""The main job on a small real pipeline: a first run, cached runs, gates that close."""

import html
import json
import pathlib
import shutil

import pytest
from workshop import CLASSES, STAGES

from graft.serving.store import open_store

pytestmark = pytest.mark.slow


UNTRAINED = ("--set", "head.solver=adam", "--set", "train.epochs=1", "--set", "train.learning_rate=1e-7")
"""A head that stays as it was drawn, in place of one that is solved."""


@pytest.fixture(scope="module")
def second_run(workshop, first_run):
    """The same command once more, as a process of its own."""
    return workshop.run()


@pytest.fixture(scope="module")
def worse_run(workshop, second_run):
    """A run whose head learns nothing, held against the model that the first run pushed."""
    return workshop.again(*UNTRAINED)


def gates(outcome) -> dict:
    """name -> gate."""
    return {gate["name"]: gate for gate in outcome.value["gates"]}


def test_the_first_run_passes_every_stage_in_order(first_run):
    assert first_run.code == 0, first_run.stderr
    assert first_run.value["status"] == "passed"
    assert tuple(stage["name"] for stage in first_run.value["stages"]) == STAGES
    assert not any(stage["cached"] for stage in first_run.value["stages"])
    assert all(stage["seconds"] > 0 and stage["peak_mb"] > 0 for stage in first_run.value["stages"])


def test_it_names_a_result_for_the_stages_that_have_one(first_run):
    results = {stage["name"]: stage["result"] for stage in first_run.value["stages"]}
    assert results["ingest"].endswith("; 0 rejected")
    assert results["features"].endswith(" vectors of 32")
    assert "best eval accuracy" in results["train"]
    assert results["push"] == "version 1"


def test_metrics_and_gates(first_run):
    metrics = first_run.value["metrics"]
    assert 0.5 <= metrics["accuracy"] <= 1 and metrics["examples"] > 20
    assert metrics["latency_ms"] > 0 and 0 < metrics["model_size_mb"] < 10
    assert set(gates(first_run)) == {
        "max_rejected",
        "anomalies",
        "invalid_answers",
        "accuracy",
        "accuracy[camera=left]",
        "accuracy[camera=right]",
        "serving_parity",
    }
    assert all(gate["passed"] for gate in first_run.value["gates"])
    assert gates(first_run)["accuracy"] | {"detail": ""} == {
        "name": "accuracy",
        "value": metrics["accuracy"],
        "limit": 0.5,
        "passed": True,
        "detail": "",
    }
    assert first_run.value["rejected"] == {"total": 0, "reasons": {}}


@pytest.mark.slow
def test_every_label_was_held_against_heads_without_it(workshop, first_run):
    told = first_run.value["labels"]
    assert told["looked_at"] == 120 and 0 <= told["flagged"] < 40
    found = json.loads((workshop.artifact("labels", "review") / "labels.json").read_text())
    assert found["examples"]["test"] > 0 and found["why_no_test"] == "", "the frozen backbone gives the cached features"
    assert found["right"] > 0.5 and found["ranked"] == 120 and len(found["previews"]) >= 12
    assert "labels to look at" in next(s["result"] for s in first_run.value["stages"] if s["name"] == "labels")
    listed = workshop.graft("labels", first_run.value["run_id"]).value  # others have had runs there since
    assert len(listed["labels"]) == 120 and listed["flagged"] == told["flagged"]


def test_progress_goes_to_stderr_stage_by_stage(first_run):
    names = [line.split()[0] for line in first_run.stderr.splitlines()]
    assert list(dict.fromkeys(names)) == ["shapes:", *STAGES]  # first what is loaded, and no library's chatter


def test_the_report_is_written(first_run):
    report = pathlib.Path(first_run.value["report"])
    assert report.suffix == ".html" and report.stat().st_size > 1000


def test_the_store_serves_version_1(workshop, first_run):
    store = open_store(workshop.store)
    assert first_run.value["model_version"] == 1
    assert store.served("shapes") == 1 and store.verify("shapes") == []
    assert (store.version_path("shapes", 1) / "assets.extra" / "labels.txt").read_text().split() == sorted(CLASSES)


def test_an_unchanged_run_finishes_with_every_stage_cached(first_run, second_run):
    assert second_run.code == 0
    assert [stage["name"] for stage in second_run.value["stages"] if not stage["cached"]] == []
    for key in ("metrics", "gates", "model_version", "rejected"):
        assert second_run.value[key] == first_run.value[key]


def test_from_a_stage_on_the_cache_is_not_used(workshop, second_run):
    outcome = workshop.again("--from", "evaluate")
    ran = [stage["name"] for stage in outcome.value["stages"] if not stage["cached"]]
    assert ran == ["evaluate", "labels", "quality_gate", "serving_check", "push"]
    assert outcome.value["model_version"] == 1, "the same content is not pushed twice"


def test_from_an_unknown_stage_is_refused(workshop, second_run):
    outcome = workshop.again("--from", "trian")
    assert outcome.code == 2
    assert outcome.value["status"] == "error", "no run has begun"
    assert outcome.value["error"].startswith("--from trian: no such stage; ")
    assert "train" in outcome.value["error"]


def test_a_stage_that_fails_leaves_table_and_report(workshop, second_run):
    outcome = workshop.again("--set", "head.solver=adam", "--set", "train.learning_rate=1e30")
    assert outcome.code == 2
    assert outcome.value["status"] == "failed"
    assert outcome.value["stages"][-1]["name"] == "train" and outcome.value["stages"][-1]["status"] == "failed"
    assert "the learning rate 1e+30 is too high" in outcome.value["error"] == outcome.value["reason"]
    assert f"graft: {outcome.value['error']}" in outcome.stderr
    assert outcome.value["error"] in html.unescape(pathlib.Path(outcome.value["report"]).read_text())


def test_a_worse_model_is_not_pushed(workshop, worse_run):
    assert worse_run.code == 1
    assert worse_run.value["status"] == "gate_closed"
    assert worse_run.value["model_version"] is None
    assert [stage["name"] for stage in worse_run.value["stages"]] == list(STAGES[: STAGES.index("quality_gate") + 1])
    assert worse_run.value["stages"][-1]["status"] == "closed"
    assert open_store(workshop.store).versions("shapes") == [1]


def test_the_gates_say_why_it_closed(first_run, worse_run):
    closed = gates(worse_run)
    assert not closed["accuracy"]["passed"] and not closed["baseline"]["passed"]
    assert closed["baseline"]["value"] > closed["baseline"]["limit"] == 0.02
    assert "served version 1 is right on" in closed["baseline"]["detail"]
    assert worse_run.value["metrics"]["baseline_accuracy"] == first_run.value["metrics"]["accuracy"]
    assert "graft: quality_gate: gate closed: accuracy is " in worse_run.stderr
    assert pathlib.Path(worse_run.value["report"]).is_file()


def test_a_closed_gate_stays_closed_from_the_cache(workshop, worse_run):
    outcome = workshop.again(*UNTRAINED)
    assert outcome.code == 1
    assert all(stage["cached"] for stage in outcome.value["stages"])


def test_after_a_rollback_and_an_unpin_the_run_serves_its_model_again(workshop, worse_run):
    other = ("--set", "head.l2=0.01", "--set", "gates.baseline_tolerance=1")
    pushed = workshop.again(*other)
    assert pushed.value["model_version"] == 2
    store = open_store(workshop.store)
    store.rollback("shapes")
    try:
        pinned = workshop.again(*other)
        assert pinned.value["stages"][-1]["result"] == "version 2; version 1 is pinned and stays served"
        store.unpin("shapes")
        again = workshop.again(*other)
        assert again.value["model_version"] == 2 and store.served("shapes") == 2
        assert all(stage["cached"] for stage in workshop.again(*other).value["stages"])
    finally:
        store.pin("shapes", 1)
        store.unpin("shapes")


def test_a_dry_run_runs_nothing(workshop, first_run, tmp_path):
    beside = workshop.beside(tmp_path / "dry")
    outcome = beside.again("--dry-run")
    assert outcome.code == 0
    assert outcome.value["status"] == "checked"
    assert outcome.value["classes"] == dict.fromkeys(CLASSES, 40)
    assert sum(outcome.value["splits"].values()) == 120
    assert not list(beside.folder.rglob("metadata.sqlite")) and not beside.store.exists()


def test_a_dry_run_refuses_a_backbone_that_does_not_fit(workshop, first_run, tmp_path):
    outcome = workshop.beside(tmp_path / "dry").again("--dry-run", "--set", "input.image_size=[32, 32]")
    assert outcome.code == 2
    assert "32" in outcome.value["error"] and "24" in outcome.value["error"]


@pytest.mark.parametrize(
    "setting", ["target.class_weights={brik: 2}", "gates.precision={brik: 0.5}", "gates.recall={brik: 0.5}"]
)
def test_a_dry_run_refuses_a_class_that_the_data_lacks(workshop, first_run, tmp_path, setting):
    outcome = workshop.beside(tmp_path / "dry").again("--dry-run", "--set", setting)
    assert outcome.code == 2
    key = setting.partition("=")[0]
    assert outcome.value["error"] == f"{key}: 'brik' is no class of the data; classes: brick, grass, sea"


@pytest.mark.parametrize("gone", ["metadata.sqlite", "artifacts"])
def test_half_of_a_pipeline_that_was_removed_by_hand(workshop, first_run, tmp_path, gone):
    beside = workshop.beside(tmp_path / "half")
    root = beside.folder / "runs" / "shapes"
    (root / "artifacts" / "ingest").mkdir(parents=True)
    (root / "metadata.sqlite").touch()
    shutil.rmtree(root / gone) if gone == "artifacts" else (root / gone).unlink()
    outcome = beside.again()
    assert outcome.code == 2 and outcome.value["status"] == "error"
    assert gone.removesuffix(".sqlite") in outcome.value["error"] and "remove" in outcome.value["error"]


def test_the_data_gate_closes_on_a_label_that_a_curated_schema_lacks(workshop, second_run, tmp_path):
    inferred = (workshop.artifact("schema", "schema") / "schema.pbtxt").read_text()
    assert 'value: "sea"' in inferred
    curated = tmp_path / "curated.pbtxt"
    curated.write_text("\n".join(line for line in inferred.splitlines() if 'value: "sea"' not in line))
    outcome = workshop.again("--set", f"data.schema={curated}")
    assert outcome.code == 1
    assert outcome.value["status"] == "gate_closed"
    assert outcome.value["stages"][-1]["name"] == "data_gate"
    assert not gates(outcome)["anomalies"]["passed"]
    assert "sea" in outcome.value["reason"] and "label" in outcome.value["reason"]


def test_the_data_gate_closes_on_too_many_rejected_images(workshop, first_run, tmp_path):
    source = workshop.config.parent / "data"
    shutil.copytree(source, tmp_path / "data")
    for number in range(10):
        picture = tmp_path / "data" / f"brick-{number:03d}.png"
        picture.write_bytes(picture.read_bytes()[:100])
    beside = workshop.beside(tmp_path / "rejecting")
    outcome = beside.again("--set", f"data.path={tmp_path}/data/pictures.csv")
    assert outcome.code == 1
    assert outcome.value["stages"][-1] | {"seconds": 0, "peak_mb": 0, "result": ""} == {
        "name": "data_gate",
        "seconds": 0,
        "cached": False,
        "peak_mb": 0,
        "status": "closed",
        "result": "",
    }
    assert outcome.value["rejected"]["total"] == 10
    assert gates(outcome)["max_rejected"]["value"] == pytest.approx(10 / 120)
    assert "data_gate: gate closed: max_rejected is 0.0833333, limit 0.01 (10 of 120 images rejected" in outcome.stderr
    assert not beside.store.exists() or open_store(beside.store).models() == []
