"""Runs on a real MLflow server: what stands there after each end of a run, and what a server that is away costs."""

import json
import socket
import sys

import pytest
from mlflow_server import free_port, mlflow_server  # noqa: F401 - fixture

from graft.models.errors import GraftError
from graft.models.gates import Gate
from graft.monitoring.tracking import mlflow_tracker
from graft.monitoring.tracking.options import MlflowOptions
from graft.pipeline import config as configs
from graft.pipeline import trackers
from graft.pipeline.metadata import Artifact
from graft.pipeline.result import RunResult
from graft.pipeline.running import StageRun
from graft.pipeline.trackers import Followed
from graft.serving.store import open_store

EPOCHS = [{"epoch": 1, "phase": "head", "val_loss": 0.9}, {"epoch": 2, "phase": "head", "val_loss": 0.5}]


@pytest.fixture
def experiment(request):
    return request.node.name


@pytest.fixture
def client(mlflow_server, monkeypatch):  # noqa: F811
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    return MlflowClient(mlflow_server.address)


def make_config(tmp_path, uri, **section):
    raw = {
        "name": "shapes",
        "data": {"source": "image_folder", "path": "d"},
        "backbone": {"handle": "b"},
        "train": {"epochs": 7},
        "store": str(tmp_path / "store"),
        "root": str(tmp_path),
        "mlflow": {"tracking_uri": uri, "timeout_s": 10, **section},
    }
    return configs.parse(raw, "c.yaml")


@pytest.fixture
def config(tmp_path, mlflow_server, experiment):  # noqa: F811
    return make_config(tmp_path, mlflow_server.address, experiment=experiment, registered_model=experiment)


def artifact(tmp_path, name, content):
    folder = tmp_path / name
    folder.mkdir(parents=True, exist_ok=True)
    file = {"quality": "figures.json", "model_run": "history.json"}[name]
    (folder / file).write_text(json.dumps(content))
    return Artifact("", str(folder), {})


def followed(tmp_path, config, run_id, status="passed", version=None, **more):
    """A run that came to its quality gate, with what it left."""
    passed = status == "passed"
    result = RunResult(
        run_id,
        status=status,
        stages=[StageRun("ingest", 1.5, status="done")],
        gates=[Gate("accuracy", 0.75, 0.7, passed), Gate("recall[a:b]", None, 0.1, passed)],
        metrics={"accuracy": 0.75, "words": "no number"},
        model_version=version,
        **more,
    )
    folder = tmp_path / "shapes" / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "report.html", "model_card.md"):
        (folder / name).write_text(f"{name} of {run_id}")
    outputs = {
        "train": {"model_run": artifact(tmp_path, "model_run", {"epochs": EPOCHS})},
        "quality_gate": {
            "quality": artifact(tmp_path, "quality", {"candidate": {"accuracy_interval": [0.6, 0.9], "examples": 40}})
        },
    }
    return Followed(config, result, folder, tmp_path / "shapes", outputs, list)


def follow(run):
    """All that a run tells its trackers."""
    told = trackers.opened(run.config)
    told.check()
    told.begin(run)
    told.end(run)
    told.attach(run, ("run.json", "report.html", "model_card.md", "missing.txt"))
    return told


def runs(client, experiment):
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id])


def push(tmp_path, content):
    model = tmp_path / content
    model.mkdir()
    (model / "saved_model.pb").write_text(content)
    return open_store(tmp_path / "store").push("shapes", model, {})


def test_a_passed_run_and_its_version(tmp_path, client, config, experiment, capsys):
    version = push(tmp_path, "first")
    run = followed(tmp_path, config, "20260101-000000-000", version=version)
    follow(run)
    assert not run.result.warnings
    [found] = runs(client, experiment)
    assert (found.info.run_name, found.info.status) == (run.result.run_id, "FINISHED")
    assert found.data.params["train.epochs"] == "7" and found.data.params["transfer.method"] == "frozen"
    metrics = found.data.metrics
    assert (metrics["accuracy"], metrics["accuracy_low"], metrics["accuracy_high"]) == (0.75, 0.6, 0.9)
    assert (metrics["gate/accuracy"], metrics["gate/accuracy/limit"], metrics["gate/recall.a_b"]) == (1, 0.7, 1)
    assert "gate/recall.a_b/value" not in metrics and metrics["seconds/ingest"] == 1.5
    tags = found.data.tags
    assert (tags["graft.status"], tags["graft.run_id"], tags["graft.gate.accuracy"]) == (
        "passed",
        run.result.run_id,
        "open",
    )
    assert tags["graft.backbone.handle"] == "b"
    history = client.get_metric_history(found.info.run_id, "epoch/val_loss")
    assert [(m.step, m.value) for m in history] == [(1, 0.9), (2, 0.5)]
    assert {file.path for file in client.list_artifacts(found.info.run_id)} == {
        "run.json",
        "report.html",
        "model_card.md",
    }

    registered = client.get_model_version_by_alias(experiment, "served")
    assert (registered.run_id, registered.tags["graft.version"]) == (found.info.run_id, "1")
    assert registered.source.endswith(f"{tmp_path}/store/shapes/1") and registered.source.startswith("graft-store://")
    # All from the cache: another run, and no other version.
    follow(followed(tmp_path, config, "20260101-000001-000", version=version))
    assert len(runs(client, experiment)) == 2
    assert len(client.search_model_versions(f"name = '{experiment}'")) == 1
    # A pinned store keeps serving the first.
    store = open_store(tmp_path / "store")
    store.pin("shapes", version)
    follow(followed(tmp_path, config, "20260101-000002-000", version=push(tmp_path, "second")))
    assert client.get_model_version_by_alias(experiment, "served").version == registered.version
    assert len(client.search_model_versions(f"name = '{experiment}'")) == 2
    assert capsys.readouterr().out == ""  # which holds one JSON object


@pytest.mark.parametrize(
    ("status", "wanted"), [("gate_closed", "FINISHED"), ("failed", "FAILED"), ("interrupted", "KILLED")]
)
def test_the_status_of_other_ends(tmp_path, client, config, experiment, status, wanted):
    follow(followed(tmp_path, config, "a", status=status, reason="accuracy is 0.6"))
    [found] = runs(client, experiment)
    assert found.info.status == wanted and found.info.end_time
    assert (found.data.tags["graft.status"], found.data.tags["graft.reason"]) == (status, "accuracy is 0.6")
    assert found.data.metrics["gate/accuracy"] == 0


def test_a_resumed_run_goes_on_in_the_same_run_there(tmp_path, client, config, experiment):
    follow(followed(tmp_path, config, "first", status="interrupted"))
    follow(followed(tmp_path, config, "second"))
    [found] = runs(client, experiment)
    assert (found.info.run_name, found.info.status) == ("second", "FINISHED")
    assert found.data.tags["graft.run_id"] == "second"
    # What came to its end is not gone on with.
    follow(followed(tmp_path, config, "third"))
    assert len(runs(client, experiment)) == 2


def test_a_run_whose_process_died_is_gone_on_with_or_told_as_killed(tmp_path, client, config, experiment):
    trackers.opened(config).begin(followed(tmp_path, config, "first"))  # and no more
    other = configs.parse(config.model_dump(mode="json", by_alias=True) | {"train": {"epochs": 8}}, "c.yaml")
    run = followed(tmp_path, other, "second")
    follow(run)
    assert not run.result.warnings
    assert {found.info.run_name: found.info.status for found in runs(client, experiment)} == {
        "first": "KILLED",
        "second": "FINISHED",
    }


def test_a_deleted_experiment_is_refused_before_the_run(tmp_path, client, config, experiment):
    client.delete_experiment(client.create_experiment(experiment))
    with pytest.raises(GraftError, match=f"mlflow.experiment: '{experiment}' is deleted at http"):
        trackers.opened(config).check()


@pytest.mark.slow
def test_nobody_answers(tmp_path):
    uri = f"http://127.0.0.1:{free_port()}"
    told = trackers.opened(make_config(tmp_path, uri))
    with pytest.raises(
        GraftError, match=f"mlflow.tracking_uri: {uri} does not answer within 10 s .*refused.; start the"
    ):
        told.check()
    # Once the run has begun, it is a warning of each step, and no more.
    run = followed(tmp_path, make_config(tmp_path, uri), "a")
    told.begin(run)
    told.end(run)
    told.attach(run, ["run.json"])
    assert run.result.status == "passed"
    assert {warning.code for warning in run.result.warnings} == {"tracker"} and len(run.result.warnings) == 1
    assert "mlflow was not told of all of this run: mlflow.tracking_uri" in run.result.warnings[0].text
    assert "\n" not in run.result.warnings[0].line


def test_a_server_that_is_back_at_the_end_has_the_whole_run(tmp_path, client, config, experiment, monkeypatch):
    run = followed(tmp_path, config, "a")
    told = trackers.opened(config)
    with monkeypatch.context() as away:
        tracker = told._trackers["mlflow"]
        gone = tracker._options.model_copy(update={"tracking_uri": f"http://127.0.0.1:{free_port()}"})
        away.setattr(tracker, "_options", gone)
        told.begin(run)
    told.end(run)
    [found] = runs(client, experiment)
    assert found.info.status == "FINISHED" and found.data.params["train.epochs"] == "7"


@pytest.mark.slow
def test_a_server_that_says_nothing_costs_two_waits(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        uri = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(GraftError, match="does not answer within 1 s"):
            trackers.opened(make_config(tmp_path, uri, timeout_s=1)).check()
        mute.setblocking(False)
        accepted = 0
        try:
            while mute.accept():
                accepted += 1
        except BlockingIOError:
            pass
    assert accepted == 2


def test_without_an_address_nothing_is_imported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert mlflow_tracker.opened(make_config(tmp_path, None)) is None


def test_without_the_extra_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_tracker.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GraftError, match=r"pip install 'graft-transfer\[mlflow\]'"):
        trackers.opened(make_config(tmp_path, "http://127.0.0.1:1"))


def test_names_that_mlflow_takes():
    given = {"a[b/c]": 1, "a[b:c]": 2, "a.b_c": 3, "../x": 4, "é ü": 5}
    assert mlflow_tracker._named(given) == {"a.b/c": 1, "a.b_c": 2, "a.b_c_2": 3, "_/x": 4, "é ü": 5}


def test_the_source_of_a_version():
    assert mlflow_tracker.source("s3://b/p/m/3") == "s3://b/p/m/3"
    assert mlflow_tracker.source("/a/b/3") == f"graft-store://{socket.gethostname()}/a/b/3"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("tracking_uri", "http://me:secret@host", "holds a login"),
        ("tracking_uri", "sqlite:///a.db", "http://HOST:PORT"),
        ("tracking_uri", "http://host:99999", "no address"),
        ("alias", "v3", "latest"),
        ("alias", "latest", "latest"),
        ("registered_model", "a/b", "registered_model"),
    ],
)
def test_what_the_section_refuses(tmp_path, key, value, told):
    with pytest.raises(configs.ConfigError, match=told) as refused:
        make_config(tmp_path, "http://host", **{key: value}) if key != "tracking_uri" else make_config(tmp_path, value)
    assert f"mlflow.{key}" in str(refused.value)


def test_the_section_decides_nothing_of_a_run(tmp_path):
    config = make_config(tmp_path, "http://host")
    assert "mlflow" not in config.of_the_run()
    assert isinstance(config.mlflow, MlflowOptions)


def test_a_login_is_refused_in_one_line():
    error = type("Refused", (Exception,), {"error_code": "UNAUTHENTICATED"})("no such user")
    told = mlflow_tracker._told("http://h", error, 10)
    assert told.startswith(
        "mlflow.tracking_uri: http://h refuses the login (no such user); set MLFLOW_TRACKING_USERNAME"
    )


def test_graft_run_is_tracked(workshop, first_run, client, mlflow_server):  # noqa: F811
    """All from the cache: the second run of the same pipeline."""
    del first_run
    section = {"mlflow.tracking_uri": mlflow_server.address, "mlflow.registered_model": "shapes-of-run"}
    outcome = workshop.again(*(word for key, value in section.items() for word in ("--set", f"{key}={value}")))
    assert outcome.code == 0 and not [w for w in outcome.value["warnings"] if w["code"] == "tracker"], outcome
    [found] = runs(client, "shapes")
    assert found.data.tags["graft.run_id"] == outcome.value["run_id"]
    assert len(found.data.tags["graft.data.fingerprint"]) == 64 and found.data.tags["graft.code"]
    assert found.data.metrics["accuracy_low"] < found.data.metrics["accuracy"] < found.data.metrics["accuracy_high"]
    assert client.get_model_version_by_alias("shapes-of-run", "served").tags["graft.version"] == "1"
    assert {"report.html", "run.json", "model_card.md"} <= {f.path for f in client.list_artifacts(found.info.run_id)}
    dead = workshop.again("--set", f"mlflow.tracking_uri=http://127.0.0.1:{free_port()}")
    assert dead.code == 2 and "does not answer" in dead.value["error"] and dead.stderr.count("graft:") == 1
