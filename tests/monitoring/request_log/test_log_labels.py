"""Labels that came late: joined by request id, each once whatever comes again; a hostile row is told or counted."""

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import sqlite3
import threading
import time

import numpy as np
import pytest
from log_samples import served, texts

from graft.models.errors import GraftError
from graft.monitoring.request_log import label_command
from graft.monitoring.request_log.label_files import Fault, rows
from graft.monitoring.request_log.labels import Joining, LabelStore
from graft.monitoring.request_log.log_file import files
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import Options
from graft.monitoring.request_log.reader import Reading, once, read
from graft.pipeline import cli


def write_log(folder: pathlib.Path, *names: str, model: str = "flowers") -> pathlib.Path:
    with RequestLog(Options(folder=str(folder))) as log:
        for name in names:
            log.observe(served(name, model=model))
    return folder


@pytest.fixture
def log(tmp_path) -> pathlib.Path:
    """A log of the requests a, b and c, each of two rows."""
    return write_log(tmp_path / "log", "a", "b", "c")


@pytest.fixture
def put(tmp_path):
    """Writes a file of labels."""

    def write(name: str, content: str | bytes) -> pathlib.Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def add(log, path, columns=("label",), model="flowers") -> dict:
    with LabelStore(log) as store:
        store.index(Reading())
        return dataclasses.asdict(store.add(model, path, columns))


def join(log, model="flowers"):
    joining = Joining()
    with LabelStore(log) as store:
        reading = Reading()
        found = {r.request_id: labels for r, labels in store.join(model, once(read(log, reading), reading), joining)}
    assert not reading.faults, "the store of the labels is no foreign file"
    return found, joining


def counts(found: dict) -> dict:
    return {name: count for name, count in found.items() if count and name not in ("rows", "faults")}


def test_labels_join_their_requests_row_by_row(log, put):
    found = add(
        log, put("a.csv", "row,request_id,label,note\n0,a,rose,x\n1,a,tulip,\n,b,daisy,y\n5,c,rose,\n0,z,rose,\n")
    )
    assert found == {
        "rows": 5,
        "added": 5,
        "repeated": 0,
        "conflicting": 0,
        "faulty": 0,
        "matched": 4,
        "unknown": 1,
    } | {"faults": []}
    joined, joining = join(log)
    assert joined == {"a": {0: {"label": "rose"}, 1: {"label": "tulip"}}, "b": {0: {"label": "daisy"}}, "c": {}}
    assert joining == Joining(joined=3, waiting=1, beyond=1, unlabelled=3)


def test_what_comes_again_counts_once_and_what_differs_is_refused(log, put):
    first = put("a.csv", "request_id,label\na,rose\na,rose\nb,rose\n")
    assert counts(add(log, first)) == {"added": 2, "repeated": 1, "matched": 3}
    assert counts(add(log, first)) == {"repeated": 3, "matched": 3}, "the same file after a restart"
    second = put("b.jsonl", '{"request_id": "a", "label": "rose"}\n{"request_id": "b", "label": "tulip"}\n')
    for _ in range(2):
        found = add(log, second)
        assert counts(found) == {"repeated": 1, "conflicting": 1, "matched": 1}
        assert found["faults"] == [
            f'{second}: request b row 0 is {{"label": "tulip"}}; it was labelled {{"label": "rose"}}'
        ]
    assert join(log)[0]["b"] == {0: {"label": "rose"}}
    with sqlite3.connect(log / "labels.sqlite") as database:
        assert database.execute("SELECT request_id, label FROM conflicts").fetchall() == [("b", '{"label": "tulip"}')]


def test_a_label_may_be_there_before_its_request(log, put):
    path = put("a.csv", "request_id,label\nlater,rose\n")
    assert counts(add(log, path)) == {"added": 1, "unknown": 1}
    assert join(log)[1].waiting == 1
    write_log(log, "later")
    assert counts(add(log, path)) == {"repeated": 1, "matched": 1}
    assert join(log)[0]["later"] == {0: {"label": "rose"}}


def test_each_log_file_is_indexed_once_and_forgotten_with_it(log, put):
    with LabelStore(log) as store:
        first, second = Reading(), Reading()
        store.index(first)
        store.index(second)
        assert (first.records, second.records) == (3, 0) and store.models() == ["flowers"]
        (path,) = files(log)
        path.unlink()
        store.index(Reading())
        assert store.models() == []
    assert counts(add(log, put("a.csv", "request_id,label\na,rose\n"))) == {"added": 1, "unknown": 1}


HOSTILE = {
    "a.csv": b"request_id,row,label\n"
    b"a,0,\n"  # no label
    b"a\n"  # a row that ends early
    b"../a,0,rose\n"
    b"a,-1,rose\n"
    b"a,1.5,rose\n"
    b"a,99999999999,rose\n"
    b"a,0,\xff\xfe\n"  # not UTF-8
    b'a,0,"' + b"x" * 70_000 + b'"\n',
    "b.jsonl": b"{not json\n"
    b"[1]\n"
    b"null\n"
    b'{"label": "rose"}\n'
    b'{"request_id": "a"}\n'
    b'{"request_id": "a", "label": NaN}\n'
    b'{"request_id": "a", "label": {"x": 1}}\n'
    b'{"request_id": "a", "label": ["rose", null]}\n'
    b'{"request_id": "a", "label": "rose", "label": "tulip"}\n'
    b'{"request_id": "a", "row": true, "label": "rose"}\n'
    b'{"request_id": ["a"], "label": "rose"}\n'
    b'{"request_id": "a", "label": "\\ud800"}\n' + b"[" * 100_000 + b"\n" + b'{"request_id": "a", "label": "\xff"}\n',
}


@pytest.mark.parametrize("name", ["a.csv", "b.jsonl"])
def test_a_hostile_row_is_told_with_its_line_and_harms_no_other(log, put, name):
    good = b"a,0,rose\n" if name == "a.csv" else b'{"request_id": "a", "label": "rose"}\n'
    content = HOSTILE[name] + good
    if name == "a.csv":  # the long field is a fault of the file
        content = content.replace(b"x" * 70_000, b"x" * 60_000 + "ü".encode())
        content = content.replace(b'a,0,"', b'c,0,"')
    path = put(name, content)
    found = add(log, path)
    lines = content.count(b"\n") - (name == "a.csv")
    faulty = lines - (2 if name == "a.csv" else 1)
    assert (found["rows"], found["faulty"]) == (lines, faulty) and len(found["faults"]) == faulty
    first = 2 if name == "a.csv" else 1
    for line, fault in enumerate(found["faults"], first):
        assert fault.startswith(f"{path}, line {line}: ") and len(fault) < 600 and "\n" not in fault
    assert join(log)[0]["a"] == {0: {"label": "rose"}}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"request_id,class\na,rose\n", "no such column: label; there are request_id, class"),
        ("a.csv", b"", "no such column: request_id, label; there are none"),
        ("a.csv", b"request_id,label\nb,tulip\na,rose,7\n", "line 3: 3 fields, but 2 columns"),
        ("a.csv", "request_id,label\nb,tulip\na,rose\n".encode("utf-16"), "no such column|not CSV"),
        ("a.csv", b'request_id,label\nb,tulip\na,"' + b"x" * 70_000 + b'"\n', "field larger than field limit"),
        ("a.csv", b"request_id,label,label\na,rose,tulip\n", "two columns have one name"),
        ("a.txt", b"request_id,label\na,rose\n", "a file of labels ends in .csv, .tsv, .jsonl"),
        ("a.jsonl", b'{"request_id": "b", "label": "tulip"}\n' + b"x" * 2**20, "line 2: longer than 1048576 bytes"),
        ("none.jsonl", None, "No such file or directory"),
    ],
)
def test_a_file_that_is_no_table_is_refused_as_a_whole(log, tmp_path, put, name, content, told):
    path = tmp_path / name if content is None else put(name, content)
    with pytest.raises(GraftError, match=told) as caught:
        add(log, path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert join(log)[1] == Joining(unlabelled=6), "none of its rows is there"


def test_a_pipe_is_no_file_of_labels(log, tmp_path):
    for name in ("a.csv", "a.jsonl"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(GraftError, match="is a FIFO, not a regular file"):
            add(log, tmp_path / name)


def test_labels_of_other_forms(put):
    path = put("a.jsonl", '{"request_id": "a", "x": 1.5, "y": ["b", 2], "z": true}\n\n{"request_id": "b", "x": 1}\n')
    first, second = rows(path, ("x", "y", "z"))
    assert first.label == {"x": "1.5", "y": ["b", "2"], "z": "true"}
    assert second == Fault(f"{path}, line 3: y is missing")
    path = put("a.tsv", "\ufeffrequest_id\tx\ty\na\t1.5\t2\n")
    assert [row.label for row in rows(path, ("x", "y"))] == [{"x": "1.5", "y": "2"}]


@pytest.mark.parametrize(
    "content", [b"no database, but some text that is long enough for a header", b"SQLite format 3\0"]
)
def test_a_store_that_is_none_is_one_line(log, content):
    (log / "labels.sqlite").write_bytes(content * 20)
    with pytest.raises(GraftError, match=r"labels\.sqlite: .*; it must be the labels of a request log"):
        LabelStore(log)


def test_a_store_of_another_version_is_refused(log):
    LabelStore(log).close()
    with sqlite3.connect(log / "labels.sqlite") as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(GraftError, match="of version 9; this one reads version 1"):
        LabelStore(log)


def test_several_may_add_at_once(log, put):
    paths = [put(f"{n}.csv", "request_id,label\n" + "".join(f"r{i},x\n" for i in range(n, n + 400))) for n in (0, 200)]
    threads = [threading.Thread(target=add, args=(log, path)) for path in paths * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert join(log)[1].waiting == 600


def graft(capsys, *arguments: object) -> tuple[int, dict, str]:
    code = cli.main([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def test_the_command(log, put, capsys):
    path = put("a.csv", "request_id,label\na,rose\nzz,rose\n")
    code, value, _ = graft(capsys, "label", "--model", "flowers", "--file", path, "--log", log)
    assert code == 0 and counts(value["files"][str(path)]) == {"added": 2, "matched": 1, "unknown": 1}
    code = cli.main(
        ["label", "--model", "flowers", "--file", str(put("b.csv", "request_id,label\na,tulip\n")), "--log", str(log)]
    )
    out = capsys.readouterr().out
    assert code == 1 and "1 conflicting" in out and 'request a row 0 is {"label": "tulip"}' in out
    code, value, error = graft(capsys, "label", "--model", "flovers", "--file", path, "--log", log)
    assert code == 2 and "did you mean 'flowers'?" in value["error"] and error.startswith("graft: --model: ")
    code, value, _ = graft(capsys, "label", "--model", "flowers", "--file", path, "--log", log / "none")
    assert code == 2 and "no such folder" in value["error"]


def test_a_watched_folder_gives_each_file_once(log, tmp_path, capsys):
    """In this process, which a signal ends as it would end the command's."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text("request_id,label\na,rose\n")
    (inbox / "bad.csv").write_text("nothing\n")
    (inbox / "notes.txt").write_text("no labels\n")

    def drop_later() -> None:
        until_labels(log, 1)
        (inbox / "b.jsonl").write_text('{"request_id": "b", "label": "rose"}\n')
        until_labels(log, 2)
        os.kill(os.getpid(), signal.SIGTERM)

    options = argparse.Namespace(
        model="flowers", file=None, watch=inbox, column=None, log=str(log), poll=0.02, json=True
    )
    dropping = threading.Thread(target=drop_later)
    dropping.start()
    code = label_command.run(options)
    dropping.join()
    value = json.loads(capsys.readouterr().out)
    assert code == 0 and counts(value) == {"model": "flowers", "refused_files": 1, "added": 2, "matched": 2}
    ending = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    ending.start()
    label_command.run(options)
    assert counts(json.loads(capsys.readouterr().out)) == {"model": "flowers"}, "after a restart nothing is new"


def until_labels(log: pathlib.Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with sqlite3.connect(log / "labels.sqlite", timeout=30) as database:
            tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'labels'").fetchone()[0]
            if tables and database.execute("SELECT count(*) FROM labels").fetchone()[0] >= count:
                return
        time.sleep(0.01)
    raise AssertionError(f"there are no {count} labels")


def test_a_request_without_dimensions_has_one_row(tmp_path, put):
    folder = tmp_path / "log"
    with RequestLog(Options(folder=str(folder))) as log:
        log.observe(served("a", inputs={"x": texts(b"q")}, outputs={"y": np.float32(3)}, model="flowers"))
    add(folder, put("a.csv", "request_id,label\na,3\n"))
    assert join(folder)[1] == Joining(joined=1)
