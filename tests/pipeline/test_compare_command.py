"""`graft compare` at a terminal and for a program."""

import json

from runs_for_comparison import CONFIG, FIRST, SECOND, Runs

from graft.pipeline.cli import main


def test_what_a_person_reads(tmp_path, capsys):
    runs = Runs(tmp_path)
    runs.add(FIRST, wrong=20)
    runs.add(SECOND, wrong=4, config={**CONFIG, "seed": 1})
    assert main(["compare", FIRST, SECOND, "--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"A: pets run {FIRST}: passed" in shown and "the same 60 test examples" in shown
    assert "+0.2667 (" in shown and "more than luck" in shown and "By accuracy B is better than A." in shown
    assert "recall" in shown and "seed" in shown and "stage (seconds)" in shown
    assert main(["compare", SECOND, FIRST, "--root", str(tmp_path)]) == 0
    assert "By accuracy B is worse than A." in capsys.readouterr().out
    assert main(["compare", FIRST, FIRST, "--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "not distinguishable" in shown and "The configurations are the same." in shown


def test_what_a_program_reads(tmp_path, capsys):
    runs = Runs(tmp_path)
    runs.add(FIRST, wrong=20)
    runs.add(SECOND, wrong=None)
    assert main(["compare", FIRST, SECOND, "--root", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["judged"] is None and found["first"]["metrics"]["examples"] == 60
    assert main(["compare", FIRST, SECOND, "--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "before its test split was judged" in shown and "each on its own split" in shown
    assert main(["compare", FIRST, "nope", "--root", str(tmp_path)]) == 2
    assert "nope: no such run below" in capsys.readouterr().err
