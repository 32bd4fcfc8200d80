"""`graft retrain` without a run: what it says and what it notes."""

import json
import os
import signal
import subprocess
import sys

import drift_samples as samples
import pytest
import yaml
from retrain_samples import NOW, config, event, windows

from graft.models.errors import GraftError
from graft.monitoring.drift import results
from graft.monitoring.retrain import audit, plans, retraining
from graft.pipeline import cli

FEW = {"new_labels": 40, "least_labels": 10, "drift_windows": 2}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(audit, "now", lambda: NOW)


@pytest.fixture
def graft(capsys):
    """graft(words) -> exit status, JSON object, standard error."""

    def run(*words) -> tuple[int, dict, str]:
        code = cli.main([*map(str, words), "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out or "{}"), printed.err

    return run


def drifted(root) -> None:
    folder = root / "runs" / "m" / "drift"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / results.NAME).write_text("".join(results.line(w) + "\n" for w in windows(True, True)))


def events(root):
    return [one.kind for one in audit.read(root / "runs" / "m" / "retrain")]


def test_a_dry_run_says_what_would_be_done_and_leaves_nothing(tmp_path, graft):
    path = config(tmp_path, **FEW)
    code, value, _ = graft("retrain", path, "--dry-run")
    assert (code, value["status"], value["triggers"]) == (0, "held", [])
    assert value["figures"]["new_labels"] == 30 and value["figures"]["left_out"] == {"no_label": 30}
    drifted(tmp_path)
    code, value, _ = graft("retrain", path, "--dry-run")
    assert (code, value["status"], value["triggers"]) == (0, "would_start", ["drift"])
    assert not (tmp_path / "runs" / "m" / "retrain").exists()


def test_a_held_one_is_exit_code_0_and_1_where_it_was_forced(tmp_path, graft):
    path = config(tmp_path, labels=5, **FEW)
    assert graft("retrain", path)[0] == 0 and events(tmp_path) == []
    for _ in range(3):
        code, value, _ = graft("retrain", path, "--force")
        assert (code, value["status"]) == (1, "held") and "5 labels whose input" in value["against"][0]
    assert events(tmp_path) == ["held"]  # once, however often


def test_a_pause_holds_until_resumed(tmp_path, graft):
    path = config(tmp_path, **FEW | {"new_labels": 20})
    assert graft("retrain", path, "--dry-run")[1]["start"]
    assert graft("retrain", path, "--pause", "labels are wrong")[1]["status"] == "paused"
    code, value, _ = graft("retrain", path)
    assert (code, value["status"]) == (0, "held") and "labels are wrong" in value["against"][0]
    assert graft("retrain", path, "--resume")[1]["status"] == "resumed"
    assert graft("retrain", path, "--resume")[1]["status"] == "not_paused"
    assert graft("retrain", path, "--dry-run")[1]["start"]
    assert events(tmp_path) == ["paused", "held", "resumed"]


def test_without_base_only_the_log_is_learned_from_and_a_log_stays_one(tmp_path):
    path = config(tmp_path, base=False, **FEW)
    data = plans.read(str(path)).retraining().data
    assert data.base is None and data.split.eval == 0.2 and data.labelled_until is None
    raw = yaml.safe_load(path.read_text())
    raw["data"] = {"source": "request_log", "path": "elsewhere", "model": "other", "since": "2023-01-01"}
    path.write_text(yaml.safe_dump(raw))
    data = plans.read(str(path)).retraining(NOW).data
    assert (data.since, data.model, data.labelled_until) == ("2023-01-01", "m", "2023-11-15T12:00:00.000Z")


def test_a_label_that_the_served_model_does_not_know_is_named_and_not_learned_from(tmp_path, graft, capsys):
    path = config(tmp_path, **FEW)
    samples.put_labels(tmp_path, {f"q{number}": "dasiy" for number in range(30, 33)})
    figures = graft("retrain", path, "--dry-run")[1]["figures"]
    assert (figures["labels"], figures["unknown_labels"], figures["left_out"]["unknown_label"]) == (30, {"dasiy": 3}, 3)
    assert cli.main(["retrain", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("are not learned from: 'dasiy' (3)")
    assert plans.read(str(path)).retraining().data.known_labels == samples.CLASSES
    for word in ("monitoring.retrain.new_classes=true", "target.class_names=[rose, tulip, dasiy]"):
        allowed = graft("retrain", path, "--dry-run", "--set", word)[1]["figures"]
        assert allowed["labels"] == 33 and "unknown_labels" not in allowed
        assert plans.read(str(path), [word]).retraining().data.known_labels is None
    # Nothing is served yet, or what an older Graft pushed: nobody knows better than the target.
    (tmp_path / "new").mkdir()
    samples.make_store(tmp_path / "older", with_reference=False)
    for store in (tmp_path / "new", tmp_path / "older" / "store"):
        assert plans.read(str(path), [f"store={store}"]).known_labels is None


def test_the_same_labels_are_read_again_though_more_have_come(tmp_path):
    plan = plans.read(str(config(tmp_path, **FEW)))
    made = retraining.look(plan, [], NOW, force=True)
    config(tmp_path, labels=50, **FEW)
    again = retraining.rows_of(plan.retraining(made.learned_until).request())
    assert len(again.rows) == 30 and len(retraining.rows_of(plan.retraining().request()).rows) == 50


def test_as_a_service_it_looks_again_after_a_fault_and_ends_when_asked_to(tmp_path, monkeypatch, capsys, caplog):
    looks, real = [], retraining.attempt

    def attempt(*given):
        looks.append(given)
        if len(looks) == 1:
            raise GraftError("the store cannot be reached")
        if len(looks) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*given)

    monkeypatch.setattr(retraining, "attempt", attempt)
    assert cli.main(["retrain", str(config(tmp_path, **FEW)), "--every", "0.01s", "--json"]) == 0
    assert "the store cannot be reached" in caplog.text and len(looks) == 3
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["status"] for one in told] == ["held"]


@pytest.mark.parametrize(
    "words", [("--pause", " "), ("--every", "1h", "--force"), ("--resume", "--force"), ("--resume", "--kubeflow")]
)
def test_what_does_not_go_together_is_refused(tmp_path, graft, words):
    code, _, told = graft("retrain", config(tmp_path, **FEW), *words)
    assert code == 2 and (words[0] in told or f"{words[-1]} was given" in told)


def test_a_configuration_without_a_log_is_refused(tmp_path, graft):
    path = config(tmp_path)
    raw = yaml.safe_load(path.read_text())
    raw["monitoring"] = {}
    path.write_text(yaml.safe_dump(raw))
    code, _, told = graft("retrain", path)
    assert code == 2 and "monitoring.request_log.folder are null; give the folder of the log" in told


def test_one_under_way_is_told(tmp_path, graft):
    path = config(tmp_path, **FEW)
    with audit.one_at_a_time(tmp_path / "runs" / "m" / "retrain"):
        code, _, told = graft("retrain", path)
    assert code == 2 and "a retraining of this pipeline is under way" in told


@pytest.mark.slow
def test_of_two_processes_at_once_one_starts(tmp_path):
    path = config(tmp_path, **FEW | {"new_labels": 20})
    words = [sys.executable, "-m", "graft.pipeline.cli", "retrain", str(path), "--json"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = ["".join(one.communicate(timeout=120)) for one in both]
    assert [kind for kind in events(tmp_path) if kind != "held"] == ["started", "finished"]
    # The backbone of the one that starts is nowhere; the other one finds the lock held, or comes later.
    one, other = sorted(told, key=lambda words: "nowhere" in words)
    assert "nowhere" in other and ("is under way (process " in one or "which ended failed" in one)


def test_a_run_that_cannot_begin_is_on_record_as_failed_and_cools_down(tmp_path, graft):
    path = config(tmp_path, **FEW | {"new_labels": 20})
    code, _, told = graft("retrain", path)
    assert code == 2 and "nowhere" in told  # the backbone
    assert events(tmp_path) == ["started", "finished"]
    code, value, _ = graft("retrain", path)
    assert (code, value["status"]) == (0, "held") and "which ended failed" in value["against"][0]


def test_a_start_without_an_end_is_completed_first(tmp_path, graft):
    path, folder = config(tmp_path, **FEW | {"new_labels": 20}), tmp_path / "runs" / "m" / "retrain"
    audit.append(folder, event("started", NOW - 60, run="gone"))
    assert "run gone is under way" in graft("retrain", path, "--dry-run")[1]["against"][0]
    assert "which ended killed" in graft("retrain", path)[1]["against"][0]
    assert events(tmp_path) == ["started", "killed", "held"]
