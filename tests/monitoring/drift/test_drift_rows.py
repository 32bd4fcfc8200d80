"""What is kept of a request: the bins of its signals, and what the log did not have of it."""

import dataclasses

import numpy as np
import pytest
from drift_samples import CLASSES, MODEL, NOON, failed, make_store, request, write_log

from graft.monitoring.drift import rows as rows_module
from graft.monitoring.drift.rows import NO_INPUTS, NO_OUTPUTS, OK, UNMEASURED, Elsewhere, Rows, rows_of_file
from graft.monitoring.drift.watched import References
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import KEY_VARIABLE, Options
from graft.monitoring.request_log.reader import Reading

ANSWER = np.array([[0.2, 0.8]])


@pytest.fixture
def references(tmp_path) -> References:
    make_store(tmp_path)
    (tmp_path / "log").mkdir()
    return References(tmp_path / "drift", str(tmp_path / "store"), MODEL)


def read(path, references) -> list[Rows]:
    return list(rows_of_file(path, MODEL, references, Reading(), Elsewhere()))


def test_signals_fall_into_the_bins_of_the_reference(tmp_path, references):
    answers = np.array([[0.2, 0.8], [0.51, 0.49]])
    [path] = write_log(
        tmp_path / "log", [request("a", [b"one two three", b"four"], answers, NOON), failed("b", NOON + 1)]
    )
    [rows] = read(path, references)
    assert rows.examples.tolist() == [2, 1] and rows.times.tolist() == [NOON, NOON + 1] and rows.version == 1
    assert rows.statuses[0] == OK != rows.statuses[1] and rows.unlogged.tolist() == [0, 0] and len(rows.keys) == 2
    signals = references.get(1).reference.signals
    columns = {name: rows.bins[:, place].tolist() for place, name in enumerate(signals)}
    assert columns["words"] == [signals["words"].bin(count) for count in (3, 1, 1)]
    assert columns["predicted"] == [CLASSES.index("tulip"), CLASSES.index("rose"), UNMEASURED]
    assert columns["confidence"][1] == 0, "0.51 is as uncertain as the reference was at most"


def test_what_was_not_logged_is_not_measured(tmp_path, references, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "0123456789abcdef")
    for number, more in enumerate(
        ({"inputs": "drop"}, {"hash": ("text",)}, {"leave_out": ("probabilities",)}, {"hash": ("probabilities",)})
    ):
        folder = tmp_path / f"log{number}"
        with RequestLog(Options(folder=str(folder), **more)) as log:
            log.observe(request("a", [b"one two"], ANSWER, NOON))
        [rows] = read(next(folder.glob("*.tfrecord")), references)
        group = references.get(1).reference.group
        measured = {group[name] for name, bin in zip(group, rows.bins[0], strict=True) if bin != UNMEASURED}
        missing, flag = ("input", NO_INPUTS) if number < 2 else ("prediction", NO_OUTPUTS)
        assert measured == {"input", "prediction"} - {missing} and rows.unlogged.tolist() == [flag], more


@pytest.mark.parametrize(
    "outputs",
    [{}, {"probabilities": np.zeros((1, 3))}, {"probabilities": np.zeros(2)}, {"other": np.zeros((1, 2))}],
)
def test_answers_of_another_form_are_no_answers(tmp_path, references, outputs):
    [path] = write_log(tmp_path / "log", [request("a", [b"x"], ANSWER, NOON, outputs=outputs)])
    [rows] = read(path, references)
    assert rows.unlogged.tolist() == [NO_OUTPUTS] and rows.examples.tolist() == [1]


def test_rows_come_by_version_some_thousands_at_a_time(tmp_path, references, monkeypatch):
    monkeypatch.setattr(rows_module, "_AT_ONCE", 10)
    requests = [request(f"r{n}", [b"x"], ANSWER, NOON + n, version=(1, 4, None)[n % 3]) for n in range(45)]
    [path] = write_log(tmp_path / "log", requests)
    found = read(path, references)
    assert sorted((rows.version, len(rows.times)) for rows in found) == [
        (0, 5),
        (0, 10),
        (1, 5),
        (1, 10),
        (4, 5),
        (4, 10),
    ]
    assert [time for rows in found if rows.version == 1 for time in rows.times] == [NOON + n for n in range(0, 45, 3)]
    assert {rows.bins.shape[1] for rows in found if rows.version != 1} == {0}


def test_a_violation_is_kept_with_its_reason(tmp_path, references):
    [path] = write_log(tmp_path / "log", [request("a", [b"fine", b"\xff", b""], np.repeat(ANSWER, 3, axis=0), NOON)])
    [rows] = read(path, references)
    assert rows.violations.tolist() == [-1, 0, 1] and rows.reasons[0] == "not_utf8"


def test_rows_come_back_from_their_file(tmp_path, references):
    [path] = write_log(tmp_path / "log", [request("a", [b"\xff"], ANSWER, NOON), request("b", [b"x"], ANSWER, NOON)])
    [rows] = read(path, references)
    with (tmp_path / "rows.npz").open("wb") as file:
        rows.save(file)
    again = Rows.load(tmp_path / "rows.npz")
    for field in dataclasses.fields(Rows):
        assert np.array_equal(getattr(rows, field.name), getattr(again, field.name))
        assert type(getattr(rows, field.name)) is type(getattr(again, field.name))
