"""A compiled pipeline, run task by task as Kubeflow would: the same model as a local run, right caching, closed gates.

The tests of this file share a store, and follow one another.
"""

import contextlib
import dataclasses
import http.server
import json
import pathlib
import re
import shutil
import threading
import time

import numpy as np
import psutil
import pytest
import yaml

from graft.kubeflow import submission
from graft.kubeflow.compile import compile_pipeline
from graft.kubeflow.stand_in import StandIn, TaskRun, read_documents
from graft.models.signals.reference import PLACE, Reference
from graft.pipeline import cli
from graft.pipeline import config as configs
from graft.pipeline.metadata import Metadata
from graft.serving.store import ModelStore, open_store

pytestmark = pytest.mark.slow


@dataclasses.dataclass
class Cluster:
    """A folder that stands for a cluster, and what runs there.

    Attributes:
        folder: of it all.
        told: what the webhook was told.
    """

    folder: pathlib.Path
    told: list[dict] = dataclasses.field(default_factory=list)

    @property
    def config(self) -> pathlib.Path:
        return self.folder / "shapes.yaml"

    def run(self, capsys, *overrides: str) -> tuple[int, dict[str, dict]]:
        """Compiles and runs; exit code and tasks by name."""
        compiled, words = str(self.folder / "pipeline.yaml"), [w for pair in overrides for w in ("--set", pair)]
        assert cli.main(["kubeflow", "compile", str(self.config), "-o", compiled, *words]) == 0
        capsys.readouterr()
        command = ["kubeflow", "run-local", compiled, "--folder", str(self.folder / "cluster"), "--json", *words]
        code = cli.main([*command, "--config", str(self.config), "--secrets", str(self.folder / "secrets.yaml")])
        return code, {task["name"]: task for task in json.loads(capsys.readouterr().out)["tasks"]}

    def written(self, output: str) -> pathlib.Path:
        """What the newest run wrote as an output of the report, or of another task."""
        return max((self.folder / "cluster" / "store").rglob(output), key=lambda path: path.parts[-4:])

    @property
    def store(self) -> ModelStore:
        return open_store(self.folder / "models")


@pytest.fixture(scope="module")
def cluster(workshop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    shutil.copytree(workshop.folder / "data", folder / "data")
    raw = yaml.safe_load(workshop.config.read_text())
    raw["data"]["path"] = str(folder / "data" / pathlib.Path(raw["data"]["path"]).name)
    raw |= {"root": str(folder / "runs"), "store": str(folder / "models")}
    made = Cluster(folder)

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            made.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    (folder / "secrets.yaml").write_text(json.dumps({"chat": {"url": f"http://127.0.0.1:{server.server_port}/x"}}))
    raw["kubeflow"] = {
        "volumes": [{"claim": "a", "mount": str(folder)}, {"claim": "b", "mount": str(workshop.folder)}],
        "secrets": [{"name": "chat", "env": {"HOOK": "url"}}],
        "notify": {"webhook_env": "HOOK"},
        "pods": {"retries": 0},
    }
    made.config.write_text(yaml.safe_dump(raw))
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def told_of(page: str) -> str:
    """What a report says, without what differs between any two runs: pictures, times, paths and names.

    Nor how the value range was found, which this pipeline was given, and the local command for a log of the training.
    """
    page = re.sub(r"<p[^>]*>(?:input\.value_range|In TensorBoard: ).*?</p>", "", page, flags=re.DOTALL)
    text = re.sub(r"data:image/[^\"')]*|<style>.*?</style>", "", page, flags=re.DOTALL)
    text = re.sub(r"<section id=\"(?:timings|lineage|config)\".*?</section>", "", text, flags=re.DOTALL)
    text = re.sub(r"\d{8}-\d{6}-\d{3}|\b\d+ s\b|[\d.]+ ms", "", text)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_the_model_and_the_report_are_those_of_a_local_run(cluster, workshop, first_run, capsys):
    """Every task a process of its own that sees its own files only, the artifacts through an object store."""
    import tensorflow as tf

    assert first_run.code == 0, first_run.stderr
    code, tasks = cluster.run(capsys)
    assert code == 0, tasks
    assert {task["state"] for task in tasks.values()} == {"succeeded"} and tasks["notify"]["exit"]
    # Of that very run: other tests may have had others in the workshop since.
    first = Metadata(workshop.folder / "runs" / "shapes").outputs(first_run.value["run_id"])
    local = pathlib.Path(first["quality_gate"]["quality"].uri, "figures.json")
    here, there = (
        json.loads(path.read_text()) for path in (local, cluster.written("quality-gate/quality/figures.json"))
    )
    assert here["candidate"] == there["candidate"]
    pictures = [path.read_bytes() for path in sorted((workshop.folder / "data").glob("*.png"))[:8]]
    answers, references = [], []
    for store, version in ((workshop.store, first_run.value["model_version"]), (cluster.folder / "models", 1)):
        model = tf.saved_model.load(str(store / "shapes" / str(version)))
        answers.append(model.signatures["serving_default"](image_bytes=tf.constant(pictures)))
        reference = Reference.load(store / "shapes" / str(version) / PLACE)
        references.append(dataclasses.replace(reference, made_by={}))
    assert references[0] == references[1] and references[0].rows == 36
    for name in answers[0]:
        np.testing.assert_array_equal(answers[0][name].numpy(), answers[1][name].numpy())
    ours, theirs = (
        told_of(path.read_text())
        for path in (cluster.written("report/report"), pathlib.Path(first_run.value["report"]))
    )
    assert ours == theirs
    lineage = json.loads(cluster.written("report/lineage").read_text())
    assert lineage["data"]["examples"] == {"train": 58, "eval": 26, "test": 36} and len(lineage["stages"]) == 14
    run = json.loads(cluster.written("report/run").read_text())
    assert run["model_version"] == 1 and all(stage["seconds"] > 0 for stage in run["stages"])
    pushed = cluster.store.manifest("shapes", 1)["metadata"]
    assert pushed["run_id"] == run["run_id"] and pushed["data_fingerprint"] == lineage["data"]["fingerprint"] != ""
    assert cluster.told[-1]["state"] == "SUCCEEDED"


def test_an_unchanged_run_takes_all_from_the_cache_but_what_looks_into_the_store_and_pushes_nothing(cluster, capsys):
    code, tasks = cluster.run(capsys)
    assert code == 0, tasks
    ran = {name for name, task in tasks.items() if task["state"] == "succeeded"}
    # The second takes what the first wrote.
    assert ran == {"quality-gate", "serving-check", "push", "report", "verdict", "notify"}
    assert cluster.store.versions("shapes") == [1]
    stages = json.loads(cluster.written("report/run").read_text())["stages"]
    assert {stage["name"] for stage in stages if not stage["cached"]} == {"quality_gate", "serving_check", "push"}


def test_a_closed_gate_pushes_nothing_fails_the_run_and_leaves_a_report(cluster, capsys):
    code, tasks = cluster.run(capsys, "gates.accuracy=1.0")
    assert code == 1
    assert tasks["train"]["state"] == "cached" and tasks["push"]["state"] == tasks["report"]["state"] == "succeeded"
    assert tasks["verdict"]["state"] == "failed"
    assert tasks["verdict"]["message"].startswith("quality_gate: gate closed: accuracy is 0.916667, limit 1")
    assert cluster.store.versions("shapes") == [1]
    page = cluster.written("report/report").read_text()
    assert "Gate closed" in page and "not done: a gate is closed" in page
    assert cluster.told[-1]["state"] == "FAILED"


def test_a_training_whose_node_goes_is_tried_again_and_goes_on_from_its_checkpoint(cluster, capsys):
    overrides = ["transfer={method: fine_tune, unfreeze: 1.0, epochs: 80}", "train.patience=80"]
    overrides += ["train.checkpoint_seconds=0.05", "kubeflow.pods.retries=1", "kubeflow.notify=null"]
    config = configs.load(cluster.config, overrides)
    path = cluster.folder / "train.yaml"
    compile_pipeline(config, path)
    documents = read_documents(path)
    tasks = documents[0]["root"]["dag"]["tasks"]
    after = {"predict", "evaluate", "labels", "quality-gate", "serving-check", "push", "report", "verdict"}
    for name in after:
        del tasks[name]
    values = submission.values_now(config, submission.read_package(path), {})
    secrets = json.loads((cluster.folder / "secrets.yaml").read_text())
    stand_in = StandIn(documents, cluster.folder / "cluster", "preempted", values, secrets=secrets)
    runs: list[TaskRun] = []
    thread = threading.Thread(target=lambda: runs.extend(stand_in.run()))
    thread.start()
    checkpoints = cluster.folder / "runs" / "shapes" / "checkpoints"
    killed = False
    while thread.is_alive() and not killed:
        if any(path.is_file() for path in checkpoints.rglob("*.npz")):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):  # one that ends meanwhile
                    if "graft.components.train.executor.Executor" in process.cmdline() and process.name() != "sh":
                        process.terminate()
                        killed = True
        time.sleep(0.02)
    thread.join()
    train = runs[-1]
    assert killed and (train.name, train.state, train.attempts) == ("train", "succeeded", 2), runs
    history = json.loads(cluster.written("train/model_run-1/history.json").read_text())
    assert history["resumed_at"] > 0
    assert {run.state for run in runs[:-1]} == {"cached"}


def test_an_artifact_that_was_changed_or_lost_in_the_store_is_told(cluster, capsys):
    model = cluster.written("train/model")
    file = next(model.rglob("saved_model.pb"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    code, tasks = cluster.run(capsys)
    assert code == 1 and tasks["quality-gate"]["state"] == "failed"
    assert (
        "input model: " in tasks["quality-gate"]["message"]
        and "files are missing or changed" in (tasks["quality-gate"]["message"])
    )
    shutil.rmtree(model)
    code, tasks = cluster.run(capsys)
    assert code == 1 and "is not in the store" in tasks["quality-gate"]["message"]
    assert tasks["push"]["state"] == "skipped" and cluster.store.versions("shapes") == [1]


def test_new_files_at_the_same_path_are_read(cluster, capsys):
    """Here they are bad ones, and the gate on the data ends the run."""
    for place, path in enumerate(sorted((cluster.folder / "data").glob("*.png"))):
        if place % 10 == 0:
            path.write_bytes(b"no picture")
    code, tasks = cluster.run(capsys)
    assert code == 1
    assert tasks["ingest"]["state"] == "succeeded" and tasks["data-gate"]["state"] == "failed"
    assert "max_rejected is 0.1, limit 0.01" in tasks["data-gate"]["message"]
    assert tasks["train"]["state"] == "skipped" and cluster.told[-1]["state"] == "FAILED"
