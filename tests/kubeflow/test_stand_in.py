"""The stand-in for Kubeflow's driver and launcher: order, copies, retries, cache, isolation, exit tasks, faults."""

import copy
import errno
import pathlib

import pytest

from graft.kubeflow import launcher
from graft.kubeflow.stand_in import StandIn, order, read_documents
from graft.models.errors import GraftError

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


WHO = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"b": {}}}}}}


def test_a_task_that_starts_a_job_is_told_who_it_is(tmp_path):
    """The run's id is the same when it is tried again, and it knows that there is no cluster."""
    body = "import os; given['inputs']['parameterValues']['word'] = os.environ['GRAFT_RUN_ID'] + os.environ['X']"
    platform = copy.deepcopy(WHO)
    fields = [
        {"name": "GRAFT_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"},
        {"name": "X", "fieldPath": "metadata.name"},
    ]
    platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["b"]["fieldPathAsEnv"] = fields
    body += "; assert os.environ['GRAFT_LOCAL_WORKERS']"
    stand_in = StandIn([spec(tmp_path, body), platform], tmp_path / "k", "r")
    assert stand_in.shared == ["b"]
    stand_in.run()
    root = tmp_path / "k" / "store" / "s3" / "bucket" / "root" / "p" / "r"
    assert (root / "b" / "out" / "x").read_text() == "1rb-0"
    with pytest.raises(GraftError, match=r"--limits: the workers of b are processes of its task here"):
        StandIn([spec(tmp_path, body), platform], tmp_path / "k", "r", limits=True)


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


@pytest.mark.parametrize("view", launcher._VIEWS)
def test_a_task_sees_neither_the_store_nor_another_pod(tmp_path, monkeypatch, view):
    """As root, and as any other user."""
    monkeypatch.setattr(launcher, "_VIEWS", (view,))
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


def test_what_needs_a_task_that_failed_is_skipped_and_other_branches_go_on(tmp_path):
    made = spec(tmp_path, "sys.exit(3)")
    tasks = made["root"]["dag"]["tasks"]
    tasks["c"] = task(tmp_path, "a", "3", "b")
    tasks["d"] = task(tmp_path, "a", "4", "a")
    runs = StandIn([made], tmp_path / "k", "r").run()
    states = {run.name: run.state for run in runs}
    assert states == {"a": "succeeded", "b": "failed", "c": "skipped", "d": "succeeded"}
    assert next(run for run in runs if run.name == "c").message == "it needs b"


@pytest.mark.parametrize(
    ("word", "states", "message"),
    [
        ("yes", ["succeeded", "succeeded", "succeeded"], ""),
        (
            "no",
            ["succeeded", "skipped", "skipped"],
            "its condition does not hold: inputs.parameter_values['word'] == 'yes'",
        ),
        (7, ["succeeded", "failed", "skipped"], "compares 7.0 with 'yes', of another type"),
    ],
)
def test_a_task_whose_condition_does_not_hold_is_skipped_with_all_that_needs_it(tmp_path, word, states, message):
    made = spec(tmp_path)
    made["root"]["inputDefinitions"] = {"parameters": {"word": {}}}
    tasks = made["root"]["dag"]["tasks"]
    tasks["b"]["inputs"]["parameters"]["word"] = {"componentInputParameter": "word"}
    tasks["b"]["triggerPolicy"] = {"condition": "inputs.parameter_values['word'] == 'yes'"}
    tasks["c"] = task(tmp_path, "a", "3", "b")
    runs = StandIn([made], tmp_path / "k", "r", {"word": word}).run()
    assert [run.state for run in runs] == states and message in runs[1].message
    assert (tmp_path / "b.count").exists() == (word == "yes"), "it was not started"


STATUS = """
import json, pathlib, sys
values = json.loads(sys.argv[1])["inputs"]["parameterValues"]
pathlib.Path(values["file"]).write_text(values["status"]["state"] + " " + values["run"] + " " + values["word"])
sys.exit({code})
"""


@pytest.mark.slow
@pytest.mark.parametrize(("body", "state"), [("pass", "SUCCEEDED"), ("sys.exit(3)", "FAILED")])
@pytest.mark.parametrize("code", [0, 1])
def test_an_exit_task_runs_however_the_graph_before_it_ended_and_never_fails_the_run(tmp_path, body, state, code):
    made = spec(tmp_path, body)
    inner = made["root"]["dag"]
    inner["tasks"]["b"]["inputs"]["parameters"]["word"] = {"componentInputParameter": "word"}
    kinds = {"parameters": {"word": {"parameterType": "STRING"}}}
    made["components"]["graph"] = {"dag": inner, "inputDefinitions": kinds}
    passed = {"inputs": {"parameters": {"word": {"componentInputParameter": "word"}}}}
    held = {
        "status": {"taskFinalStatus": {"producerTask": "graph"}},
        "file": {"runtimeValue": {"constant": str(tmp_path / "told")}},
        "run": {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}},
        "word": {"componentInputParameter": "word"},
    }
    leaving = {
        "componentRef": {"name": "leave"},
        "dependentTasks": ["graph"],
        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
        "inputs": {"parameters": held},
    }
    tasks = {"graph": {"componentRef": {"name": "graph"}, **passed}, "leave": leaving}
    made["root"] = {"dag": {"tasks": tasks}, "inputDefinitions": kinds}
    made["components"]["leave"] = {"executorLabel": "leave"}
    container = {"image": "i", "command": ["python", "-c"], "args": [STATUS.format(code=code), "{{$}}"]}
    made["deploymentSpec"]["executors"]["leave"] = {"container": container}
    runs = StandIn([made], tmp_path / "k", "run-7", {"word": "w"}).run()
    assert (tmp_path / "told").read_text() == f"{state} run-7 w"
    assert (runs[-1].name, runs[-1].exit, runs[-1].state) == ("leave", True, "failed" if code else "succeeded")


def test_secrets_come_as_variables_and_a_secret_that_is_not_there_fails_the_pod(tmp_path):
    made = spec(tmp_path, "given['inputs']['parameterValues']['word'] = os.environ['HOOK']")
    secret = {"secretName": "chat", "keyToEnv": [{"secretKey": "url", "envVar": "HOOK"}]}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"b": {"secretAsEnv": [secret]}}}}}}
    runs = StandIn([made, platform], tmp_path / "k", "r", secrets={"chat": {"url": "x"}}).run()
    assert runs[1].state == "succeeded"
    runs = StandIn([made, platform], tmp_path / "k", "s", secrets={"chat": {}}).run()
    assert runs[1].state == "failed" and "secret chat with key url is not there" in runs[1].message


@pytest.mark.slow
def test_a_pod_over_its_memory_or_its_time_is_killed(tmp_path):
    made = spec(tmp_path, "import time; held = bytearray(300 << 20); time.sleep(60)")
    made["deploymentSpec"]["executors"]["b"]["container"]["resources"] = {"memoryLimit": 0.2}
    runs = StandIn([made], tmp_path / "k", "r", limits=True).run()
    assert runs[1].state == "failed" and runs[1].message.startswith("OOMKilled: ")
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"b": {"activeDeadlineSeconds": "1"}}}}}}
    runs = StandIn([made, platform], tmp_path / "k", "s").run()
    assert runs[1].state == "failed" and runs[1].message.startswith("DeadlineExceeded")


@pytest.mark.parametrize("fault", ["cut", "full"])
def test_an_upload_that_is_cut_is_tried_again_and_what_it_left_is_never_read(tmp_path, monkeypatch, fault):
    made = spec(tmp_path)
    made["root"]["dag"]["tasks"]["a"]["retryPolicy"] = {"maxRetryCount": 1}
    copy, calls = launcher.copy, []

    def broken(source: pathlib.Path, target: pathlib.Path) -> None:
        calls.append(target)
        if len(calls) == 1:
            target.mkdir(parents=True)
            (target / "x").write_text("half")
            if fault == "full":
                raise OSError(errno.ENOSPC, "No space left on device", str(target))
            raise launcher.PodFailed("the node is gone")
        copy(source, target)

    monkeypatch.setattr(launcher, "copy", broken)
    runs = StandIn([made], tmp_path / "k", "r").run()
    assert [(run.state, run.attempts) for run in runs] == [("succeeded", 2), ("succeeded", 1)]
    root = tmp_path / "k" / "store" / "s3" / "bucket" / "root" / "p" / "r"
    assert (root / "b" / "out" / "x").read_text() == "12" and (root / "a" / "out" / "x").read_text() == "half"
