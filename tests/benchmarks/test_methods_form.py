"""The form of an experiment: gain, verdict, control, the stored rows and the table. Not covered: the figures."""

import json

import numpy as np
import pytest

from benchmarks import methods
from benchmarks.methods import form, table
from benchmarks.methods.__main__ import main
from benchmarks.methods.form import Experiment, Result, measure

EXAMPLES = 400


def answers(share: float, seed: int) -> Result:
    """That share of the examples is right, up to luck."""
    return Result((np.random.default_rng(seed).random(EXAMPLES) < share).astype(float), seconds=1.0 + seed, steps=10)


def experiment(method: float, baselines: dict[str, float], control: float, **changes) -> Experiment:
    def run(seed: int) -> dict[str, Result]:
        shares = {"method": method, **baselines, "control": control}
        return {name: answers(share, 100 * place + seed) for place, (name, share) in enumerate(shares.items())}

    return Experiment("E0", "frozen", "Drawn answers.", run, "nothing learned", **changes)


def test_a_gain_over_every_baseline_helps():
    row = measure(experiment(0.9, {"scratch": 0.5, "pixels": 0.7}, 0.5), range(3))
    assert row["verdict"] == form.HELPS and row["strongest"] == "pixels"
    assert row["gain"]["pixels"]["low"] > 0 and row["gain"]["scratch"]["mean"] > row["gain"]["pixels"]["mean"]
    assert row["control"]["fails"] and row["control"]["gain"]["mean"] < 0
    assert row["seconds"]["method"] == 2.0 and row["steps"]["method"] == 10


def test_a_gain_over_one_of_two_baselines_cannot_be_told():
    assert measure(experiment(0.7, {"scratch": 0.4, "pixels": 0.7}, 0.5), range(3))["verdict"] == form.UNDECIDED


def test_one_better_baseline_is_enough_to_hurt():
    assert measure(experiment(0.7, {"scratch": 0.4, "pixels": 0.9}, 0.5), range(3))["verdict"] == form.HURTS


def test_what_is_only_shown_is_no_baseline():
    row = measure(experiment(0.8, {"pixels": 0.5, "oracle": 0.99}, 0.5, shown=("oracle",)), range(3))
    assert row["verdict"] == form.HELPS and set(row["gain"]) == {"pixels"} and "oracle" in row["scores"]


def test_a_control_that_helps_is_told():
    row = measure(experiment(0.9, {"pixels": 0.5}, 0.9), range(3))
    assert not row["control"]["fails"] and "**does not fail**" in table.markdown([row], "rows.json")


def test_the_gain_is_paired_over_seeds():
    """Luck that all contestants of a seed share does not widen the interval."""

    def run(seed: int) -> dict[str, Result]:
        base = np.zeros(EXAMPLES)
        base[: 100 + 80 * seed] = 1
        better = base.copy()
        better[-60:] = 1
        return {"method": Result(better), "pixels": Result(base), "control": Result(base)}

    row = measure(Experiment("E0", "frozen", "Paired.", run, "the same"), range(3))
    assert row["gain"]["pixels"]["mean"] == pytest.approx(0.15) and row["verdict"] == form.HELPS
    assert row["scores"]["pixels"]["max"] - row["scores"]["pixels"]["min"] == pytest.approx(0.4)


@pytest.mark.parametrize("missing", ["method", "control", "pixels"])
def test_a_run_that_lacks_a_contestant_is_refused(missing):
    def run(seed: int) -> dict[str, Result]:
        return {name: answers(0.5, 0) for name in ("method", "pixels", "control") if name != missing}

    with pytest.raises(ValueError, match="gives method, control and a baseline"):
        measure(Experiment("E0", "frozen", "", run, ""), range(3))


def test_an_error_is_told_as_an_error():
    def run(seed: int) -> dict[str, Result]:
        drawn = np.random.default_rng(seed).random(EXAMPLES)
        return {"method": Result(-0.01 * drawn), "uniform": Result(-drawn), "control": Result(-drawn)}

    row = measure(
        Experiment("E3", "kmm", "Sinc.", run, "uniform weights", score="squared error", scale=-1, largest=None),
        range(3),
    )
    assert row["verdict"] == form.HELPS
    line = next(line for line in table.markdown([row], "rows.json").splitlines() if line.startswith("| E3"))
    # The error of the method is small, and the gain is told as a fall of the error.
    assert "(squared error) | 0.00" in line and "uniform -0.4" in line


def test_a_row_takes_the_place_of_the_older_one(tmp_path):
    path = tmp_path / "rows.json"
    for share in (0.5, 0.9):
        table.store(path, measure(experiment(share, {"pixels": 0.5}, 0.5), range(3)))
    (row,) = table.load(path)
    assert row["scores"]["method"]["median"] > 0.8


def test_findings_are_told_by_seed():
    def run(seed: int) -> dict[str, Result]:
        return {
            "method": Result(np.ones(9), findings={"effective sample size": 10.0 + seed}),
            "uniform": Result(np.zeros(9)),
            "control": Result(np.zeros(9)),
        }

    row = measure(Experiment("E3", "kmm", "Sinc.", run, "uniform weights"), range(3))
    assert row["findings"] == {"effective sample size": [10.0, 11.0, 12.0]}
    assert "Found: effective sample size 10, 11, 12." in table.markdown([row], "rows.json")


def test_the_command_measures_stores_and_prints(tmp_path, monkeypatch, capsys):
    found = [experiment(0.9, {"pixels": 0.5}, 0.5), experiment(0.9, {"pixels": 0.5}, 0.5, needs_data=True)]
    monkeypatch.setattr(methods, "experiments", lambda: found)
    monkeypatch.delenv("GRAFT_DATA", raising=False)
    paths = {"--json": tmp_path / "rows.json", "--table": tmp_path / "table.md"}
    assert main(["--only", "frozen", *(str(part) for pair in paths.items() for part in pair)]) == 0
    told = capsys.readouterr()
    assert "frozen: E0: helps" in told.out and "left out; it needs the data folder" in told.err
    assert len(json.loads(paths["--json"].read_text())["rows"]) == 1
    assert "| E0, 3 seeds, 400 test examples |" in paths["--table"].read_text()


def test_too_few_seeds_and_unknown_names_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(methods, "experiments", lambda: [experiment(0.9, {"pixels": 0.5}, 0.5)])
    assert main(["--seeds", "2", "--json", str(tmp_path / "rows.json")]) == 1
    assert "--seeds: received 2" in capsys.readouterr().err
    assert main(["--only", "forzen", "--json", str(tmp_path / "rows.json")]) == 1
    assert "--only: received 'forzen'; allowed: frozen" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
