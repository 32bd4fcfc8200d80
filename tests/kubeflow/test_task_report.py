"""The task that writes the report, without the stages before it."""

import json

import pytest

from graft.kubeflow import handover, parameters, report
from graft.models.errors import GraftError
from graft.pipeline import config as configs
from graft.pipeline import trackers
from graft.pipeline.metadata import Artifact

CONFIG = {
    "name": "shapes",
    "data": {"source": "image_folder", "path": "/mnt/photos"},
    "input": {"image_size": [8, 8], "value_range": [0, 1]},
    "backbone": {"handle": "/mnt/backbone"},
}


@pytest.fixture
def given(tmp_path, monkeypatch):
    """An `ExecutorInput` of a run that left nothing; its outputs lie in `tmp_path`."""
    monkeypatch.setenv(handover.ROOT, str(tmp_path))
    monkeypatch.setattr(report, "worked", lambda *_: [])
    names = ("report", "card", "metrics", "run", "lineage")
    outputs = {name: {"artifacts": [{"uri": f"minio://b/{name}", "metadata": {}}]} for name in names}
    values = {"config": json.dumps(CONFIG), "given": "{}", parameters.PREFIX + parameters.RUN: "run-1"}
    return {
        "inputs": {"artifacts": {}, "parameterValues": values},
        "outputs": {"artifacts": outputs, "outputFile": str(tmp_path / "output.json")},
    }


def test_a_model_without_a_card_leaves_a_line_in_its_place(given, tmp_path, monkeypatch):
    def page_alone(config, result, outputs, folder, work):
        page = folder / "report.html"
        page.write_text("page")
        return page

    monkeypatch.setattr(report, "write_report", page_alone)
    report.work(given)
    assert (tmp_path / "minio" / "b" / "report").read_text() == "page"
    assert (tmp_path / "minio" / "b" / "card").read_text() == report.NO_CARD


def test_the_run_is_told_to_the_trackers_that_the_configuration_names(given, tmp_path, monkeypatch, capsys):
    told = []

    class Tracker:
        def begin(self, run):
            told.append(run.result.run_id)

        def end(self, run):
            told.append(run.result.status)

        def attach(self, run, files):
            told.append(sorted(path.name for path in files))
            raise GraftError("it is full")

    monkeypatch.setattr(
        report,
        "write_report",
        lambda *args, **_: (args[3] / "report.html").write_text("page") and args[3] / "report.html",
    )
    monkeypatch.setattr(trackers, "opened", lambda config: trackers.Trackers({"notes": Tracker()}))
    report.work(given)
    assert told == ["run-1", "passed", ["report.html", "run.json"]]
    assert capsys.readouterr().err == "warning  notes was not told of all of this run: it is full\n"


def test_a_report_that_cannot_be_written_fails_the_task(given, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "write_report", lambda *_, **__: None)
    with pytest.raises(GraftError, match="could not be written; the lines above say why"):
        report.work(given)
    assert not (tmp_path / "output.json").exists()


def test_a_file_of_an_earlier_graft_is_to_be_compiled_again(given):
    del given["inputs"]["parameterValues"]["given"]
    with pytest.raises(GraftError, match="an earlier Graft compiled the pipeline; compile and upload it again"):
        report.work(given)


@pytest.mark.parametrize(("best", "warned"), [(3, ["last_epoch_best"]), (2, [])])
def test_warnings_of_a_stage_are_those_of_a_local_run(tmp_path, best, warned):
    epochs = [{"epoch": n, "phase": "head", "loss": 1.0, "val_loss": 1.0} for n in (1, 2, 3)]
    history = {"method": "frozen", "epochs": epochs, "best_epoch": best, "path": [], "allowed": {"head": 3}}
    (tmp_path / "history.json").write_text(json.dumps(history))
    outputs = {"train": {"model_run": Artifact("model_run", str(tmp_path), {})}}
    result = report.told(configs.parse(CONFIG, "test"), outputs, "run-1", {})
    assert [warning.code for warning in result.warnings] == warned
