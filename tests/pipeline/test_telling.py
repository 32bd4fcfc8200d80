"""How a demo ends: its outcome as text or JSON, what went otherwise, a signal."""

import json
import pathlib

import pytest

from graft.pipeline.demo.telling import tell
from graft.pipeline.ending import Ending


def told(root: pathlib.Path, reasons=(), as_json=False, act=None) -> int:
    def good(folder, view):
        return {"folder": str(folder), "reasons": list(reasons)}

    return tell("demo x", root, as_json, Ending(), act or good, lambda value: f"it took {value['seconds']:.0f} s")


def test_it_works_in_a_folder_of_its_own_and_says_what_came_out(tmp_path, capsys):
    assert told(tmp_path / "a") == 0 and told(tmp_path / "b", as_json=True) == 0
    text, line = capsys.readouterr().out.splitlines()
    assert text == "it took 0 s" and json.loads(line)["reasons"] == []
    assert json.loads(line)["folder"] == str(next((tmp_path / "b").iterdir()))


def test_what_went_otherwise_is_said_once_a_line(tmp_path, capsys):
    assert told(tmp_path, ["no alarm", "no push"]) == 1
    assert capsys.readouterr().err.splitlines()[-2:] == ["graft: demo x: no alarm", "graft: demo x: no push"]


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupt_ends_it_with_the_signals_code(tmp_path, capsys, as_json):
    def act(folder, view):
        raise KeyboardInterrupt

    assert told(tmp_path, as_json=as_json, act=act) == 130
    out, err = capsys.readouterr()
    assert "demo x: interrupted by SIGINT" in err and f"what there is lies in {tmp_path}" in err
    assert bool(out) == as_json and (not as_json or json.loads(out)["status"] == "interrupted")
