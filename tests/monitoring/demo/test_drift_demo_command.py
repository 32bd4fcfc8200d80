"""`graft demo drift` on the command line, beside `graft demo`; and all of the story once, in small."""

import json
import pathlib

import pytest
import yaml

from graft.monitoring.demo import command, site, story
from graft.pipeline import cli


@pytest.fixture
def given(monkeypatch):
    """What the story is asked for, in place of its telling."""
    asked = []
    monkeypatch.setattr(story, "demo", lambda *args: asked.append(args) or 0)
    return asked


def test_options_of_both_stand_before_or_after(given):
    for words in (["--json", "--root", "x", "drift"], ["drift", "--json", "--root", "x"]):
        assert cli.main(["demo", *words, "--rows", "60", "--days", "1", "2", "1", "--seed", "4"]) == 0
        root, course, as_json, _ = given.pop()
        assert (root, as_json) == (pathlib.Path("x"), True)
        assert (course.usual, course.drift, course.after, course.rows, course.seed) == (1, 2, 1, 60, 4)
    assert cli.main(["demo", "drift"]) == 0
    root, course, as_json, _ = given.pop()
    assert (root, as_json, course) == (pathlib.Path("runs/demo"), False, command.Course())


def test_what_is_of_the_other_demo_or_out_of_range_is_refused(given, capsys):
    assert cli.main(["demo", "--seeds", "5", "drift"]) == 2
    assert "--seeds was given; it is allowed with `graft demo` alone" in capsys.readouterr().err
    assert cli.main(["demo", "drift", "--rows", "7"]) == 2
    assert "--rows: received 7" in capsys.readouterr().err and not given


def test_without_a_story_it_is_the_demo_as_it_was(monkeypatch):
    from graft.pipeline import demo

    asked = []
    monkeypatch.setattr(demo, "demo", lambda *args: asked.append(args[:3]) or 0)
    assert cli.main(["demo", "--seeds", "4", "--root", "x"]) == 0
    assert asked == [(pathlib.Path("x"), 4, False)]


def test_the_configuration_is_one_that_the_commands_read(tmp_path):
    from graft.monitoring.retrain import plans

    course = command.Course(1, 3, 1, 60)
    plan = plans.read(str(site.write_config(tmp_path, course)))
    assert plan.log == tmp_path / "requests" and plan.options.drift_windows == 3
    data = plan.data()
    assert (data["source"], data["most"], "base" in data) == ("request_log", 120, False)


@pytest.mark.slow
def test_a_shift_is_found_learned_and_pushed_and_quality_recovers(tmp_path, capfd):
    options = ["--rows", "80", "--days", "2", "2", "1", "--root", str(tmp_path), "--json"]
    code = cli.main(["demo", "drift", *options])
    out, err = capfd.readouterr()
    value = json.loads(out)
    assert (code, value["status"], value["reasons"]) == (0, "passed", []), err
    days = value["days"]
    assert [day["changed"] for day in days] == [False, False, True, True, True]
    found = [story.verdict.alarms(day) for day in days]
    assert not found[0] and not found[1] and {"brightness", "contrast"} & {one["signal"] for one in found[2]}
    [made] = [day for day in days if day["retraining"]]
    assert made["day"] == 4 and made["decision"]["figures"]["windows_drifted"] == 2
    assert made["retraining"]["model_version"] == 2 and [day["version"] for day in days] == [1, 1, 1, 1, 2]
    assert value["phases"]["after"]["low"] > value["phases"]["drift"]["high"]
    # The monitor's word by late labels is what was counted when the answers came.
    assert [day["labelled"]["mean"] for day in days] == pytest.approx([day["quality"]["mean"] for day in days])
    folder = pathlib.Path(value["folder"])
    assert (folder / "drift.png").read_bytes().startswith(b"\x89PNG")
    assert "and quality recovered" in (folder / "drift.html").read_text()
    assert json.loads((folder / "drift.json").read_text())["phases"] == value["phases"]
    assert yaml.safe_load((folder / "digits.yaml").read_text())["name"] == site.MODEL
