"""The container's command in a process of its own, on what open-source Kubeflow hands over."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from graft.kubeflow import handover, pod
from graft.models.hashing import hash_folder

pytestmark = pytest.mark.slow

SPEC = {
    "artifacts": {"examples": {"artifactType": {"instanceSchema": "title: tfx.Examples\ntype: object\n"}}},
    "parameters": {"count": {"parameterType": "NUMBER_INTEGER"}},
}


def start(folder: pathlib.Path, sha256: str | None = None, **parameters) -> subprocess.Popen:
    """The entrypoint on a small input, as the launcher starts it."""
    local = folder / "minio" / "b" / "examples"
    local.mkdir(parents=True)
    (local / "data.txt").write_text("content")
    metadata = {"span": 4.0, "note": "hello"} | ({handover.IDENTITY: sha256} if sha256 else {})
    examples = {"uri": "minio://b/examples", "type": {"instanceSchema": ""}, "metadata": metadata}
    outputs = {
        "model": {"uri": "minio://b/model", "type": {"instanceSchema": "title: tfx.Model\ntype: object\n"}},
        "executor-logs": {"uri": "minio://b/logs", "type": {"schemaTitle": "system.Artifact"}},
    }
    given = {
        "inputs": {
            "artifacts": {"examples": {"artifacts": [examples]}},
            "parameterValues": {"count": 2.0, **parameters},
        },
        "outputs": {
            "artifacts": {name: {"artifacts": [artifact]} for name, artifact in outputs.items()},
            "outputFile": str(folder / "kfp_outputs" / "output_metadata.json"),
        },
    }
    command = [sys.executable, "-m", "graft.kubeflow.entrypoint", "--executor_class_path", "executors_for_tests.Copies"]
    command += ["--json_serialized_invocation_args", json.dumps(given)]
    command += ["--json_serialized_inputs_spec_args", json.dumps(SPEC), "--runner=Direct"]
    paths = [str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        handover.ROOT: str(folder),
        pod.TERMINATION_LOG: str(folder / "termination-log"),
    }
    return subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True)


def test_an_executor_sees_types_and_local_files_and_the_launcher_gets_what_it_can_store(tmp_path):
    process = start(tmp_path, word="of @graft.code@ here", graft_code="c0de", graft_run="run 7")
    stderr = process.communicate(timeout=300)[1]
    assert process.returncode == 0, stderr[-2000:]
    model = tmp_path / "minio" / "b" / "model"
    assert json.loads((model / "seen.json").read_text()) == {
        "outputs": ["model"],
        "type": "Examples",
        "span": 4,
        "custom": "hello",
        "content": "content",
        "properties": {"count": 2, "word": "of c0de here"},
        "run": "run 7",
        "imported": [],  # of what takes seconds, and this one does not need
    }
    assert (model / "variables" / ".kept").is_file()
    said = json.loads((tmp_path / "kfp_outputs" / "output_metadata.json").read_text())
    (held,) = said["artifacts"]["model"]["artifacts"]
    assert set(said["artifacts"]) == {"model"} and set(held) == {"metadata"}
    metadata = held["metadata"]
    assert (
        set(metadata) == {"blessed", handover.BEGAN, handover.SECONDS, handover.IDENTITY} and metadata["blessed"] == 1
    )
    assert metadata[handover.IDENTITY] == hash_folder(model) and metadata[handover.SECONDS] > 0


def test_an_input_that_is_not_what_was_written_is_refused(tmp_path):
    process = start(tmp_path, sha256="0" * 64)
    stderr = process.communicate(timeout=300)[1]
    assert process.returncode == 2
    assert "input examples: " in stderr and "is not what was written: files are missing or changed" in stderr
    assert not (tmp_path / "minio" / "b" / "model").exists()


def test_an_error_is_one_line_in_the_termination_log(tmp_path):
    process = start(tmp_path, fail="received x")
    stderr = process.communicate(timeout=300)[1]
    assert process.returncode == 2
    assert (tmp_path / "termination-log").read_text() == "data.path: received x; allowed: another"
    assert stderr.splitlines()[-1] == "graft: data.path: received x; allowed: another"
    assert not (tmp_path / "kfp_outputs" / "output_metadata.json").exists()


def test_a_node_that_goes_ends_it_at_once(tmp_path):
    process = start(tmp_path, wait=1)
    begun = tmp_path / "minio" / "b" / "model" / "begun"
    while not begun.exists():
        assert process.poll() is None, process.stderr.read()[-2000:]
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "ended by SIGTERM" in (tmp_path / "termination-log").read_text()
