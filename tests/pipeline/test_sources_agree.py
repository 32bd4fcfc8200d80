"""One data set as class folders, as a CSV in mixed order and as TFRecord: the same model, the same figures.

One of its classes has a single image, so each run also shows that a class without eval and test images does no harm.
"""

import csv
import json
import pathlib
import random

import numpy as np
import pytest
import tensorflow as tf
from workshop import draw

pytestmark = pytest.mark.slow

CLASSES = {"brick": 24, "grass": 24, "sea": 1}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory) -> dict[str, pathlib.Path]:
    """Source -> path."""
    root, rng = tmp_path_factory.mktemp("kinds"), np.random.default_rng(0)
    for label, count in CLASSES.items():
        (root / "photos" / label).mkdir(parents=True)
        for number in range(count):
            encoded = tf.io.encode_png(draw(label, rng)).numpy()
            (root / "photos" / label / f"{number}.png").write_bytes(encoded)
    paths = sorted(root.glob("photos/*/*.png"))
    random.Random(0).shuffle(paths)
    with (root / "all.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows((path.relative_to(root), path.parent.name) for path in paths)
    with tf.io.TFRecordWriter(str(root / "all.tfrecord")) as records:
        for path in reversed(paths):
            example = tf.train.Example()
            example.features.feature["image"].bytes_list.value.append(path.read_bytes())
            example.features.feature["label"].bytes_list.value.append(path.parent.name.encode())
            records.write(example.SerializeToString())
    return {"image_folder": root / "photos", "csv": root / "all.csv", "tfrecord": root / "all.tfrecord"}


@pytest.fixture(scope="module")
def runs(workshop, kinds, tmp_path_factory) -> dict[str, tuple]:
    """Source -> (workshop, outcome) of a run in a folder of its own."""
    found = {}
    for source, path in kinds.items():
        beside = workshop.beside(tmp_path_factory.mktemp(source))
        keys = {
            "data": {"source": source, "path": str(path), "split": {"eval": 0.25, "test": 0.25}},
            "transfer": {"method": "fine_tune", "unfreeze": 1.0},
            "train.epochs": 2,
            "train.batch_size": 8,
            "gates": {},
        }
        settings = [part for key, value in keys.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        found[source] = beside, beside.again(*settings)
    return found


def test_every_run_passes_and_names_the_class_that_is_not_measured(runs):
    for workshop, outcome in runs.values():
        assert (outcome.code, outcome.value["status"]) == (0, "passed"), outcome.stderr
        ingested = outcome.value["stages"][0]["result"]
        assert ingested.endswith("; 0 rejected; 1 of 3 classes not in every split")
        report = (workshop.folder / outcome.value["report"]).read_text()
        assert "there is no image of sea in eval and test." in report


def test_history_is_the_same(runs):
    histories = []
    for workshop, _ in runs.values():
        (file,) = workshop.artifact("train", "model_run").glob("history.json")
        epochs = json.loads(file.read_text())["epochs"]
        histories.append(np.array([[epoch[key] for key in ("loss", "val_loss", "val_accuracy")] for epoch in epochs]))
    assert len(histories[0]) > 2
    for other in histories[1:]:
        np.testing.assert_allclose(other, histories[0], rtol=1e-4)


def test_figures_are_the_same(runs):
    metrics = [outcome.value["metrics"] for _, outcome in runs.values()]
    for name in ("accuracy", "macro_f1", "calibration_error", "examples"):
        np.testing.assert_allclose([one[name] for one in metrics[1:]], metrics[0][name], rtol=1e-4, err_msg=name)
