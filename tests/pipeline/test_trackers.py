"""The seam of trackers: a package registers one, and what it raises harms no run."""

import foreign_package
import pytest

from graft.models.entry_points import RegistrationError
from graft.models.errors import GraftError
from graft.models.gates import Gate
from graft.pipeline import config as configs
from graft.pipeline import trackers
from graft.pipeline.result import RunResult
from graft.pipeline.trackers import Followed

NOTES = """
    from graft.models.errors import GraftError

    class Notes:
        fails = ()
        told = []
        def __init__(self, config):
            self.told.clear()
        def _say(self, name):
            self.told.append(name)
            if name in self.fails:
                raise {"check": GraftError, "begin": KeyError}.get(name, GraftError)(f"{name} is no good")
        def check(self):
            self._say("check")
        def begin(self, run):
            self._say("begin")
        def end(self, run):
            self._say(f"end {run.result.status}")
        def attach(self, run, files):
            self._say(f"attach {len(files)}")

    def none(config):
        return None
"""


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Another package's tracker, beside one that the configuration does not ask for; those of Graft do not count."""
    monkeypatch.setattr(trackers, "GROUP", "test.trackers")
    entries = {"test.trackers": {"notes": "note_book:Notes", "idle": "note_book:none"}}
    foreign_package.install(tmp_path / "package", monkeypatch, "note-book", entries, NOTES)
    import note_book

    return note_book.Notes


@pytest.fixture
def run(tmp_path):
    raw = {"name": "shapes", "data": {"source": "image_folder", "path": "d"}, "backbone": {"handle": "b"}}
    (tmp_path / "run.json").write_text("{}")
    return Followed(configs.parse(raw, "c"), RunResult("r", status="passed"), tmp_path, None, {}, list)


def test_a_tracker_of_another_package_is_told_of_a_run(notes, run):
    trackers.opened(run.config).check()
    assert notes.told == ["check"]
    trackers.follow(run, ["run.json", "missing"])
    assert notes.told == ["begin", "end passed", "attach 1"] and not run.result.warnings


def test_what_it_raises_before_the_run_stops_it(notes, run):
    notes.fails = ("check",)
    with pytest.raises(GraftError, match="check is no good"):
        trackers.opened(run.config).check()


@pytest.mark.parametrize(
    ("fails", "warned"),
    [
        (("begin",), []),
        (("end passed", "attach 1"), ["end passed is no good"]),
        (("attach 1",), ["attach 1 is no good"]),
    ],
)
def test_later_it_is_one_warning_and_the_result_stands(notes, run, fails, warned):
    notes.fails = fails
    trackers.follow(run, ["run.json"])
    assert [w.text for w in run.result.warnings] == [
        f"notes was not told of all of this run: {text}" for text in warned
    ]
    assert run.result.status == "passed" and notes.told == ["begin", "end passed", "attach 1"]


def test_one_that_cannot_be_imported_is_named(notes, run, tmp_path, monkeypatch):
    entries = {"test.trackers": {"broken": "broken_notes:Notes"}}
    foreign_package.install(tmp_path / "broken", monkeypatch, "broken-notes", entries, "import no_such_module")
    with pytest.raises(RegistrationError, match="tracker 'broken' of broken_notes:Notes"):
        trackers.opened(run.config)
    trackers.follow(run, [])
    assert "this run is not tracked: tracker 'broken'" in run.result.warnings[0].text


def test_parameters_and_metrics_are_flat(run):
    run.result.metrics = {"accuracy": 0.5, "nothing": None, "words": "x"}
    run.result.gates = [Gate("accuracy", 0.5, 0.6, False), Gate("calls", None, None, True)]
    assert trackers.metrics(run) == {
        **{"accuracy": 0.5, "gate/accuracy": 0, "gate/accuracy/value": 0.5, "gate/accuracy/limit": 0.6},
        "gate/calls": 1,
    }
    found = trackers.parameters(run.config)
    assert found["data.path"] == "d" and found["gates.slices"] == "{}" and found["input.image_size"].startswith("[")


def test_a_commit_only_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert trackers.commit() == ""
    monkeypatch.setenv("PATH", "")
    assert trackers.commit() == ""
