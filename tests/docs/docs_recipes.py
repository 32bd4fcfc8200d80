"""What the extended house (`docs_house`) is put through; run there, as a process: `python -m docs_recipes quick`.

Prints the name of each part that holds; the first that does not raises.
"""

import contextlib
import csv
import io
import json
import os
import pathlib
import shutil
import sys
import urllib.request
import zipfile

SIZE = 6
ROWS = {
    "name": "rows",
    "data": {"source": "csv", "path": "rows.csv", "split": {"eval": 0.25, "test": 0.25}},
    "input": {"kind": "vector", "size": SIZE},
    "target": {"kind": "counts", "columns": ["events"]},
    "backbone": {"handle": "network.keras"},
    "transfer": {"method": "feature_norm", "epochs": 3, "learning_rate": 0.01, "weight": 0.1},
    "gates": {"deviance": 2.0, "examples_per_second": 1e-6},
}


def settings() -> None:
    """Every kind is parsed by the configuration, and wrong values are refused with its keys."""
    from graft.pipeline import config, config_schema, reference, sections

    parsed = config.parse({**ROWS, "alerts": {"mail": "a@example.com"}}, "rows.yaml")
    kinds = [type(section).__module__ for section in (parsed.input, parsed.target, parsed.transfer)]
    assert kinds == ["graft.models.inputs.vector", "graft.models.targets.counts", "graft.models.transfer.feature_norm"]
    assert parsed.gates.deviance == 2.0 and parsed.gates.examples_per_second == 1e-6
    from graft.monitoring.alerts import Alerts

    assert sections.section(parsed, "alerts", Alerts).mail == "a@example.com"
    assert "alerts" not in parsed.of_the_run()
    wrong = [
        ("input", {"kind": "vector", "size": 0}, "input.size"),
        ("input", {"kind": "vektor"}, "did you mean 'vector'"),
        ("target", {"kind": "counts", "columns": []}, "target.columns"),
        ("transfer", {"method": "feature_norm", "weight": -1}, "transfer.weight"),
        ("gates", {"deviance": 0}, "gates.deviance"),
        ("alerts", {"male": "x"}, "did you mean 'mail'"),
    ]
    for key, section, told in wrong:
        try:
            config.parse({**ROWS, key: section}, "rows.yaml")
        except config.ConfigError as error:
            assert told in str(error), (told, str(error))
        else:
            raise AssertionError(f"{key}: {section} was taken")
    import jsonschema

    editors = jsonschema.Draft202012Validator(config_schema.config_schema())
    editors.validate(ROWS)
    assert not editors.is_valid({**ROWS, "transfer": {"method": "feature_norm", "wait": 1}})
    page = reference.config_reference()
    for text in (
        "input: kind: vector",
        "target.columns",
        "transfer: method: feature_norm",
        "`zip`",
        "## alerts",
        "deviance",
    ):
        assert text in page, f"the reference page lacks {text}"


def source() -> None:
    """The archive is listed, read and counted; what is too large or no archive is told."""
    from ingest_request import request

    from graft.components.ingest.preflight import check_source
    from graft.components.ingest.reasons import Reason
    from graft.components.ingest.sources import base
    from graft.models.errors import GraftError

    path = pathlib.Path("photos.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for label in ("daisy", "rose"):
            for number in range(10):
                archive.writestr(f"{label}/{number}.png", b"x" * (number + 1))
    asked = request(source="zip", path=str(path), input={"max_bytes": 9})
    assert check_source(asked).classes == {"daisy": 10, "rose": 10}
    items = [item for chunk in base.load(asked, str(path)).chunks() for item in chunk.read()]
    assert [len(item.content) for item in items] == [*range(1, 10), 0] * 2
    assert [item.about.value for item in items] == [("daisy",)] * 10 + [("rose",)] * 10
    assert [item.reason for item in items].count(Reason.TOO_LARGE) == 2
    path.write_bytes(b"no archive")
    try:
        check_source(asked)
    except GraftError as error:
        assert "needs a zip archive" in str(error)
    else:
        raise AssertionError("a file that is no archive was taken")


def entering() -> None:
    """Rows and counts that may enter, and the reasons of those that may not."""
    from graft.models import inputs, targets
    from graft.models.inputs.base import Refused

    row = inputs.make_input(inputs.parse_options({"kind": "vector", "size": 3}))
    count = targets.make_target(targets.parse_options({"kind": "counts", "columns": ["n"]}))
    assert row.admit(b"1,2.5,-3e2") == {} and row.verify([b"1,2,3"], [{}]) == [b"1,2,3"]
    assert count.parse({"n": "3"}) == (3.0,)
    assert row.watcher()(b"1,2,6") == {"mean": 3.0, "largest": 6.0, "readable": "yes"}
    assert row.watcher()(b"1,2") == {"mean": None, "largest": None, "readable": "no"}
    assert row.plain({"a": [b"1,2,3", b"4,5,6"]}, "x")["a"].tolist() == [[1, 2, 3], [4, 5, 6]]
    wrong = [(row.admit, content) for content in (b"1,2", b"1,2,nan", b"1,2,x", b"", b"\xff,1,2", b"0" * 200_000)]
    wrong += [(count.parse, {"n": value}) for value in ("-1", "0.5", "many", "", None)]
    for take, value in wrong:
        try:
            take(value)
        except Refused as refused:
            assert refused.reason in {**row.REASONS, **count.REASONS}
        else:
            raise AssertionError(f"{value!r} was taken")


def gate() -> None:
    """Each gate is absent without its key, open at its limit and closed beyond."""
    import numpy as np

    from graft.components.quality_gate import rules
    from graft.models import targets

    kind = targets.parse_options({"kind": "counts", "columns": ["n"]})
    target = targets.make_target(kind, ["n"], {"mean": [2.0], "std": [1.0]})
    truth = np.array([[1], [2], [3]], np.float32)
    figures = target.figures(truth, truth + 0.5)
    by_hand = 2 * np.mean(truth * np.log(truth / (truth + 0.5)) + 0.5)
    assert abs(figures["deviance"] - by_hand) < 1e-6
    assert target.figures(truth, truth)["deviance"] == 0
    measured = {"candidate": figures, "slices": {}, "model_size_mb": 1.0, "examples_per_second": 20.0}
    held = {"deviance": figures["deviance"], "examples_per_second": 20.0}
    missed = {"deviance": figures["deviance"] / 2, "examples_per_second": 21.0}
    for limits, expected in ((held, [True, True]), (missed, [False, False]), ({}, [])):
        gates = {gate.name: gate.passed for gate in rules.judge(target, measured, limits)}
        assert [gates[name] for name in held if name in gates] == expected, (limits, gates)


def packages() -> None:
    """A method and a kind of handle of other packages; a wrong name of either is told."""
    from graft.models import handles
    from graft.models.errors import GraftError
    from graft.pipeline import config, reference

    method = {"method": "blurred", "copies": 2}
    parsed = config.parse({**ROWS, "transfer": method, "backbone": {"handle": "leaf:small"}}, "rows.yaml")
    assert type(parsed.transfer).__module__ == "blurred_heads" and parsed.transfer.copies == 2
    assert "transfer: method: blurred" in reference.config_reference()
    assert [handle for handle, _ in handles.every()] == ["leaf:small"]
    for handle, told in (("leaf:smal", "did you mean 'small'"), ("leave:small", "did you mean 'leaf:'")):
        try:
            handles.placed(handle)
        except GraftError as error:
            assert told in str(error), error
        else:
            raise AssertionError(f"{handle} was taken")


def tracker() -> None:
    """The diary has a line of a run, is silent where nobody asks for it, and refuses a place that is none."""
    from graft.models.errors import GraftError
    from graft.pipeline import config, trackers
    from graft.pipeline.result import RunResult

    parsed = config.parse(ROWS, "rows.yaml")
    run = trackers.Followed(parsed, RunResult("r", status="passed", metrics={"n": 1}), pathlib.Path(), None, {}, list)
    trackers.follow(run, [])
    os.environ["GRAFT_DIARY"] = "absent/diary.txt"
    try:
        trackers.opened(parsed).check()
    except GraftError as error:
        assert "absent is not there" in str(error), error
    else:
        raise AssertionError("it was taken")
    os.environ["GRAFT_DIARY"] = "diary.txt"
    trackers.follow(run, [])
    del os.environ["GRAFT_DIARY"]
    assert pathlib.Path("diary.txt").read_text() == "r passed {'n': 1.0}\n" and not run.result.warnings


def light() -> None:
    """All that came before did not need TensorFlow."""
    assert "tensorflow" not in sys.modules and "keras" not in sys.modules


def network() -> None:
    """A small backbone on rows, and rows whose counts hang on it; a few are of no use."""
    import keras
    import numpy as np

    rng = np.random.default_rng(3)
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((SIZE,)), keras.layers.Dense(16, activation="tanh")])
    model.save("network.keras")
    rows = rng.normal(0, 1, (240, SIZE)).round(4)
    counts = rng.poisson(np.exp(0.8 + 0.6 * rows[:, 0] - 0.4 * rows[:, 1]))
    with pathlib.Path("rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "events"))
        writer.writerows((",".join(map(str, row)), count) for row, count in zip(rows, counts, strict=True))
        writer.writerow(("1,2,3", 1))
        writer.writerow((",".join("1" * SIZE), -1))


def graft(*arguments: str) -> tuple[int, dict]:
    """Runs a command in this process; exit code and JSON."""
    from graft.pipeline import cli

    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = cli.main([*arguments, "--json"])
    if not stdout.getvalue():
        raise AssertionError(stderr.getvalue())
    return code, {"stderr": stderr.getvalue(), **json.loads(stdout.getvalue())}


def pipeline() -> None:
    """The run passes: the new stage told its line, the new losses and figures are there, bad rows are told of."""
    pathlib.Path("rows.yaml").write_text(json.dumps({**ROWS, "data": {**ROWS["data"], "max_rejected": 0.1}}))
    code, result = graft("run", "rows.yaml")
    assert code == 0, result
    stages = [stage["name"] for stage in result["stages"]]
    assert stages.index("predict") < stages.index("variety") < stages.index("push")
    assert result["metrics"]["deviance"] < 2.0
    artifacts = pathlib.Path("runs/rows/artifacts")
    [history] = artifacts.glob("train/model_run/*/history.json")
    epochs = json.loads(history.read_text())["epochs"]
    moved = [epoch["norm_distance"] for epoch in epochs if epoch["phase"] == "feature_norm"]
    assert moved and moved[-1] > 0
    rejected = next(artifacts.glob("ingest/rejected/*/rejected.jsonl")).read_text().splitlines()
    assert sorted(json.loads(line)["reason"] for line in rejected) == ["bad_label", "not_numbers"]
    report = pathlib.Path(result["report"]).read_text()
    assert "deviance" in report and "different_answers" in report and "Variety of answers" in report


def served() -> None:
    """A server answers rows of text with expected counts, and the observer shows its slowest request."""
    import numpy as np

    from graft.serving import observers
    from graft.serving.client import Client
    from graft.serving.server import EmbeddedServer

    rows = np.array([b"1,0,0,0,0,0", b"-1,0,0,0,0,0"], dtype=object)
    watching = observers.load(["slowest"])
    with EmbeddedServer("runs/store", observers=watching) as server:
        with Client(server.grpc_address, "rows") as client:
            answer = client.predict({"row": rows})
        with urllib.request.urlopen(f"{server.rest_address}/monitoring/slowest", timeout=30) as page:
            slowest = json.loads(page.read())
    values = answer["values"][:, 0]
    assert values[0] > values[1] > 0, values
    assert slowest["rows"]["code"] == "OK" and slowest["rows"]["transport"] == "grpc" and slowest["rows"]["seconds"] > 0


def stopped() -> None:
    """A limit of the new target closes the gate of the next run."""
    code, result = graft("run", "rows.yaml", "--set", "gates.deviance=0.0001")
    assert code == 1 and "deviance is" in result["reason"], result


def foreign() -> None:
    """A run with the method of one package and the backbone of another, which is known by its content."""
    from graft.models.hashing import hash_file

    pathlib.Path("zoo").mkdir()
    shutil.copy("network.keras", "zoo/small.keras")
    os.environ["LEAF_ZOO"] = "zoo"
    given = {"name": "foreign", "backbone": {"handle": "leaf:small"}, "transfer": {"method": "blurred"}}
    pathlib.Path("foreign.yaml").write_text(
        json.dumps({**ROWS, "data": {**ROWS["data"], "max_rejected": 0.1}, **given})
    )
    code, found = graft("backbone", "check", "foreign.yaml")
    assert code == 0 and found["sha256"] == hash_file(pathlib.Path("network.keras")) and found["feature_dim"] == 16
    code, result = graft("run", "foreign.yaml")
    assert code == 0, result
    [made] = pathlib.Path("runs/foreign/artifacts/features/features").glob("*/backbone.json")
    assert json.loads(made.read_text())["identity"] == found["sha256"]


QUICK = {part.__name__: part for part in (settings, source, entering, gate, packages, tracker, light)}
SLOW = {part.__name__: part for part in (network, pipeline, served, stopped, foreign)}

if __name__ == "__main__":
    for name, part in {"quick": QUICK, "slow": SLOW}[sys.argv[1]].items():
        part()
        print(name, flush=True)
