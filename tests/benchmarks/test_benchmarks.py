"""The benchmarks answer --help, refuse what they cannot measure, and sum up as they say. Not covered: the figures."""

import itertools
import json
import pathlib
import subprocess
import sys

import pytest
import yaml

from benchmarks import accuracy, tfx_chain, transfer
from graft.pipeline import config as configs

TOP = pathlib.Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (TOP / "benchmarks").glob("*.py") if path.stem != "__init__")
PACKAGES = ["methods"]


ASKED = """
import contextlib, io, json, runpy, sys

said = {}
for module in sys.argv[1:]:
    sys.argv = [module, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        try:
            runpy.run_module(f"benchmarks.{module}", run_name="__main__", alter_sys=True)
            code = None
        except SystemExit as end:
            code = end.code
    said[module] = code, stdout.getvalue()
print(json.dumps(said))
"""
"""What `python -m benchmarks.MODULE --help` does, for one module after the other."""


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[int | str | None, str]]:
    """Module -> exit code and text of its --help, of all in one new process."""
    command = [sys.executable, "-c", ASKED, *MODULES, *PACKAGES]
    ended = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("module", [*MODULES, *PACKAGES])
def test_help(helps, module):
    code, text = helps[module]
    assert code == 0
    assert f"benchmarks.{module}" in text


def a_run(features: float, train: float, accuracy: float, cached: bool = False) -> dict:
    stages = [
        {"name": "ingest", "seconds": 9.0, "cached": cached},
        {"name": "features", "seconds": features, "cached": cached},
        {"name": "train", "seconds": train, "cached": False},
    ]
    return {"stages": stages, "metrics": {"accuracy": accuracy, "macro_f1": accuracy - 0.1, "examples": 50}}


def test_plain_seconds_scale_with_the_epochs_after_the_first():
    assert transfer.scaled_seconds([7.0, 2.0, 3.0, 100.0], 10) == 7.0 + 9 * 3.0


def test_plain_seconds_of_all_epochs_are_not_scaled():
    assert transfer.scaled_seconds([7.0, 2.0, 3.0], 3) == 12.0


def test_one_plain_epoch_cannot_be_scaled():
    with pytest.raises(ValueError, match="at least 2"):
        transfer.scaled_seconds([7.0], 20)


def test_transfer_counts_features_and_train_only():
    plain = {"seconds": [30.0, 20.0, 20.0], "setup_seconds": 5.0, "accuracy": 0.1}
    result = transfer.summary([a_run(6.0, 4.0, 0.7), a_run(3.0, 2.0, 0.8)], [plain], 20)
    assert result["graft_seconds"] == {"min": 5.0, "median": 7.5, "max": 10.0}
    assert result["plain_seconds"]["median"] == 30.0 + 19 * 20.0
    assert result["ratio"] == {"min": 41.0, "median": 61.5, "max": 82.0}
    assert result["plain_accuracy"] is None


def test_transfer_tells_the_accuracy_of_a_script_that_ran_to_its_end():
    plain = {"seconds": [3.0, 2.0], "setup_seconds": 5.0, "accuracy": 0.75}
    assert transfer.summary([a_run(1.0, 1.0, 0.7)], [plain], 2)["plain_accuracy"]["median"] == 0.75


def test_chain_ratio_is_graft_over_stock_of_each_repeat():
    result = tfx_chain.summary({"graft": [5.0, 30.0], "stock": [10.0, 20.0]})
    assert result["ratio"] == {"min": 0.5, "median": 1.0, "max": 1.5}


def test_chain_notices_a_second_run_that_was_not_cached(tmp_path):
    log = tmp_path / "log"
    log.write_text('a warning\n{"stages": [{"name": "train", "cached": true}]}\n')
    tfx_chain.check_cached(log)
    log.write_text('a warning\n{"stages": [{"name": "train", "cached": false}]}\n')
    with pytest.raises(RuntimeError, match="train"):
        tfx_chain.check_cached(log)


def test_accuracy_counts_a_seed_that_is_worse_than_the_one_before(monkeypatch, tmp_path):
    """Each seed's model is the baseline of the next, and that gate has a default."""
    commands = []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="{}")

    monkeypatch.setattr(accuracy.subprocess, "run", run)
    accuracy.run_seed("c.yaml", ["train.epochs=3"], tmp_path, 1)
    settings = [part for flag, part in itertools.pairwise(commands[0]) if flag == "--set"]
    raw = {"source": "csv", "path": "p"}
    config = {"name": "x", "data": raw, "backbone": {"handle": "b"}, "gates": {"accuracy": 0.9}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    parsed = configs.load(tmp_path / "c.yaml", settings)
    assert parsed.gates.accuracy is None and parsed.gates.baseline_tolerance is None
    assert (parsed.train.seed, parsed.train.epochs) == (1, 3)


def test_accuracy_leaves_cached_stages_out_of_the_seconds():
    result = accuracy.summary([a_run(6.0, 4.0, 0.7), a_run(0.1, 2.0, 0.8, cached=True)])
    assert result["accuracy"] == {"min": 0.7, "median": 0.75, "max": 0.8}
    assert result["accuracies"] == [0.7, 0.8]
    assert result["stage_seconds"]["features"] == {"min": 6.0, "median": 6.0, "max": 6.0}
    assert result["stage_seconds"]["train"] == {"min": 2.0, "median": 3.0, "max": 4.0}


@pytest.mark.parametrize(
    ("main", "arguments", "reason"),
    [
        (transfer.main, ["--data", "/nowhere"], "data folder"),
        (transfer.main, ["--data", "DATA", "--epochs", "1"], "--epochs at least 2"),
        (tfx_chain.main, ["--repeats", "0"], "--repeats"),
        (accuracy.main, ["config.yaml", "--seeds", "0"], "--seeds"),
    ],
    ids=["no data", "one epoch", "no repeat", "no seed"],
)
def test_refuses_what_cannot_be_measured(main, arguments, reason, tmp_path, capsys):
    (tmp_path / "trashnet").mkdir()
    assert main([str(tmp_path) if argument == "DATA" else argument for argument in arguments]) == 1
    assert reason in capsys.readouterr().err
