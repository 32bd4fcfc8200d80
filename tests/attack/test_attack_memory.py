"""Memory and threads that run out in the middle of a run."""

import json
import os
import pathlib
import subprocess
import sys
import threading

import pytest
from trouble import troubled  # noqa: F401 - a fixture
from workshop import STAGES

pytestmark = pytest.mark.slow

_STARVED = """
import os, pathlib, resource, sys
from graft.pipeline import cli, local

real = local.Launcher._run_executor
stage, room = sys.argv[1], int(sys.argv[2])

def run_executor(launcher, info):
    if info.pipeline_node.node_info.id == stage:
        size = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + room, resource.RLIM_INFINITY))
    return real(launcher, info)

local.Launcher._run_executor = run_executor
sys.argv[1:] = sys.argv[3:]
sys.exit(cli.main())
"""


@pytest.mark.parametrize("stage", ["ingest", "features", "train", "evaluate"])
def test_memory_runs_out_in_a_stage(troubled, stage):  # noqa: F811
    def out_of_memory():
        raise MemoryError

    outcome = troubled.at(stage, out_of_memory)
    assert (outcome.code, outcome.value["status"]) == (2, "failed")
    assert outcome.value["error"].startswith(f"{stage}: memory ran out (")
    assert " MB available, bound by " in outcome.value["error"]
    assert ("train.batch_size" in outcome.value["error"]) == (stage == "train")
    assert outcome.value["stages"][-1]["status"] == "failed"
    assert "Not shown: memory ran out" in pathlib.Path(outcome.value["report"]).read_text()
    assert troubled.states(outcome.value["run_id"])[stage] == "FAILED" and troubled.left_over() == []


def test_no_thread_can_be_started_for_a_stage(troubled, monkeypatch):  # noqa: F811
    """What starts a thread there, as TFX's execution watcher did, must not wait for it at the end."""
    from graft.pipeline import local

    def prepare(launcher):
        prepared = real(launcher)
        if prepared.is_execution_needed:
            monkeypatch.setattr(threading.Thread, "start", refuse)
        return prepared

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    real = local.Launcher._prepare_execution
    monkeypatch.setattr(local.Launcher, "_prepare_execution", prepare)
    outcome = troubled.again("--from", "evaluate")  # Beam needs threads
    assert (outcome.code, outcome.value["status"]) == (2, "failed")
    assert outcome.value["error"].startswith("evaluate: no more threads can be started; raise the limit")
    assert outcome.value["stages"][-1]["name"] == "evaluate"


def test_a_stage_asks_for_its_threads_before_it_begins(troubled, monkeypatch):  # noqa: F811
    """TensorFlow would abort the process where it gets none."""
    from graft.pipeline import local

    def no_threads():
        raise RuntimeError("can't start new thread")

    ran = []
    monkeypatch.setattr(local, "require_threads", no_threads)
    monkeypatch.setattr(local.Launcher, "launch", ran.append)
    outcome = troubled.again()
    assert outcome.value["error"].startswith("ingest: no more threads can be started") and not ran


def test_a_process_that_gets_no_more_memory_ends_with_a_reason(troubled):  # noqa: F811
    """TensorFlow may raise, hang or abort there: there is an exit code, one object and one last line in each case."""
    command = [sys.executable, "-W", "ignore", "-c", _STARVED, "features", str(8 << 20)]
    done = subprocess.run(
        [*command, "run", str(troubled.config), "--from", "features", "--json"],
        cwd=troubled.folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    value = json.loads(done.stdout)
    assert done.returncode in (2, -6, -11), done.stderr
    assert value["status"] == "failed" and value["error"].startswith("features: ")
    assert "memory" in value["error"] and value["stages"][-1]["status"] == "failed"
    assert done.stderr.splitlines()[-1] == f"graft: {value['error']}"
    assert (troubled.root / "runs" / value["run_id"] / "run.json").exists()


def test_the_next_run_passes(troubled):  # noqa: F811
    outcome = troubled.again()
    assert outcome.code == 0 and len(outcome.value["stages"]) == len(STAGES)
    assert troubled.left_over() == []
