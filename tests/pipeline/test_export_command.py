"""`graft export`: what is refused before anything is loaded, and the file of a real version; TensorBoard's path."""

import json
import pathlib
import shlex

import pytest

from graft.pipeline import cli
from graft.pipeline.result import RunResult


def said(capsys, *arguments):
    code = cli.main(["export", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--onnx", "model.pb"), "--onnx model.pb: allowed: a name that ends in .onnx"),
        (("--onnx", "absent/model.onnx"), "is a folder, or lies in none that is there"),
        (("--onnx", "model.onnx", "--tolerance", "0"), "--tolerance: received 0; allowed: above 0, below 1"),
        (("--onnx", "model.onnx", "--store", "nothing"), "nothing: no such folder; a first push makes it"),
    ],
)
def test_what_is_refused_at_once(tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    code, error = said(capsys, *arguments)
    assert code == 2 and told in error and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_version_of_a_real_run(workshop, first_run, tmp_path):
    import onnx

    file = tmp_path / "shapes.onnx"
    data = str(workshop.folder / "data")
    found = workshop.graft("export", "1", "--onnx", str(file), "--data", data)
    assert found.code == 0 and not found.value["drawn"] and found.value["examples"] == 64, found
    assert found.value["difference"] <= 1e-4 and found.value["bytes"] == file.stat().st_size
    props = {entry.key: json.loads(entry.value) for entry in onnx.load(str(file)).metadata_props}
    assert props["graft.run_id"] == first_run.value["run_id"] and len(props["graft.backbone"]["identity"]) == 64
    again = workshop.graft("export", "--onnx", str(tmp_path / "drawn.onnx"))
    assert again.code == 0 and again.value["drawn"]


@pytest.mark.slow
def test_the_run_tells_where_tensorboard_finds_the_training(workshop, first_run):
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    folder = pathlib.Path(first_run.value["tensorboard"])
    [log] = folder.glob("events.out.tfevents*")
    events = [event_pb2.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(log))]
    assert {"loss", "val_loss"} <= {value.tag for event in events for value in event.summary.value}
    command = f"tensorboard --logdir {folder}"
    report = pathlib.Path(workshop.folder, first_run.value["report"]).read_text()
    assert command in report
    assert RunResult("r", tensorboard=str(folder)).shows_training == command


def test_a_path_with_spaces_can_be_copied():
    found = RunResult("r", tensorboard="/a b/c")
    assert shlex.split(found.shows_training) == ["tensorboard", "--logdir", "/a b/c"]
    assert RunResult("r").shows_training is None
