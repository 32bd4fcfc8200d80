"""`graft retrain --kubeflow` against a server on loopback: submitted once, asked about, repeated where it failed."""

import json
import shlex
import subprocess
import sys

import pytest
import yaml
from kfp_server_for_tests import KfpServer, run_with_tasks
from retrain_samples import NOW, config, event
from small_models import save_linear
from waiting import until

from graft.kubeflow import orchestrator
from graft.kubeflow.client import PipelinesClient
from graft.kubeflow.submission import Package
from graft.monitoring.request_log import label_spans
from graft.monitoring.retrain import audit, plans, retraining, submitted
from graft.pipeline import cli
from graft.pipeline import config as configs
from graft.serving.store import open_store

NAMES = ("data_fingerprint", "code", "run_key")
SPEC = {
    "schemaVersion": "2.1.0",
    "root": {"inputDefinitions": {"parameters": {name: {"parameterType": "STRING"} for name in NAMES}}},
}
DUE = {"new_labels": 20, "least_labels": 10}


@pytest.fixture
def server():
    with KfpServer(token=None) as server:
        yield server


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds) moves the time of `graft retrain` on; it begins at NOW."""
    at = [NOW]
    monkeypatch.setattr(audit, "now", lambda: at[0])

    def on(seconds: float) -> None:
        at[0] += seconds

    return on


@pytest.fixture
def graft(server, clock, tmp_path, monkeypatch, capsys):
    """graft(words) -> exit status, JSON object and standard error of `graft retrain --kubeflow`; one is due."""
    monkeypatch.setattr(PipelinesClient.__init__, "__defaults__", (lambda _: None,))  # no pauses
    monkeypatch.setattr(orchestrator, "packaged", lambda *_: Package("m", SPEC, _declared(), "minio://b/r"))
    (tmp_path / "backbone").write_bytes(b"weights")
    path = config(tmp_path, **DUE)
    raw = yaml.safe_load(path.read_text())
    raw["kubeflow"] = {"server": {"host": server.host}, "volumes": [{"claim": "a", "mount": str(tmp_path)}]}
    raw["backbone"]["handle"] = str(tmp_path / "backbone")
    path.write_text(yaml.safe_dump(raw))

    def run(*words) -> tuple[int, dict, str]:
        code = cli.main(["retrain", str(path), "--kubeflow", "--json", *map(str, words)])
        out, err = capsys.readouterr()
        return code, json.loads(out or "{}"), err

    return run


def _declared():
    return SPEC["root"]["inputDefinitions"]["parameters"]


@pytest.fixture
def record(tmp_path):
    """record() -> the audit."""
    return lambda: audit.read(tmp_path / "runs" / "m" / "retrain")


def end(server, state: str, seconds: float, tasks: dict[str, str] | None = None) -> None:
    """The run on the server that was made last has ended."""
    run = list(server.runs)[-1]
    run_with_tasks(server, run, tasks or {})
    server.runs[run] |= {"state": state, "finished_at": label_spans.as_time(NOW + seconds)}


def test_a_dry_run_prints_the_parameters_and_submits_nothing(graft, server, record, tmp_path):
    code, value, _ = graft("--dry-run")
    assert (code, value["status"], value["triggers"]) == (0, "would_start", ["labels"])
    name, parameters = value["submission"]["name"], value["submission"]["parameters"]
    assert name == f"m-retrain-{value['span']}" and set(parameters) == set(NAMES) and parameters["data_fingerprint"]
    assert server.changes() == [] and record() == []
    program, *words = shlex.split(value["command"])
    args = cli._parser().parse_args(words)
    data = configs.load(args.config, args.set).data
    assert (program, args.name) == ("graft", name) and data.base.path == str(tmp_path / "old.csv")
    assert data.source == "request_log" and graft("--dry-run")[1]["command"] == value["command"]
    held = graft("--dry-run", "--set", "monitoring.retrain.new_labels=31")[1]
    assert held["status"] == "held" and "submission" not in held


def test_the_same_labels_are_submitted_once_and_a_run_that_goes_on_refuses_a_second(graft, server, record, tmp_path):
    expected = graft("--dry-run")[1]["submission"]
    code, value, _ = graft()
    assert (code, value["status"], value["submission"]["created"]) == (0, "submitted", True)
    [run] = server.runs.values()
    assert expected == {"name": run["display_name"], "parameters": run["runtime_config"]["parameters"]}
    started, sent = record()
    assert (started.kind, sent.kind, sent.id, sent.run) == ("started", "submitted", run["run_id"], run["display_name"])
    for state in ("PENDING", "RUNNING", "CANCELING"):
        run["state"] = state
        assert "is under way on kubeflow" in graft("--force")[1]["against"][0]
    # The command without --kubeflow asks the server too.
    assert cli.main(["retrain", str(tmp_path / "m.yaml"), "--json"]) == 0
    assert len(server.runs) == 1 and [one.kind for one in record()] == ["started", "submitted", "held", "held"]


def test_one_that_passed_has_learned_its_labels_and_begins_the_cool_down(graft, server, record, clock, tmp_path):
    run = graft()[1]["submission"]["run"]
    open_store(tmp_path / "store").push("m", save_linear(tmp_path / "made", 0.5, 2.0), {"run_id": run})
    end(server, "SUCCEEDED", 600)
    clock(700)
    held = graft()[1]
    assert held["figures"]["new_labels"] == 0 and held["triggers"] == []
    assert any("cool-down until 2023-11-16" in one and "which ended passed" in one for one in held["against"])
    last = record()[-1]
    assert (last.kind, last.status, last.ended, last.version, last.id) == ("finished", "passed", NOW + 600, 2, run)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "tasks", "status", "again"),
    [
        ("FAILED", {"ingest": "SUCCEEDED", "train": "FAILED"}, "failed", True),
        ("CANCELED", {}, "interrupted", True),
        ("FAILED", {"report": "SUCCEEDED", "verdict": "FAILED"}, "gate_closed", False),
    ],
)
def test_one_that_failed_is_repeated_after_the_cool_down_and_a_closed_gate_is_not(
    graft, server, record, clock, state, tasks, status, again
):
    name = graft()[1]["submission"]["name"]
    end(server, state, 600, tasks)
    clock(700)
    assert f"which ended {status}" in " ".join(graft()[1]["against"]) and record()[2].status == status
    assert ("is not finite" in record()[2].reason) == ("FAILED" in tasks.values())
    clock(25 * 3600)
    value = graft()[1]
    assert value["status"] == ("submitted" if again else "held")
    assert [one["display_name"] for one in server.runs.values()] == [name, f"{name}-2"][: 1 + again]


def test_while_the_server_does_not_answer_nothing_is_decided_and_that_is_on_record_once(graft, server, record):
    assert graft()[1]["status"] == "submitted"
    server.fail("GET", "/runs/", 503, times=9)
    for _ in range(2):
        code, _, told = graft()
        assert code == 2 and "it is not ready (503" in told and told.count("\n") == 1
    assert graft("--dry-run")[0] == 2
    assert [one.kind for one in record()] == ["started", "submitted", "error"] and record()[-1].reason in told
    assert "is under way on kubeflow" in graft()[1]["against"][0]


def test_before_anything_is_submitted_a_server_that_does_not_answer_leaves_no_start(graft, server, record, clock):
    server.fail("GET", "/experiments$", 403, times=1)
    assert graft()[0] == 2 and [one.kind for one in record()] == ["error"]
    assert graft()[1]["status"] == "submitted"  # at once: no run has failed


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop", "drop stored"])
def test_an_answer_that_was_lost_is_no_second_run(graft, server, record, clock, fault):
    server.fail("POST", "/runs$", fault)
    code = graft()[0]
    assert code == (2 if fault == "drop" else 0)
    if code:
        clock(submitted.ARRIVES_S - 1)
        assert "is under way on kubeflow" in graft("--dry-run")[1]["against"][0]  # it may still come
        clock(1)
        assert graft()[1]["status"] == "submitted"
        kinds = ["started", "error", "refused", "started", "submitted"]
        assert [one.kind for one in record()] == kinds
    assert len(server.runs) == 1 and "is under way" in graft()[1]["against"][0]


def test_a_command_that_was_killed_after_it_submitted_is_found_by_the_name(graft, server, record, clock, tmp_path):
    graft()
    path = tmp_path / "runs" / "m" / "retrain" / audit.NAME
    path.write_text(path.read_text().splitlines()[0] + "\n")  # the start alone
    assert "is under way on kubeflow" in graft()[1]["against"][0]
    end(server, "SUCCEEDED", 60)
    clock(120)
    graft()
    assert record()[-1].status == "passed" and record()[-1].id == next(iter(server.runs))


@pytest.mark.slow
def test_while_another_process_asks_the_server_one_is_refused_and_the_lock_goes_with_it(
    graft, server, record, tmp_path
):
    server.fail("GET", "/experiments$", "hang")
    words = [sys.executable, "-m", "graft.pipeline.cli", "retrain", str(tmp_path / "m.yaml"), "--kubeflow"]
    with subprocess.Popen(words) as other:
        until(lambda: server.requests)
        code, _, told = graft()
        assert code == 2 and f"is under way (process {other.pid}); let it end" in told
        other.kill()
    assert record() == [] and graft()[1]["status"] == "submitted" and len(server.runs) == 1


def test_a_run_that_the_server_has_forgotten_is_killed_and_cools_down(graft, server, record):
    graft()
    server.runs.clear()
    assert "which ended killed" in " ".join(graft()[1]["against"]) and record()[2].kind == "killed"


def test_a_run_of_somebody_else_refuses_too(graft, server, record, tmp_path, capsys):
    assert cli.main(["kubeflow", "submit", str(tmp_path / "m.yaml"), "--name", "by-hand"]) == 0
    capsys.readouterr()
    code, value, _ = graft()
    assert (code, value["status"]) == (0, "held")
    assert value["against"] == ["run by-hand of experiment m is PENDING on Kubeflow"]
    assert "though 30 new labels" in record()[0].reason and graft("--force")[0] == 1
    end(server, "FAILED", 60)
    assert graft()[1]["status"] == "submitted"


@pytest.mark.slow
def test_what_is_compiled_reads_the_log_up_to_the_newest_label(
    graft, server, record, monkeypatch, tmp_path, tmp_path_factory
):
    monkeypatch.undo()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "old.csv"
    elsewhere.write_bytes((tmp_path / "old.csv").read_bytes())
    for _ in range(2):
        code, _, told = graft("--set", f"data.path={elsewhere}")
        assert code == 2 and f"data.base.path: received {elsewhere}, which no pod sees" in told
    assert [one.kind for one in record()] == ["error"] and server.changes() == []
    value = graft()[1]
    [run] = server.runs.values()
    spec = json.dumps(run["pipeline_spec"])
    assert value["status"] == "submitted" and run["runtime_config"]["parameters"] == value["submission"]["parameters"]
    assert "request_log" in spec and "labelled_until" in spec and str(tmp_path / "log") in spec


def test_without_a_server_in_the_configuration_it_says_which_key(graft, record):
    code, _, told = graft("--set", "kubeflow.server={}")
    assert code == 2 and "kubeflow.server.host: none is given" in told and record() == []


def test_the_span_of_a_later_attempt_has_a_number_of_its_own_labels_only(tmp_path):
    plan = plans.read(str(config(tmp_path, **DUE)))
    made = retraining.look(plan, [], NOW)
    ended = [event("finished", NOW, run="a", span=made.span, orchestrator="kubeflow")]
    others = [event("finished", NOW, run="b", span="other", orchestrator="kubeflow")]
    others += [event("finished", NOW, run="c", span=made.span), event("refused", NOW, span=made.span, run="d")]
    assert submitted.run_name(plan, made, others) == f"m-retrain-{made.span}"
    assert submitted.run_name(plan, made, others + 2 * ended) == f"m-retrain-{made.span}-3"
