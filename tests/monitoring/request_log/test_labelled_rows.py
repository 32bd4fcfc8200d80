"""Rows of a log that can be learned from: each once, whatever file it lies in; others are counted by reason."""

import pathlib
import shutil

import drift_samples as samples
import grpc
import numpy as np
import pytest

from graft.models import targets
from graft.models.errors import GraftError
from graft.monitoring.request_log import labelled_rows
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import KEY_VARIABLE, Options

ANSWERS = np.float32([[0.9, 0.1], [0.2, 0.8]])


def ask(name: str, time: float = 1000.0, contents=(b"one", b"two"), **changes):
    return samples.request(name, contents, ANSWERS[: len(contents)], time, **changes)


def label(root: pathlib.Path, **labels: str) -> None:
    """Labels of the first row of requests."""
    samples.put_labels(root, labels)


def find(root: pathlib.Path, classes=samples.CLASSES, **options):
    target = targets.make_target(targets.parse_options({"kind": "label", "class_names": list(classes)}))
    return labelled_rows.find(root / "log", samples.MODEL, "text", target, **options)


def test_rows_are_those_with_input_and_label_in_the_order_of_their_time(tmp_path):
    samples.write_log(tmp_path / "log", [ask("b", 2000.0), ask("a", 1000.0), ask("c", 3000.0)])
    samples.put_labels(
        tmp_path,
        [{"request_id": name, "row": row, "label": "rose"} for name, row in (("b", 1), ("a", 0), ("a", 1))],
    )
    found = find(tmp_path)
    assert [(row.request_id, row.row, row.time) for row in found.rows] == [
        ("a", 0, 1000.0),
        ("a", 1, 1000.0),
        ("b", 1, 2000.0),
    ]
    assert found.rows[0].label == {"label": "rose"} and found.left_out == {"no_label": 3}
    assert find(tmp_path, most=1).rows == found.rows[-1:] and find(tmp_path, most=1).left_out["older_than_most"] == 2
    assert [row.request_id for row in find(tmp_path, since=1500.0, until=2500.0).rows] == ["b"]
    assert find(tmp_path, since=1500.0).left_out["outside_the_times"] == 2
    assert not find(tmp_path, labelled_until=found.rows[0].arrived - 1000).rows


def test_the_same_requests_in_other_files_and_twice_are_the_same_rows(tmp_path):
    for place, parts in (("one", [["a", "b", "c"]]), ("other", [["c", "a"], ["b", "a"], ["c"]])):
        for part in parts:
            samples.write_log(tmp_path / place / "log", [ask(name, 1000.0 + ord(name)) for name in part])
        label(tmp_path / place, a="rose", b="tulip", c="rose")
    one, other = find(tmp_path / "one"), find(tmp_path / "other")
    assert [row.digest for row in one.rows] == [row.digest for row in other.rows] and len(one.rows) == 3
    assert one.left_out == other.left_out == {"no_label": 3}


def test_of_two_requests_with_one_id_the_earlier_counts_in_whichever_file(tmp_path):
    first, second = ask("a", 1000.0, (b"first",)), ask("a", 1001.0, (b"second",))
    for place, order in (("one", (first, second)), ("other", (second, first))):
        for request in order:
            samples.write_log(tmp_path / place / "log", [request])
        label(tmp_path / place, a="rose")
    assert [row.digest for row in find(tmp_path / "one").rows] == [row.digest for row in find(tmp_path / "other").rows]
    assert find(tmp_path / "one").rows[0].time == 1000.0


def test_another_label_or_input_or_id_is_another_row(tmp_path):
    kinds = {"base": ("a", b"one", "rose"), "label": ("a", b"one", "tulip"), "input": ("a", b"two", "rose")}
    kinds["id"] = ("b", b"one", "rose")
    for place, (name, content, given) in kinds.items():
        samples.write_log(tmp_path / place / "log", [ask(name, contents=(content,))])
        label(tmp_path / place, **{name: given})
    assert len({find(tmp_path / place).rows[0].digest for place in kinds}) == 4


def test_each_that_cannot_be_used_is_counted_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "0123456789abcdef")
    log = tmp_path / "log"
    requests = [ask("good"), ask("odd_label"), ask("short", contents=(b"one",)), ask("unlabelled")]
    requests += [ask("failed", code=grpc.StatusCode.INTERNAL, outputs={})]
    requests += [ask("numbers", inputs={"text": np.float32([1, 2])})]
    samples.write_log(log, requests)
    for name, options in (("dropped", {"inputs": "drop"}), ("hashed", {"hash": ["text"]})):
        with RequestLog(Options(folder=str(log), **options)) as observer:
            observer.observe(ask(name))
    names = ("good", "failed", "numbers", "dropped", "hashed", "never_asked")
    rows = [{"request_id": name, "label": "rose"} for name in names]
    rows += [{"request_id": "odd_label", "label": "dasiy"}, {"request_id": "short", "row": 1, "label": "rose"}]
    samples.put_labels(tmp_path, rows)
    found = find(tmp_path)
    assert [row.request_id for row in found.rows] == ["good"]
    wanted = {"no_label": 2 + 1 + 1 + 1 + 1 + 1 + 1, "unknown_label": 1, "no_such_row": 1, "not_answered": 1}
    wanted |= {"unreadable_record": 1, "no_input": 1, "hashed_input": 1, "no_request": 1}
    assert found.left_out == wanted and set(wanted) <= set(labelled_rows.MEANINGS)


def test_labels_that_are_not_known_are_named_and_without_a_list_each_is_a_class(tmp_path):
    names = [f"q{number}" for number in range(12)]
    samples.write_log(tmp_path / "log", [ask(name) for name in names])
    given = ["rose", "dasiy", "rosé", "dasiy", *(f"odd {number}" for number in range(8))]
    label(tmp_path, **dict(zip(names, given, strict=True)))
    target = targets.make_target(targets.parse_options({"kind": "label"}))
    asked = (tmp_path / "log", samples.MODEL, "text", target)
    found = labelled_rows.find(*asked, known=["rose", "tulip"])
    assert [row.label["label"] for row in found.rows] == ["rose"] and found.left_out["unknown_label"] == 11
    assert list(found.unknown.items())[:2] == [("dasiy", 2), ("odd 0", 1)]
    meaning = found.meaning("unknown_label")
    assert meaning.startswith("labels that ") and meaning.endswith(
        "not know: 'dasiy' (2), " + ", ".join(f"'odd {number}' (1)" for number in range(5)) + " and 4 more"
    )
    everything = labelled_rows.find(*asked)
    assert len(everything.rows) == 12 and everything.unknown == {}


def test_a_record_without_input_does_not_hide_one_with_it(tmp_path):
    with RequestLog(Options(folder=str(tmp_path / "log"), inputs="drop")) as observer:
        observer.observe(ask("a", 1000.0))
    samples.write_log(tmp_path / "log", [ask("a", 1001.0)])
    label(tmp_path, a="rose")
    assert [row.time for row in find(tmp_path).rows] == [1001.0]


def test_what_stands_before_a_damage_is_read_and_the_damage_told(tmp_path):
    [path] = samples.write_log(tmp_path / "log", [ask("a"), ask("b")])
    label(tmp_path, a="rose", b="rose")
    path.write_bytes(path.read_bytes()[:-7])
    found = find(tmp_path)
    assert [row.request_id for row in found.rows] == ["a"]
    assert found.left_out["damaged_file"] == 1 and found.left_out["no_request"] == 1


def test_a_log_without_labels_gives_nothing_and_no_log_is_an_error(tmp_path):
    samples.write_log(tmp_path / "log", [ask("a")])
    assert find(tmp_path) == ([], {"no_label": 2}, {})
    assert not (tmp_path / "log" / "labels.sqlite").exists()  # it only reads
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(GraftError, match="must be the folder of a request log"):
        find(tmp_path)


def test_labels_that_are_no_database_are_named(tmp_path):
    samples.write_log(tmp_path / "log", [ask("a")])
    (tmp_path / "log" / "labels.sqlite").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(GraftError, match=r"labels\.sqlite: cannot be read"):
        find(tmp_path)
