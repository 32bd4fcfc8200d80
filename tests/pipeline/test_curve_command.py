"""`graft curve`: from a configuration to figures, a plot and a part of the report; what it refuses."""

import json
import pathlib

import pytest
import yaml
from workshop import Workshop

from graft.models.errors import GraftError
from graft.pipeline import cli, curve_command
from graft.pipeline import config as configs

CONFIG = {
    "name": "x",
    "data": {"source": "image_folder", "path": "d"},
    "backbone": {"handle": "b"},
    "transfer": {"method": "fine_tune", "epochs": 7, "learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def place(workshop, tmp_path_factory) -> Workshop:
    return workshop.beside(tmp_path_factory.mktemp("curve"))


@pytest.fixture(scope="module")
def drawn(place):
    arguments = ["--labels", "2", "8", "500", "all", "--seeds", "2", "--references", "raw"]
    arguments += ["--set", "input.value_range=auto"]
    return place.graft("curve", str(place.config), "--methods", "frozen", *arguments)


@pytest.mark.slow
def test_figures_and_plot(drawn, place):
    assert drawn.code == 0, drawn.stderr
    value = drawn.value
    assert [point["labels"] for point in value["points"]] == [2, 8, None] and value["judged"] == "eval"
    assert [one["labels"] for one in value["left_out"]] == [500] and value["transfer"] == {
        "frozen": {"method": "frozen"}
    }
    assert 8 <= value["judged_on"] <= 16  # half of eval
    files = [pathlib.Path(place.folder, path) for path in value["files"].values()]
    assert [path.name for path in files] == ["curve.json", "curve.png"] and all(path.is_file() for path in files)
    assert value["statements"][0].startswith("frozen ")


@pytest.mark.slow
def test_the_test_split_is_opened_when_asked_for_only(drawn, place):
    outcome = place.graft(
        "curve", str(place.config), "--labels", "all", "--seeds", "1", "--references", "none", "--test"
    )
    assert outcome.code == 0, outcome.stderr
    value = outcome.value
    assert value["judged"] == "test" and value["judged_on"] > drawn.value["judged_on"]
    # A head that chose by all of eval and learned from all of train is that of a run.
    run = place.again()
    score = value["points"][0]["results"]["frozen"]["mean"]
    assert score == pytest.approx(run.value["metrics"]["accuracy"])
    cached = {stage["name"]: stage["cached"] for stage in run.value["stages"]}
    assert cached["ingest"] and cached["transform"] and cached["features"]
    assert "How many labels it takes" in pathlib.Path(place.folder, run.value["report"]).read_text()


def test_methods_get_what_is_theirs():
    config = configs.parse(CONFIG, "x.yaml")
    found = curve_command.contestants(config, ["frozen", "fine_tune", "l2_sp"], ["l2_sp.epochs=3"])
    assert found["frozen"] == {"method": "frozen"}
    assert found["fine_tune"]["epochs"] == 7 and found["fine_tune"]["learning_rate"] == 0.01
    assert found["l2_sp"]["epochs"] == 3 and found["l2_sp"]["learning_rate"] == 0.01
    frozen = configs.parse({**CONFIG, "transfer": {"method": "frozen"}}, "x.yaml")
    assert curve_command.contestants(frozen, ["fine_tune"])["fine_tune"]["learning_rate"] == 1e-5


@pytest.mark.parametrize(
    ("names", "options", "told"),
    [
        (["frozn"], [], "received 'frozn'; did you mean 'frozen'"),
        (["frozen", "frozen"], [], "'frozen' stands twice"),
        (["frozen"], ["frozen.epoch=3"], "--methods frozen: epoch: unknown key"),
        (["fine_tune"], ["fine_tune.epochs=0"], r"--methods fine_tune: epochs: .*received 0"),
        (["frozen"], ["fine_tune.epochs=3"], r"must be METHOD\.KEY=VALUE with one of the methods \(frozen\)"),
        (["frozen"], ["epochs"], r"must be METHOD\.KEY=VALUE"),
    ],
)
def test_methods_that_are_refused(names, options, told):
    with pytest.raises(GraftError, match=told):
        curve_command.contestants(configs.parse(CONFIG, "x.yaml"), names, options)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--labels", "0"], "--labels: received '0'; allowed: whole numbers from 1, or all"),
        (["--labels", "five"], "--labels: received 'five'"),
        (["--labels", "5", "5"], "--labels: a number stands twice"),
        (["--seeds", "0"], "--seeds: received 0; allowed: 1 to 100"),
        (["--references", "row"], "--references: received row"),
        (["--choose", "none"], "--choose: received 'none'"),
        (["--methods", "coral"], "learns without labels of the target"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_read(args, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(CONFIG))
    assert cli.main(["curve", "x.yaml", *args, "--json"]) == 2
    assert told in json.loads(capsys.readouterr().out)["error"] and not (tmp_path / "runs").exists()
