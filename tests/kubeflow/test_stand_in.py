"""The stand-in for Kubeflow's driver and launcher: order, copies, retries, cache, isolation, and a whole pipeline."""

import json
import pathlib

import numpy as np
import pytest
import yaml

from graft.kubeflow.compile import compile_pipeline
from graft.kubeflow.stand_in import StandIn, order, read_documents
from graft.models.errors import GraftError
from graft.pipeline import cli
from graft.pipeline import config as configs
from graft.pipeline.metadata import Metadata

TASK = """
import json, os, pathlib, sys
given = json.loads(sys.argv[1])
root = pathlib.Path(os.environ["GRAFT_LAUNCHER_ROOT"])
def local(artifact): return root / artifact["uri"].replace("://", "/")
[out] = given["outputs"]["artifacts"]["out"]["artifacts"]
read = "".join((local(held["artifacts"][0]) / "x").read_text() for held in given["inputs"]["artifacts"].values())
local(out).mkdir(parents=True)
(local(out) / "empty").mkdir()
counter = pathlib.Path(given["inputs"]["parameterValues"]["counter"])
counter.write_text(counter.read_text() + "x" if counter.exists() else "x")
{body}
(local(out) / "x").write_text(read + given["inputs"]["parameterValues"]["word"])
output = pathlib.Path(given["outputs"]["outputFile"])
output.parent.mkdir()
output.write_text(json.dumps({{"artifacts": {{"out": {{"artifacts": [{said}]}}}}}}))
"""


def task(tmp_path, name: str, word: str, upstream: str = "", cached: bool = False) -> dict:
    held = {
        "componentRef": {"name": name},
        "inputs": {
            "parameters": {
                "word": {"runtimeValue": {"constant": word}},
                "counter": {"runtimeValue": {"constant": str(tmp_path / f"{name}.count")}},
            }
        },
        "cachingOptions": {"enableCache": cached},
    }
    if upstream:
        held["dependentTasks"] = [upstream]
        held["inputs"]["artifacts"] = {
            "in": {"taskOutputArtifact": {"producerTask": upstream, "outputArtifactKey": "out"}}
        }
    return held


def spec(tmp_path, body: str = "pass", said: str = "{}", cached: bool = False) -> dict:
    """Two tasks; `b` reads what `a` wrote, and runs `body`."""
    kinds = {"out": {"artifactType": {"instanceSchema": "title: tfx.Model\n"}}}
    bodies = {"a": ("pass", "{}"), "b": (body, said)}
    return {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "p"},
        "defaultPipelineRoot": "s3://bucket/root",
        "root": {
            "dag": {"tasks": {"a": task(tmp_path, "a", "1", "", cached), "b": task(tmp_path, "b", "2", "a", cached)}}
        },
        "components": {name: {"executorLabel": name, "outputDefinitions": {"artifacts": kinds}} for name in bodies},
        "deploymentSpec": {
            "executors": {
                name: {
                    "container": {
                        "image": "i",
                        "command": ["python", "-c"],
                        "args": [TASK.format(body=text, said=output), "{{$}}"],
                    }
                }
                for name, (text, output) in bodies.items()
            }
        },
    }


def test_what_one_task_writes_the_next_reads_through_the_store(tmp_path):
    runs = StandIn([spec(tmp_path)], tmp_path / "k", "r").run()
    assert [(task.name, task.state, task.attempts) for task in runs] == [("a", "succeeded", 1), ("b", "succeeded", 1)]
    root = tmp_path / "k" / "store" / "s3" / "bucket" / "root" / "p" / "r"
    assert (root / "b" / "out" / "x").read_text() == "12"
    assert not (root / "b" / "out" / "empty").exists(), "a store knows no empty folders"
    assert not any((tmp_path / "k" / "pods").rglob("*.json")), "pods go when they are done"


def test_a_task_is_tried_again_at_another_address(tmp_path):
    made = spec(tmp_path, "assert counter.read_text() == 'xx', 'first'")
    made["root"]["dag"]["tasks"]["b"]["retryPolicy"] = {"maxRetryCount": 2}
    runs = StandIn([made], tmp_path / "k", "r").run()
    assert (runs[1].state, runs[1].attempts) == ("succeeded", 2)
    assert (tmp_path / "k" / "store" / "s3" / "bucket" / "root" / "p" / "r" / "b" / "out-1" / "x").is_file()


def test_what_fails_ends_the_run_and_leaves_nothing_in_the_store(tmp_path):
    runs = StandIn([spec(tmp_path, "sys.exit(3)")], tmp_path / "k", "r").run()
    assert runs[1].state == "failed" and "exit code 3" in runs[1].message
    assert not (tmp_path / "k" / "store" / "s3" / "bucket" / "root" / "p" / "r" / "b").exists()


def test_the_cache_answers_for_equal_inputs_only_and_only_where_it_may(tmp_path):
    folder = tmp_path / "k"
    made = spec(tmp_path, cached=True)
    StandIn([made], folder, "one").run()
    assert [task.state for task in StandIn([made], folder, "two").run()] == ["cached", "cached"]
    made["root"]["dag"]["tasks"]["a"]["inputs"]["parameters"]["word"]["runtimeValue"]["constant"] = "9"
    assert [task.state for task in StandIn([made], folder, "three").run()] == ["succeeded", "succeeded"]
    made["root"]["dag"]["tasks"]["b"]["cachingOptions"] = {}
    assert [task.state for task in StandIn([made], folder, "four").run()] == ["cached", "succeeded"]
    assert [task.state for task in StandIn([made], folder, "five", caching=False).run()] == ["succeeded", "succeeded"]


def test_a_task_sees_neither_the_store_nor_another_pod(tmp_path):
    folder = tmp_path / "k"
    body = f"word = str(sorted(path.name for path in pathlib.Path({str(folder)!r}, 'store').rglob('*'))); "
    body += "given['inputs']['parameterValues']['word'] = word"
    stand_in = StandIn([spec(tmp_path, body)], folder, "r")
    if not stand_in.isolated:
        pytest.skip("no mount namespace can be had here; the command says so, too")
    stand_in.run()
    assert (folder / "store" / "s3" / "bucket" / "root" / "p" / "r" / "b" / "out" / "x").read_text() == "1[]"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('{"metadata": {"a": None}}', "holds null"),
        ('{"uri": "/somewhere"}', "would be uploaded to /somewhere"),
    ],
)
def test_what_the_launcher_would_choke_on_is_told(tmp_path, said, message):
    last = StandIn([spec(tmp_path, said=said)], tmp_path / "k", "r").run()[-1]
    assert last.state == "failed" and message in last.message


def test_parameters_of_the_pipeline(tmp_path):
    made = spec(tmp_path)
    made["root"]["inputDefinitions"] = {"parameters": {"word": {"defaultValue": "7"}, "other": {}}}
    made["root"]["dag"]["tasks"]["b"]["inputs"]["parameters"]["word"] = {"componentInputParameter": "word"}
    with pytest.raises(GraftError, match="parameter 'wrd' is none of the pipeline's; allowed: other, word"):
        StandIn([made], tmp_path / "k", "r", {"wrd": 1})
    with pytest.raises(GraftError, match="parameter 'other' of the pipeline has no default"):
        StandIn([made], tmp_path / "k", "r")
    StandIn([made], tmp_path / "k", "r", {"other": 1}).run()
    assert (tmp_path / "k" / "store" / "s3" / "bucket" / "root" / "p" / "r" / "b" / "out" / "x").read_text() == "17"


def test_a_circle_and_files_that_hold_no_pipeline_are_refused(tmp_path):
    with pytest.raises(GraftError, match="tasks a, b wait for each other"):
        order({"a": {"dependentTasks": ["b"]}, "b": {"dependentTasks": ["a"]}})
    path = tmp_path / "x.yaml"
    for content, message in (("[", "while parsing"), ("a: 1", "holds no pipeline spec")):
        path.write_text(content)
        with pytest.raises(GraftError, match=message):
            read_documents(path)
    with pytest.raises(GraftError, match="No such file"):
        read_documents(tmp_path / "none.yaml")


@pytest.mark.slow
def test_a_compiled_pipeline_pushes_the_model_that_a_local_run_pushes(workshop, first_run, tmp_path, capsys):
    """Every task a process of its own that sees its own files only, the artifacts through an object store."""
    import tensorflow as tf

    assert first_run.code == 0, first_run.stderr
    store = tmp_path / "models"
    volumes = f"[{{claim: a, mount: {tmp_path}}}, {{claim: b, mount: {workshop.folder}}}]"
    overrides = [f"root={tmp_path / 'runs'}", f"store={store}", f"kubeflow.volumes={volumes}"]
    compile_pipeline(configs.load(workshop.config, overrides), tmp_path / "pipeline.yaml", "graft:test")
    capsys.readouterr()
    command = ["kubeflow", "run-local", str(tmp_path / "pipeline.yaml"), "--folder", str(tmp_path / "kubeflow")]
    command += ["--json", "--config", str(workshop.config), *(word for pair in overrides for word in ("--set", pair))]
    code = cli.main(command)
    value = json.loads(capsys.readouterr().out)
    assert code == 0, value
    assert {task["state"] for task in value["tasks"]} == {"succeeded"}
    spec = next(yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text()))
    run = next((tmp_path / "kubeflow" / "store").rglob("quality-gate/quality/figures.json"))
    # Of that very run: other tests may have had others in the workshop since.
    first = Metadata(workshop.folder / "runs" / "shapes").outputs(first_run.value["run_id"])
    local = pathlib.Path(first["quality_gate"]["quality"].uri, "figures.json")
    here, there = (json.loads(path.read_text()) for path in (local, run))
    assert here["candidate"] == there["candidate"] and spec["pipelineInfo"]["name"] == "shapes"
    pictures = [path.read_bytes() for path in sorted((workshop.folder / "data").glob("*.png"))[:8]]
    answers = []
    for folder, version in ((workshop.store, first_run.value["model_version"]), (store, 1)):
        model = tf.saved_model.load(str(folder / "shapes" / str(version)))
        answers.append(model.signatures["serving_default"](image_bytes=tf.constant(pictures)))
    for name in answers[0]:
        np.testing.assert_array_equal(answers[0][name].numpy(), answers[1][name].numpy())
    assert pathlib.Path(store, "shapes", "CURRENT").is_file()
