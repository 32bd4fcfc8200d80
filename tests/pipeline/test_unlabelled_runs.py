"""Whole runs on a target domain without labels: nothing takes a missing label for one, and all say what was judged."""

import csv
import pathlib

import numpy as np
import pytest
import yaml
from matrix_data import write_pictures
from workshop import SIDE, Workshop, write_backbone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The pictures, of which those of the field have a label in test only and, elsewhere, every fourth time."""
    path = write_pictures(tmp_path_factory.mktemp("unlabelled") / "pictures")
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    for number, row in enumerate(rows):
        split = ("train", "train", "eval", "test")[number // 3 % 4]
        row.append(split)
        if row[-2] == "field" and split != "test" and number % 4:
            row[1:5] = ["", "", "", ""]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[*header, "split"], *rows])
    return path


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return write_backbone(tmp_path_factory.mktemp("unlabelled_backbone") / "backbone")


def run(folder, backbone, data, target, method, gates):
    content = {
        "name": "case",
        "data": data,
        "input": {"kind": "image", "image_size": [SIDE, SIDE], "value_range": [0, 1]},
        "target": target,
        "backbone": {"handle": str(backbone)},
        "transfer": {"method": method, "most_of_one": 1.0},
        "train": {"epochs": 8, "learning_rate": 0.05, "batch_size": 16},
        "gates": gates,
    }
    (folder / "case.yaml").write_text(yaml.safe_dump(content))
    return Workshop(folder, folder / "case.yaml").again()


def test_a_target_with_few_labels_is_judged_on_those(pictures, backbone, tmp_path):
    kind, gates = {"kind": "numbers", "columns": ["light", "count"]}, {"root_mean_squared_error": 1000.0}
    data = {"source": "csv", "path": str(pictures), "domain": {"column": "place", "target": "field"}}
    outcome = run(tmp_path, backbone, data, kind, "coral", gates)
    assert outcome.code == 0, outcome.stderr
    artifacts = tmp_path / "runs/case/artifacts"
    (features,) = (artifacts / "features" / "features").glob("*/Split-train")
    labels, domains = np.load(features / "labels.npy"), np.load(features / "domains.npy")
    without = domains == b"unlabelled"
    assert 10 < without.sum() < 30 and (domains == b"target").sum() > 2
    np.testing.assert_array_equal(np.isnan(labels).all(axis=1), without)
    report = pathlib.Path(tmp_path, outcome.value["report"]).read_text()
    assert "on the target domain" in outcome.stderr + report and "of the source domain: no test" not in report
    assert "domain distance after" in report


def test_without_any_the_source_is_judged_and_all_say_so(pictures, backbone, tmp_path):
    production = tmp_path / "production"
    production.mkdir()
    for number in range(0, 150, 3):
        (production / f"{number}.png").write_bytes((pictures.parent / f"{number:03d}.png").read_bytes())
    rows = [row for row in csv.reader(pictures.open(newline="")) if row[-2] != "field"]
    with (tmp_path / "lab.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [[str(pictures.parent / row[0]) if place else row[0], *row[1:]] for place, row in enumerate(rows)]
        )
    data = {
        "source": "csv",
        "path": str(tmp_path / "lab.csv"),
        "target": {"source": "image_folder", "path": str(production)},
    }
    gates = {"accuracy": 0.3, "negative_transfer": {"seeds": 3, "references": ["raw"], "tolerance": 1.0}}
    outcome = run(tmp_path, backbone, data, {"kind": "label"}, "coral", gates)
    assert outcome.code == 0, outcome.stderr
    report = pathlib.Path(tmp_path, outcome.value["report"]).read_text()
    assert "no test example of the target domain, which the model is for, has a label" in report
    gate = next((tmp_path / "runs/case/artifacts/quality_gate").glob("*/*/gates.json")).read_text()
    assert "on test examples of the source domain, for none of the target domain has a label" in gate
    assert "on the source domain" in outcome.stderr
