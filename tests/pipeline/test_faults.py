"""SIGKILL at several stages of a real run, and two runs at once: each run goes on where the last one stopped."""

import json
import pathlib
import signal
import subprocess
import threading
import time

import pytest
from workshop import STAGES, Workshop

from graft.pipeline.metadata import Metadata
from graft.serving.store import open_store

pytestmark = pytest.mark.slow

# Another seed than the first run's, so that there is a new model to push; whether it is better is of no concern here.
OTHER = ("--set", "head.l2=0.01", "--set", "gates={baseline_tolerance: 1}")


class Run:
    """A `graft run` under way, whose stderr is followed line by line."""

    def __init__(self, workshop: Workshop, *args: str):
        self.process: subprocess.Popen = workshop.start("run", str(workshop.config), *OTHER, *args, "--json")
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(line.rstrip() for line in self.process.stderr)

    def wait_for(self, condition, timeout: float = 240) -> None:
        """Waits until `condition()` holds or the run has ended."""
        end = time.monotonic() + timeout
        while not condition() and self.process.poll() is None:
            assert time.monotonic() < end, self.lines
            time.sleep(0.001)

    def has_ended(self, stage: str) -> bool:
        """Whether the line of a finished stage is there."""
        return any(line.startswith(stage) and ("cached" in line or " s" in line) for line in list(self.lines))

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def finish(self) -> dict:
        """Waits for the end and returns the JSON object."""
        stdout = self.process.stdout.read()
        self.process.wait(300)
        self._reader.join()
        return json.loads(stdout)


@pytest.fixture(scope="module")
def served(workshop, first_run, tmp_path_factory) -> Workshop:
    """A folder of its own, where version 1 is served and nothing was run."""
    beside = workshop.beside(tmp_path_factory.mktemp("faults"))
    pushed = open_store(workshop.store)
    metadata = pushed.manifest("shapes", 1)["metadata"]
    assert open_store(beside.store).push("shapes", pushed.version_path("shapes", 1), metadata) == 1
    return beside


@pytest.fixture(scope="module")
def killed(served) -> dict:
    """Kills three runs of one pipeline, each at a later stage: their lines, and the store after each."""
    lines = {}
    whole = []

    def kill_at(name: str, condition) -> None:
        run = Run(served)
        run.wait_for(lambda: condition(run))
        run.kill()
        assert run.process.returncode == -signal.SIGKILL, run.lines
        lines[name] = run.lines
        store = open_store(served.store)
        whole.append((name, store.served("shapes"), store.verify("shapes")))

    kill_at("ingest", lambda run: has_begun(served, "ingest"))
    kill_at("train", lambda run: has_begun(served, "train"))
    kill_at("push", lambda run: pushing(served, run))
    return {"lines": lines, "whole": whole}


def has_begun(workshop: Workshop, stage: str) -> bool:
    """Whether a stage has made the folder for its output."""
    return any((workshop.folder / "runs" / "shapes" / "artifacts" / stage).glob("*/*"))


def pushing(workshop: Workshop, run: Run) -> bool:
    """Whether the copy into the store has begun, or is done already."""
    return any(workshop.store.glob("shapes/.tmp-*")) or (workshop.store / "shapes" / "2").exists()


def test_the_store_served_a_whole_version_after_each_kill(killed):
    assert [name for name, _, _ in killed["whole"]] == ["ingest", "train", "push"]
    for name, version, faults in killed["whole"]:
        assert version == 1 or (name == "push" and version == 2)
        assert faults == []


def test_each_run_takes_what_the_killed_one_had_finished(killed):
    def stages(name: str, how: str) -> list[str]:
        return [line.split()[0] for line in killed["lines"][name] if how in line.split()]

    before_train = list(STAGES[: STAGES.index("train")])
    assert stages("ingest", "cached") == []
    assert stages("train", "cached") == []
    assert stages("train", "s") == before_train
    assert stages("push", "cached") == before_train


@pytest.fixture(scope="module")
def two_at_once(served, killed):
    """While one run is under way, a second is started without and a third with --wait; then the first is killed."""
    first = Run(served, "--from", "evaluate")
    first.wait_for(lambda: first.has_ended("train"))
    waiting = Run(served, "--wait")
    refused = Run(served)
    refusal = refused.finish()
    waiting.wait_for(lambda: any("is under way" in line for line in waiting.lines))
    assert first.process.poll() is None, first.lines
    first.kill()
    return first, (refused.process.returncode, refusal, refused.lines), (waiting, waiting.finish())


def test_a_second_run_at_once_is_refused(served, two_at_once):
    first, (code, value, lines), _ = two_at_once
    assert code == 2
    assert value["error"] == (
        f"{served.folder}/runs/shapes: a run of this pipeline is under way (process {first.process.pid}); "
        "let it end, or use --wait"
    )
    assert lines == ["shapes: checking the data", f"graft: {value['error']}"]


def test_a_run_that_waits_goes_on_when_the_other_is_gone(served, two_at_once):
    first, _, (waiting, value) = two_at_once
    assert waiting.lines[1].endswith(f"a run of this pipeline is under way (process {first.process.pid})")
    assert value["status"] == "passed"
    assert value["model_version"] == 2


def test_at_last_the_new_version_is_served_whole(served, two_at_once):
    store = open_store(served.store)
    assert store.versions("shapes") == [1, 2] and store.served("shapes") == 2
    assert store.verify("shapes") == []
    assert not list(pathlib.Path(served.store).rglob(".tmp-*"))


def test_nothing_of_the_killed_stages_stays(served, two_at_once):
    root = served.folder / "runs" / "shapes"
    metadata = Metadata(root)
    states = {e.id: e.state for run in metadata.runs() for e in metadata.executions(run)}
    assert "RUNNING" in states.values()  # what a killed run leaves in the metadata
    folders = [path for path in (root / "artifacts").glob("*/*/*") if path.name.isdecimal()]
    assert {states[int(path.name)] for path in folders} == {"COMPLETE"}
