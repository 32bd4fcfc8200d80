"""`graft labels` at a terminal, as CSV and for a program; what it refuses."""

import csv
import json

import pytest
import yaml
from label_artifacts import CLASSES, target, write
from metadata_writer import MetadataWriter

from graft.components.labels.findings import findings
from graft.components.labels.gather import gather, labelled
from graft.models.label_review.review import review
from graft.pipeline.cli import main

RUN, EARLY = "20260102-000000-000", "20260103-000000-000"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run with a review, and a later one of another pipeline that ended before it."""
    root = tmp_path_factory.mktemp("runs")
    folders = write(tmp_path_factory.mktemp("artifacts"))
    parts, why = gather(folders["features"], folders["predictions"], folders["examples"], target())
    kept = root / "cars" / "review"
    kept.mkdir(parents=True)
    found = findings(review(labelled(parts), target()), parts, why)
    found["labels"][0] |= {"file": "=cmd|' /C calc'!A0\n.txt"}
    (kept / "labels.json").write_text(json.dumps(found | {"previews": {}}))
    writer = MetadataWriter(root / "cars", "cars")
    writer.execution(RUN, "labels", {"review": writer.artifact("LabelReview", str(kept))})
    writer = MetadataWriter(root / "boats", "boats")
    writer.execution(EARLY, "ingest", {})
    return root


def test_a_person_reads_a_table(root, capsys):
    assert main(["labels", RUN, "--root", str(root), "--top", "3"]) == 0
    shown = capsys.readouterr().out
    assert f"cars, run {RUN}: " in shown and " labels to look at among 60 train, 20 eval, 20 test" in shown
    assert "against" in shown and "2 pairs of near-duplicates: 1 with labels that contradict one another" in shown
    assert "eval/1.txt (eval)" in shown and "A0\\n.txt" in shown


def test_a_spreadsheet_reads_csv_and_takes_nothing_for_a_formula(root, tmp_path, capsys):
    path = tmp_path / "new" / "labels.csv"
    assert main(["labels", RUN, "--root", str(root), "-o", str(path)]) == 0
    assert f"{path}: 100 of 100 labels of run {RUN}" in capsys.readouterr().out
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["file", "split", "label", "given", "suggested"] and len(rows) == 100
    assert rows[0]["file"].startswith("'=cmd") and {row["label"] for row in rows} == {CLASSES[0], f"'{CLASSES[1]}"}
    assert float(rows[0]["probability_of_suggested"]) > float(rows[0]["probability_of_given"])
    assert rows[0]["flagged"] == "yes" and rows[-1]["flagged"] == "no" and float(rows[-1]["score"]) < 0
    near = {row["file"]: (row["nearest_duplicate"], row["its_split"]) for row in rows if row["nearest_duplicate"]}
    assert near["test/0.txt"] == ("train/0.txt", "train") and len(near) == 4


def test_a_program_reads_json(root, tmp_path, capsys, monkeypatch):
    assert main(["labels", "--root", str(root), "--name", "cars", "--top", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == RUN and len(found["labels"]) == 2 and found["near"]["contradicting"] == 1
    monkeypatch.chdir(tmp_path)
    content = {"name": "cars", "root": str(root), "data": {"source": "image_folder", "path": "p"}}
    (tmp_path / "cars.yaml").write_text(yaml.safe_dump(content | {"backbone": {"handle": "b"}}))
    assert main(["labels", "cars.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == RUN, "the latest of the configuration's pipeline"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([EARLY], f"run {EARLY} of boats: it did not come to the end of stage labels"),
        (["nope"], "no run 'nope'; the latest runs are"),
        ([RUN, "--top", "0"], "--top: received 0; allowed: at least 1"),
        ([RUN, "--name", "trains"], "no metadata of trains; `graft run` makes it"),
        ([RUN, "-o", "."], "--output .: is a folder; name a file"),
        (["absent.yaml"], "absent.yaml"),
    ],
)
def test_what_cannot_be_is_one_line(root, capsys, args, said):
    assert main(["labels", *args, "--root", str(root)]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
