"""Beam reads as the monitor itself does, and in the same order."""

import dataclasses

import numpy as np
import pytest
from drift_samples import MODEL, NOON, failed, look, make_store, place, request, traffic, write_log

from graft.components.beam import LOCAL_BEAM_ARGS
from graft.models.errors import GraftError
from graft.monitoring.drift import reading, results
from graft.monitoring.drift.reading import LogReader
from graft.monitoring.drift.watched import References


@pytest.fixture
def root(tmp_path):
    """Three files, one of them damaged, with an other model's request and an unknown version's."""
    make_store(tmp_path)
    (tmp_path / "log").mkdir()
    write_log(tmp_path / "log", [*traffic(300, 1, NOON - 9000), failed("f", NOON), failed("o", NOON, model="other")])
    write_log(
        tmp_path / "log", [*traffic(250, 2, NOON - 9000), request("u", [b"x"], np.zeros((1, 2)), NOON, version=8)]
    )
    [path] = write_log(tmp_path / "log", traffic(100, 3, NOON - 8000))
    path.write_bytes(path.read_bytes()[:-1])
    return tmp_path


def parts(root, monkeypatch, handful: int):
    monkeypatch.setattr(reading, "HANDFUL", handful)
    monkeypatch.setattr(reading, "_AT_ONCE", 2)
    folder = root / "drift"
    folder.mkdir(exist_ok=True)
    (folder / reading.SCRATCH).mkdir(exist_ok=True)  # as a monitor leaves it that was killed
    reader = LogReader(MODEL, References(folder, str(root / "store"), MODEL), folder, LOCAL_BEAM_ARGS)
    found = [
        (part.path.name, list(part.rows), part.reading, part.elsewhere)
        for part in reader.parts(sorted((root / "log").glob("*.tfrecord")))
    ]
    assert handful or not (folder / reading.SCRATCH).exists()
    return found


def test_beam_gives_the_same_rows(root, monkeypatch):
    here, there = parts(root, monkeypatch, 9), parts(root, monkeypatch, 0)
    assert len(here) == 3
    for (name, rows, met, elsewhere), (other_name, other_rows, other_met, other_elsewhere) in zip(
        here, there, strict=True
    ):
        assert (name, met, elsewhere, len(rows)) == (other_name, other_met, other_elsewhere, len(other_rows))
        for one, other in zip(rows, other_rows, strict=True):
            for field in dataclasses.fields(one):
                assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def test_windows_do_not_depend_on_who_read(root, monkeypatch):
    look(root)
    plain = list(results.read(root / "drift"))
    monkeypatch.setattr(reading, "HANDFUL", 0)
    (root / "drift").rename(root / "before")
    found = look(root)
    assert list(results.read(root / "drift")) == plain and len(plain) == 1
    assert found.totals["damaged_files"] == 1 and found.unknown[8][0] == 1


def test_what_is_wrong_with_a_reference_is_told_in_a_line(root, monkeypatch):
    monkeypatch.setattr(reading, "HANDFUL", 0)
    copy = place(root).folder / "references" / "1.json"
    copy.parent.mkdir(parents=True)
    copy.write_text("{}")
    reader = LogReader(MODEL, References(root / "drift", str(root / "store"), MODEL), root / "drift", LOCAL_BEAM_ARGS)
    with pytest.raises(GraftError, match=r"1\.json: damaged: 'pushed'; delete it, the store has the reference$"):
        list(reader.parts(sorted((root / "log").glob("*.tfrecord"))))
    assert not (root / "drift" / reading.SCRATCH).exists()
    with pytest.raises(GraftError, match=r"1\.json: damaged"):
        look(root)
