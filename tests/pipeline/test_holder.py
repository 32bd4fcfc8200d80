"""Who holds a pipeline's lock, and whether that process lives."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from graft.pipeline import holder
from graft.pipeline.lineage import _status


@pytest.fixture
def noted(tmp_path):
    """This process, at the run "one"."""
    with (tmp_path / holder.LOCK).open("w") as file:
        file.write("what stood there before was longer " * 100)
        file.flush()
        holder.note(file, "one")
    found = holder.read(tmp_path)
    assert found is not None
    return found


def test_a_process_that_runs_lives(noted):
    assert (noted.pid, noted.run, noted.lives, noted.elsewhere) == (os.getpid(), "one", True, False)
    assert holder.told(json.dumps(dataclasses.asdict(noted))) == f"process {os.getpid()}"


@pytest.mark.parametrize(
    "change", [{"started": 1}, {"boot": "earlier"}, {"pid": 2**22 + 1}], ids=["number given again", "boot", "gone"]
)
def test_another_process_of_the_number_another_boot_and_none_at_all_are_dead(noted, change):
    other = dataclasses.replace(noted, **change)
    assert (other.lives, other.elsewhere) == (False, False)


@pytest.mark.parametrize("change", [{"boot": "theirs", "host": "node7"}, {"namespace": 1, "host": "node7"}])
def test_of_another_machine_or_container_nobody_here_can_tell(noted, change):
    other = dataclasses.replace(noted, **change)
    assert (other.lives, other.elsewhere) == (False, True)
    assert holder.told(json.dumps(dataclasses.asdict(other))) == f"process {os.getpid()} on node7"


def test_a_process_that_died_and_is_not_waited_for_is_dead(noted):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = holder._started(process.pid)
        assert started is not None and started >= noted.started
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert holder._started(process.pid) is None


@pytest.mark.parametrize("content", ["", "123", "{}", "[", '{"pid": "1"}', '{"pid": null, "new": 1}'])
def test_a_lock_that_says_nothing_sound(tmp_path, content):
    (tmp_path / holder.LOCK).write_text(content)
    assert holder.read(tmp_path) is None and holder.told(content) == "process unknown"


def test_runs_says_running_of_what_runs_only(noted):
    assert _status([], "one", noted, {}) == "running"
    assert _status([], "two", noted, {}) == _status([], "one", None, {}) == "died"
    dead = dataclasses.replace(noted, started=1)
    assert _status([], "one", dead, {}) == "died"
    afar = dataclasses.replace(noted, boot="theirs", host="node7")
    assert _status([], "one", afar, {}) == "on node7: cannot be seen from here"
    assert _status([], "one", None, {"status": "interrupted"}) == "interrupted"
