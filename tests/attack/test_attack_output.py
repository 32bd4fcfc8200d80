"""Text from outside forges no line, moves no cursor and brings no markup, wherever it is printed."""

import json
import logging
import pathlib
import subprocess
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.models.gates import Gate
from graft.models.text import LogFormatter, markdown, printable, say
from graft.pipeline import cli
from graft.pipeline.progress_view import ProgressView
from graft.pipeline.result import RunResult
from graft.pipeline.running import StageRun

FORGED = "x\x1b[2K\r\nGATE OPEN\u202e\u2028\x9b31m<script>"
TOP = pathlib.Path(__file__).parents[2]


def check_lines(text: str, expected: int) -> None:
    """So many lines, none of which a value has begun, and nothing that a terminal obeys."""
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) == expected, text
    assert all(line.isprintable() for line in lines), text
    assert not [line for line in lines if line.startswith("GATE OPEN")]


@given(st.text())
def test_printable_is_one_line_that_a_terminal_does_not_obey(text):
    assert printable(text).isprintable()
    assert text.isprintable() <= (printable(text) == text)


@given(st.text())
def test_markdown_holds_no_tag_and_no_new_line(text):
    cleaned = markdown(text)
    assert cleaned.isprintable() and "<" not in cleaned and ">" not in cleaned


def test_say_prints_each_value_on_its_line(capsys):
    say(f"a {FORGED}", "b")
    check_lines(capsys.readouterr().out, 2)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_result_with_hostile_slices_and_paths(capsys, monkeypatch, tmp_path, as_json):
    """A slice's value stands in a gate's detail, a class in a stage's few words, a path in the reason."""
    from graft.pipeline import config, run

    result = RunResult("run")
    result.status, result.reason, result.report = "gate_closed", f"gate closed: {FORGED}", f"{tmp_path}/{FORGED}"
    result.exit_code = 1
    result.gates = [Gate("accuracy", 0.1, 0.5, False, f"slice {FORGED}")]
    stage = StageRun("ingest")
    stage.result = FORGED
    result.stages = [stage]
    monkeypatch.setattr(config, "load", lambda *_: types.SimpleNamespace(name="any"))
    monkeypatch.setattr(run, "run", lambda *_, **__: result)
    assert cli.main(["run", "any.yaml", *(["--json"] if as_json else [])]) == 1
    out, err = capsys.readouterr()
    check_lines(out, 1 if as_json else 4)
    check_lines(err, 2)
    if as_json:
        assert json.loads(out)["gates"][0]["detail"] == f"slice {FORGED}", "a machine gets the value as it is"


def test_progress_lines(capsys):
    stage = StageRun("ingest")
    stage.result = FORGED
    with ProgressView() as view:
        view.line(FORGED)
        view.ended(stage)
    check_lines(capsys.readouterr().err, 2)


@pytest.mark.parametrize(
    "args",
    [
        ["run", FORGED],
        ["run", "a.yaml", FORGED],
        [FORGED],
        ["models", "list", FORGED, "--store", "."],
        ["models", "list", "--store", FORGED],
        ["predict", FORGED, "--server", FORGED, "--model", "m"],
        ["lineage", FORGED, "--root", FORGED],
    ],
)
def test_arguments_come_back_clean(capsys, monkeypatch, tmp_path, args):
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(args)
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert code == 2 and out == ""
    assert all(line.isprintable() for line in err.split("\n")) and "\nGATE OPEN" not in err


def test_keys_of_a_configuration_come_back_clean(capsys, tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(json.dumps({"name": "m", FORGED: 1, "data": {FORGED: FORGED}, "backbone": {"handle": FORGED}}))
    assert cli.main(["run", str(path)]) == 2
    said = capsys.readouterr().err
    check_lines(said, said.count("\n"))
    assert said.count("\n") == said.count(f"graft: {path}: ") > 1, "a line for each fault, and none that a key began"


def test_logs_and_tracebacks_are_clean():
    formatter = LogFormatter("%(levelname)s %(name)s: %(message)s")
    record = logging.LogRecord("graft", logging.ERROR, "f", 1, "lost %s", (FORGED,), None)
    check_lines(formatter.format(record), 1)
    try:
        raise ValueError(FORGED)
    except ValueError:
        record.exc_info = sys.exc_info()
    check_lines(formatter.format(record), 7)


def test_a_newline_in_the_store_stays_in_its_line_of_the_card():
    from graft.pipeline.report import _environment

    template = _environment(html=False).from_string("    graft serve {{ store | quote }}\n")
    shown = template.render(store="runs/x\n\n<script>alert(1)</script>")
    assert shown == "    graft serve 'runs/x\\n\\n<script>alert(1)</script>'\n", "within a code block markup is text"


def test_nothing_prints_in_another_way():
    """Ruff's T20 holds it: print() stands in models.text alone."""
    command = [sys.executable, "-m", "ruff", "check", "-q", "--select", "T20", "--no-cache", "."]
    checked = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
