"""Two runs or versions side by side: what differs, and what cannot be compared and why."""

import pytest
from runs_for_comparison import CONFIG, EARLY, FIRST, SECOND, Runs

from graft.models.errors import GraftError
from graft.pipeline import compare
from graft.serving.store import open_store


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


def side(root, asked, name=None):
    return compare.find(asked, root, str(root / "store"), name)


def test_two_runs_side_by_side(root):
    runs = Runs(root)
    runs.add(FIRST, wrong=20)
    runs.add(SECOND, wrong=4, config={**CONFIG, "transfer": {"method": "fine_tune", "unfreeze": 0.5}})
    found = compare.compare(side(root, FIRST), side(root, SECOND))
    assert found["config"] == [
        {"key": "transfer.method", "first": "frozen", "second": "fine_tune"},
        {"key": "transfer.unfreeze", "second": 0.5},
    ]
    judged = found["judged"]
    assert judged["test"]["pairing"] == "paired" and found["notes"] == []
    difference = judged["figures"]["accuracy"]["difference"]
    assert difference["value"] == pytest.approx(16 / 60) and difference["distinguishable"]
    assert set(judged["parts"]) == {"cat", "dog"}
    assert set(found["stages"]) == {"ingest", "predict"} and not found["stages"]["predict"]["first"]["cached"]
    same = compare.compare(side(root, FIRST), side(root, FIRST))
    assert same["config"] == [] and "same answers" in same["judged"]["statement"]


def test_another_test_split_is_said(root):
    runs = Runs(root)
    runs.add(FIRST, wrong=20)
    runs.add(SECOND, wrong=20, begin=1000)
    judged = compare.compare(side(root, FIRST), side(root, SECOND))["judged"]
    assert judged["test"] == {"first": 60, "second": 60, "common": 0, "relabelled": 0, "pairing": "unpaired"}


def test_what_cannot_be_compared_is_said_and_hides_nothing_else(root):
    runs = Runs(root)
    runs.add(FIRST, wrong=20)
    runs.add(SECOND, wrong=None, config=None)
    found = compare.compare(side(root, FIRST), side(root, SECOND))
    assert found["judged"] is None and found["config"] is None
    assert f"{SECOND}: it ended (failed) before its test split was judged" in " ".join(found["notes"])
    assert f"that of {SECOND} was not kept" in " ".join(found["notes"])
    assert found["stages"]["train"] == {"first": None, "second": {"seconds": pytest.approx(0, abs=9), "cached": False}}
    (runs.folder / "runs" / EARLY).mkdir()
    early = compare.compare(side(root, EARLY), side(root, FIRST))
    assert "before its first stage" in " ".join(early["notes"]) and early["first"]["status"] == ""


def test_answers_that_are_damaged_or_gone_cost_one_part(root):
    runs = Runs(root)
    runs.add(FIRST, wrong=20)
    kept = runs.add(SECOND, wrong=20) / "predictions.npz"
    kept.write_bytes(b"PK cut")
    assert "damaged or cut" in " ".join(compare.compare(side(root, FIRST), side(root, SECOND))["notes"])
    kept.unlink()
    found = compare.compare(side(root, FIRST), side(root, SECOND))
    assert "missing" in " ".join(found["notes"]) and found["judged"] is None and found["config"] == []


def test_runs_of_different_pipelines_and_targets(root):
    Runs(root).add(FIRST, wrong=20)
    Runs(root, "sizes").add(SECOND, wrong=20, kind="numbers", config={**CONFIG, "name": "sizes"})
    found = compare.compare(side(root, FIRST), side(root, f"sizes/{SECOND}"))
    assert found["notes"][0] == "They are of different pipelines, pets and sizes."
    assert "answers label, the second numbers" in found["notes"][1]
    assert found["config"] == [{"key": "name", "first": "pets", "second": "sizes"}]


def test_unknown_and_ambiguous_names(root):
    Runs(root).add(FIRST, wrong=20)
    Runs(root, "birds").add(FIRST, wrong=20)
    with pytest.raises(GraftError, match=rf"nope: no such run below .*; the latest are birds: {FIRST}; pets: {FIRST}"):
        side(root, "nope")
    with pytest.raises(GraftError, match=r"several pipelines \(birds, pets\); write PIPELINE/"):
        side(root, FIRST)
    assert side(root, FIRST, "pets").pipeline == side(root, f"pets/{FIRST}").pipeline == "pets"


def test_versions_of_a_store(root, tmp_path):
    runs = Runs(root)
    for run, wrong in ((FIRST, 20), (SECOND, 4)):
        runs.add(run, wrong=wrong)
    store = open_store(root / "store")
    for run in (FIRST, SECOND, "20250101-000000-000"):
        model = tmp_path / run
        model.mkdir()
        (model / "saved_model.pb").write_bytes(run.encode())
        store.push("pets", model, {"run_id": run, "config": CONFIG, "metrics": {"accuracy": 0.5}})
    found = compare.compare(side(root, "1"), side(root, "pets/2"))
    assert [found[name]["version"] for name in ("first", "second")] == [1, 2]
    assert found["judged"]["figures"]["accuracy"]["difference"]["value"] == pytest.approx(16 / 60)
    far = compare.compare(side(root, "1"), side(root, "3"))
    assert far["judged"] is None and far["config"] == [] and far["second"]["metrics"] == {"accuracy": 0.5}
    assert "3: its run 20250101-000000-000 is not below" in " ".join(far["notes"])
    with pytest.raises(GraftError, match=r"9: no such version in .*; the latest are pets: 1, 2, 3"):
        side(root, "9")
