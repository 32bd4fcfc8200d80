"""What is read from a metadata store: hand-written ones, and one that TFX wrote."""

import datetime
import json
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest
from metadata_writer import MetadataWriter

from graft.models.errors import GraftError
from graft.pipeline.metadata import FILE_NAME, Metadata


@pytest.fixture
def root(tmp_path):
    """Two runs: the second took ingest from the cache and made another model; both pushed."""
    writer = MetadataWriter(tmp_path, "my.pipe")
    examples = writer.artifact("Examples", "/a/examples/1", split_names='["train", "test"]')
    writer.execution("run-1", "ingest", {"examples": examples}, fingerprint="f1", data={"path": "/data"})
    _train_and_push(writer, "run-1", examples, "1")
    writer.execution("run-2", "ingest", {"examples": examples}, state="CACHED", fingerprint="f1")
    _train_and_push(writer, "run-2", examples, "2")
    return tmp_path


def _train_and_push(writer, run_id, examples, version, store_id="s"):
    model = writer.artifact("Model", f"/a/model/{run_id}")
    writer.execution(run_id, "train", {"model": model}, {"examples": examples})
    pushed = writer.artifact("PushedModel", f"/a/pushed/{run_id}", pushed_version=version)
    writer.execution(run_id, "push", {"pushed_model": pushed}, {"model": model}, store_id=store_id)


def test_runs_are_listed_oldest_first(root):
    assert Metadata(root).runs() == ["run-1", "run-2"]


def test_executions_tell_stage_state_and_outputs(root):
    before = datetime.datetime.now(datetime.UTC)
    executions = Metadata(root).executions("run-2")
    assert [(e.stage, e.state, e.run_id) for e in executions] == [
        ("ingest", "CACHED", "run-2"),
        ("train", "COMPLETE", "run-2"),
        ("push", "COMPLETE", "run-2"),
    ]
    ingest = Metadata(root).executions("run-1")[0]
    assert ingest.parameters == {"fingerprint": "f1", "data": {"path": "/data"}}
    assert ingest.outputs["examples"].uri == "/a/examples/1"
    assert ingest.outputs["examples"].type == "Examples"
    assert ingest.outputs["examples"].properties["split_names"] == ["train", "test"]
    assert ingest.started.utcoffset() == datetime.timedelta(0)
    assert datetime.timedelta(0) <= before - ingest.started < datetime.timedelta(minutes=5)


def test_links_say_who_took_what_another_made(root):
    metadata = Metadata(root)
    ingest, train, push = metadata.work("run-2")
    assert metadata.links([ingest, train, push]) == [(ingest.id, "examples", train.id), (train.id, "model", push.id)]
    assert metadata.links([ingest, push]) == [] == metadata.links([])


def test_a_reader_may_leave_a_half_written_store_as_it_is(root, tmp_path_factory):
    killed = tmp_path_factory.mktemp("killed")
    writer = sqlite3.connect(root / FILE_NAME, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")  # so that it writes before it commits
    writer.execute("BEGIN")
    writer.execute("UPDATE ExecutionProperty SET string_value = hex(randomblob(9000))")
    for name in (FILE_NAME, f"{FILE_NAME}-journal"):
        shutil.copy(root / name, killed)
    writer.execute("ROLLBACK")
    writer.close()
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    with pytest.raises(GraftError, match="half-written by a run that died; `graft runs` mends it"):
        Metadata(killed, read_only=True)
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before
    assert Metadata(killed).runs() == ["run-1", "run-2"] == Metadata(killed, read_only=True).runs()


def test_time_is_utc_whatever_the_zone_of_the_machine(root):
    code = "import pathlib, sys; from graft.pipeline.metadata import Metadata\n"
    code += "print(Metadata(pathlib.Path(sys.argv[1])).executions('run-1')[0].started.isoformat())"
    read = [
        subprocess.run([sys.executable, "-c", code, root], env={"TZ": zone}, capture_output=True, text=True, check=True)
        for zone in ("UTC", "Asia/Tokyo")
    ]
    assert read[0].stdout == read[1].stdout
    assert read[0].stdout.strip().endswith("+00:00")


def test_outputs_are_those_of_finished_stages(root):
    writer = MetadataWriter(root, "my.pipe")
    writer.execution("run-3", "ingest", {"examples": 1}, state="CACHED")
    writer.execution("run-3", "train", {}, {"examples": 1}, state="FAILED")
    metadata = Metadata(root)
    assert metadata.outputs("run-3").keys() == {"ingest"}
    assert [e.state for e in metadata.executions("run-3")] == ["CACHED", "FAILED"]
    assert metadata.outputs("run-1").keys() == {"ingest", "train", "push"}


def test_work_names_the_run_that_did_it(root):
    MetadataWriter(root, "my.pipe").execution("run-3", "ingest", {"examples": 1}, state="CACHED")
    metadata = Metadata(root)
    assert [(e.stage, e.run_id, e.id) for e in metadata.work("run-2")] == [
        ("ingest", "run-1", 1),
        ("train", "run-2", 5),
        ("push", "run-2", 6),
    ]
    assert [(e.stage, e.run_id, e.state) for e in metadata.work("run-3")] == [("ingest", "run-1", "COMPLETE")]


def test_lineage_of_each_version(root):
    metadata = Metadata(root)
    assert [(e.stage, e.run_id) for e in metadata.lineage("1")] == [(s, "run-1") for s in ("ingest", "train", "push")]
    assert [e.run_id for e in metadata.lineage("2")] == ["run-1", "run-2", "run-2"]


def test_lineage_of_a_version_that_was_pushed_again(root):
    """The same bytes again give the same version: the first push made it; in a new store the new push did."""
    writer = MetadataWriter(root, "my.pipe")
    _train_and_push(writer, "run-3", 1, "2")
    assert Metadata(root).lineage("2")[-1].run_id == "run-2"
    _train_and_push(writer, "run-4", 1, "2", store_id="new")
    assert Metadata(root).lineage("2")[-1].run_id == "run-4"


def test_lineage_of_a_version_in_two_stores(root):
    """A try with another store must not stand for what is served: the store has to be named."""
    writer = MetadataWriter(root, "my.pipe")
    for run_id, store_id in (("run-5", "real"), ("run-6", "staging")):
        model = writer.artifact("Model", f"/a/model/{run_id}")
        writer.execution(run_id, "train", {"model": model})
        pushed = writer.artifact(
            "PushedModel", f"/a/{run_id}", pushed_version="3", pushed_destination=f"/{store_id}/pipe/3"
        )
        writer.execution(run_id, "push", {"pushed_model": pushed}, {"model": model}, store_id=store_id)
    metadata = Metadata(root)
    with pytest.raises(GraftError, match=r"version 3 was pushed to /real/pipe/3 and to /staging/pipe/3; .* --store"):
        metadata.lineage("3")
    assert metadata.lineage("3", "real")[-1].run_id == "run-5"
    assert metadata.lineage("3", "staging")[-1].run_id == "run-6"
    with pytest.raises(GraftError, match="no push of version '3' to the store other"):
        metadata.lineage("3", "other")


def test_unknown_version_names_those_there_are(root):
    with pytest.raises(GraftError, match=r"no push of version '7'; pushed versions: 1, 2"):
        Metadata(root).lineage("7")


def test_unknown_run_names_those_there_are(root):
    with pytest.raises(GraftError, match=r"no run 'run-9'; the latest runs: run-1, run-2"):
        Metadata(root).executions("run-9")


def test_store_without_runs(tmp_path):
    MetadataWriter(tmp_path)
    assert Metadata(tmp_path).runs() == []
    with pytest.raises(GraftError, match="no push of version '1'; pushed versions: none"):
        Metadata(tmp_path).lineage("1")


def test_no_store(tmp_path):
    with pytest.raises(GraftError, match="no metadata store; `graft run` makes it"):
        Metadata(tmp_path)


def test_file_that_is_no_store(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"not SQLite " * 100)
    with pytest.raises(GraftError, match="not a metadata store"):
        Metadata(tmp_path)


def test_many_runs_are_read_fast(tmp_path):
    """Faster than they were written; a query an execution, or for each pair of them, would be slower."""
    writer = MetadataWriter(tmp_path)
    start = time.process_time()
    for run in range(8):
        for stage in range(12):
            made = writer.artifact("Model", f"/{run}/{stage}")
            writer.execution(f"run-{run}", f"stage{stage}", {"model": made})
    written = time.process_time() - start
    metadata = Metadata(tmp_path)
    start = time.process_time()
    assert sum(len(metadata.executions(run)) for run in metadata.runs()) == 96
    assert time.process_time() - start < written


def test_folders_of_killed_and_failed_stages_are_removed_and_no_others(tmp_path):
    writer = MetadataWriter(tmp_path)
    ids = {
        state: writer.execution("run-1", "train", {}, state=state)
        for state in ("COMPLETE", "FAILED", "RUNNING", "CACHED")
    }
    unknown = max(ids.values()) + 1
    kinds = ("train/model", "train/.system/executor_execution")
    folders = {(kind, i): tmp_path / "artifacts" / kind / str(i) for kind in kinds for i in (*ids.values(), unknown)}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / "half").write_text("x")
    other = tmp_path / "artifacts" / "train" / "model" / "notes"
    other.mkdir()
    removed = Metadata(tmp_path).remove_unfinished()
    gone = {folder for (_, i), folder in folders.items() if i in (ids["FAILED"], ids["RUNNING"])}
    assert set(removed) == gone and len(gone) == 4
    assert {folder for folder in folders.values() if not folder.exists()} == gone and other.exists()
    assert Metadata(tmp_path).remove_unfinished() == []


_TFX_RUN = """
import pathlib, sys
from tfx import v1 as tfx
from tfx.orchestration import pipeline
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.dsl.component.experimental.annotations import OutputArtifact, InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, PushedModel
from graft.pipeline.local import LocalRunner

@component
def Make(examples: OutputArtifact[Examples], fingerprint: Parameter[str]):
    pathlib.Path(examples.uri).mkdir(parents=True, exist_ok=True)

@component
def Push(examples: InputArtifact[Examples], pushed_model: OutputArtifact[PushedModel], store_id: Parameter[str]):
    pushed_model.set_string_custom_property("pushed_version", "1")
    if store_id == "broken":
        raise OSError("no space left")

class Listener:
    def stage_started(self, stage): pass
    def stage_done(self, stage): print(stage.name, stage.cached)
    def stage_failing(self, stage, error): pass
    def stage_failed(self, stage, error): print(stage.name, stage.status, type(error).__name__)

root = pathlib.Path(sys.argv[1])
connection = sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
for run_id, store_id in (("one", "s"), ("two", "s"), ("three", "broken")):
    make = Make(fingerprint="f").with_id("ingest")
    push = Push(examples=make.outputs["examples"], store_id=store_id).with_id("push")
    graph = pipeline.Pipeline(
        pipeline_name="pipe",
        pipeline_root=str(root / "artifacts"),
        components=[make, push],
        enable_cache=True,
        metadata_connection_config=connection,
    )
    try:
        LocalRunner(run_id, Listener()).run(graph)
    except OSError:
        pass
"""


@pytest.mark.slow
def test_store_that_tfx_wrote(tmp_path):
    script = tmp_path / "tfx_run.py"
    script.write_text(_TFX_RUN)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, tmp_path], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    metadata = Metadata(tmp_path)
    states = {run: [(e.stage, e.state) for e in metadata.executions(run)] for run in metadata.runs()}
    assert states == {
        "one": [("ingest", "COMPLETE"), ("push", "COMPLETE")],
        "two": [("ingest", "CACHED"), ("push", "CACHED")],
        "three": [("ingest", "CACHED"), ("push", "FAILED")],
    }, json.dumps(states)
    assert [(e.stage, e.run_id) for e in metadata.work("two")] == [("ingest", "one"), ("push", "one")]
    assert [(e.stage, e.run_id) for e in metadata.work("three")] == [("ingest", "one")]
    assert metadata.lineage("1") == metadata.work("one")
    assert metadata.outputs("two") == metadata.outputs("one")
    assert metadata.executions("one")[0].parameters["fingerprint"] == "f"
