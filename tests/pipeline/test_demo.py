"""The demo: its data, its source backbone, and its whole course."""

import contextlib
import copy
import csv
import io
import json
import pathlib

import numpy as np
import pytest
from PIL import Image
from small_inputs import pictures

from graft.models.errors import GraftError
from graft.pipeline import cli
from graft.pipeline.demo import data, story

LABELS = 20
DRAWN = (1, story.CLAIMED)
"""Labels a class in the curve of the demo that is run here; half of the points, as each takes nine trainings."""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """`graft demo --json` with two points of its curve: exit status, JSON, standard error."""
    stdout, stderr = io.StringIO(), io.StringIO()
    root = tmp_path_factory.mktemp("demo")
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.setattr(story, "LABELS", DRAWN)
        code = cli.main(["demo", "--seeds", "3", "--json", "--root", str(root)])
    assert stdout.getvalue().count("\n") == 1, stderr.getvalue()
    return code, json.loads(stdout.getvalue()), stderr.getvalue()


@pytest.fixture
def value():
    """What the demo reports when all goes as it should, as far as the verdict reads it."""
    pushed = {"status": "passed", "model_version": 1, "reason": ""}
    gates = [{"name": "accuracy", "passed": True}, {"name": "negative_transfer", "passed": False}]
    gains = {"scratch": {"mean": 0.1, "low": 0.02, "high": 0.2}, "raw_linear_head": {"low": 0.05, "high": 0.3}}
    points = [{"labels": labels, "gains": {"transfer": copy.deepcopy(gains)}} for labels in story.LABELS]
    return {
        "mnist": {"curve": {"points": points}},
        "runs": {"mnist": pushed, "raw": {"gates": gates}},
        "predictions": [{"label": "5", "truth": "5", "probabilities": {"5": 0.9, "6": 0.1}}],
    }


def test_a_digit_is_placed_whole_and_inside_the_canvas():
    digits = np.ones((200, data.DIGIT_SIDE, data.DIGIT_SIDE))
    placed = data.place(digits, data.CANVAS_SIDE, np.random.default_rng(0))
    assert placed.shape == (200, data.CANVAS_SIDE, data.CANVAS_SIDE) and placed.dtype == np.float32
    assert placed.min() >= 0 and placed.max() <= 1
    corners = set()
    for image in placed:
        # Ink of 1 with noise of 0.15 stays above 0.5 within 3 standard deviations, noise alone below.
        rows, columns = np.flatnonzero((image > 0.5).sum(1) >= 6), np.flatnonzero((image > 0.5).sum(0) >= 6)
        assert len(rows) == len(columns) == data.DIGIT_SIDE
        corners.add((rows[0], columns[0]))
    assert corners == {(top, left) for top in range(5) for left in range(5)}


def test_a_canvas_of_the_digits_own_size_changes_nothing():
    digits = np.random.default_rng(0).random((3, data.DIGIT_SIDE, data.DIGIT_SIDE))
    np.testing.assert_array_equal(data.place(digits, data.DIGIT_SIDE, np.random.default_rng(0)), digits.astype("f4"))


def test_target_splits_are_disjoint_and_complete():
    splits = data.target_images(data.DIGIT_SIDE, LABELS, seed=0)
    digits = {name: {image.tobytes() for image in images.pixels} for name, images in splits.items()}
    assert not digits["train"] & digits["eval"] and not (digits["train"] | digits["eval"]) & digits["test"]
    assert sum(len(found) for found in digits.values()) == sum(len(images.labels) for images in splits.values()) == 896
    assert np.bincount(splits["train"].labels).tolist() == [0] * 5 + [LABELS] * 5
    assert np.bincount(splits["eval"].labels).tolist() == [0] * 5 + [data.EVAL_PER_CLASS] * 5


def test_source_digits_are_of_other_classes_and_held_out_ones_are_not_learned():
    train, held_out = data.source_images(data.DIGIT_SIDE, 3, seed=0)
    assert set(train.labels) == set(held_out.labels) == set(data.SOURCE_CLASSES)
    learned = {image.tobytes() for image in train.pixels}
    assert len(learned) * 3 == len(train.labels)
    assert not learned & {image.tobytes() for image in held_out.pixels}


def test_the_seed_decides_the_images():
    first, again, other = (data.target_images(data.CANVAS_SIDE, LABELS, seed)["test"].pixels for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_files_are_what_the_csv_says(tmp_path):
    splits = data.target_images(data.CANVAS_SIDE, 1, seed=0)
    path = data.write_images(splits, tmp_path / "images")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(list(path.parent.rglob("*.png"))) == 896
    train = [row for row in rows if row["split"] == "train"]
    assert [row["label"] for row in train] == [str(label) for label in splits["train"].labels]
    for row, pixels in zip(train, splits["train"].pixels, strict=True):
        with Image.open(path.parent / row["path"]) as image:
            assert image.mode == "L"
            np.testing.assert_allclose(np.asarray(image) / 255, pixels, atol=0.5 / 255 + 1e-6)


def test_mnist_is_dealt_into_disjoint_splits_of_other_classes_than_the_source():
    splits = data.mnist_target(0)
    train, held_out = data.mnist_source(1, 0)
    assert [len(part.labels) for part in splits.values()] == [250, 250, 2000]
    seen = [image.tobytes() for part in splits.values() for image in part.pixels]
    assert len(set(seen)) == 2500 and set(splits["train"].labels) == set(data.TARGET_CLASSES)
    assert set(train.labels) == set(held_out.labels) == set(data.SOURCE_CLASSES) and len(held_out.labels) == 500
    assert splits["test"].pixels.shape[1:] == (28, 28) and splits["test"].pixels.max() == 1.0


def test_a_varied_digit_is_the_digit_turned_and_shifted():
    images = np.zeros((50, 28, 28), np.float32)
    images[:, 10:18, 10:18] = 1
    varied = data.vary(images, np.random.default_rng(0))
    assert varied.dtype == np.float32 and varied.min() >= 0 and varied.max() <= 1
    # Nothing is lost at the edges, and the middle moves by the shift.
    np.testing.assert_allclose(varied.sum((1, 2)), 64, rtol=0.02)
    rows, columns = ((varied * place).sum((1, 2)) / varied.sum((1, 2)) - 13.5 for place in np.mgrid[:28, :28])
    assert np.abs(rows).max() <= 3.1 and np.ptp(rows) > 4 and np.ptp(columns) > 4


@pytest.mark.slow
def test_the_source_backbone_learns_its_task_and_loads(tmp_path):
    from graft.models.backbone import check_backbone, load_backbone
    from graft.pipeline.demo import source

    train, held_out = data.source_images(data.DIGIT_SIDE, 1, seed=0)
    _, untrained = source.train_source(train, held_out, 1, seed=0)
    network, accuracy = source.train_source(train, held_out, 200, seed=0)
    assert accuracy > 0.9 and accuracy > untrained
    source.publish(network, tmp_path / "backbone")
    backbone = load_backbone(str(tmp_path / "backbone"), pictures((8, 8), (0.0, 1.0)))
    check_backbone(backbone)
    assert backbone.feature_dim == source.FEATURES
    images = np.repeat(held_out.pixels[:4, ..., None], 3, axis=3)
    np.testing.assert_allclose(backbone(images, training=False), network(images, training=False), atol=1e-5)


def test_the_verdict_is_good_only_if_everything_went_as_told(value):
    assert story.deviations(value) == []

    def gain(value, name):
        (point,) = (point for point in value["mnist"]["curve"]["points"] if point["labels"] == story.CLAIMED)
        return point["gains"]["transfer"][name]

    otherwise = {
        "accuracy": lambda v: v["runs"]["mnist"].update(status="gate_closed", model_version=None, reason="accuracy"),
        "no version": lambda v: v["runs"]["mnist"].update(model_version=None),
        "answer": lambda v: v.update(predictions=[]),
        "gain over scratch begins at -0.010": lambda v: gain(v, "scratch").update(low=-0.01),
        "gain over raw_linear_head begins at +0.000": lambda v: gain(v, "raw_linear_head").update(low=0.0),
        "closed: none": lambda v: v["runs"]["raw"]["gates"][1].update(passed=True),
        "closed: accuracy, negative_transfer": lambda v: v["runs"]["raw"]["gates"][0].update(passed=False),
    }
    for words, change in otherwise.items():
        changed = copy.deepcopy(value)
        change(changed)
        (reason,) = story.deviations(changed)
        assert words in reason


@pytest.mark.parametrize("seeds", [2, 21])
def test_a_number_of_seeds_out_of_range_is_refused(tmp_path, seeds):
    with pytest.raises(GraftError, match=f"--seeds: received {seeds}; allowed: 3 to 20"):
        story.demo(tmp_path, seeds, as_json=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_transfer_helps_with_few_labels(told):
    code, value, stderr = told
    assert code == 0, stderr
    assert value["status"] == "passed" and value["reasons"] == []
    curve = value["mnist"]["curve"]
    assert [point["labels"] for point in curve["points"]] == list(DRAWN)
    results = {point["labels"]: point["results"] for point in curve["points"]}
    for reference in ("scratch", "raw_linear_head"):
        assert results[story.CLAIMED]["transfer"]["median"] > results[story.CLAIMED][reference]["median"]
    assert pathlib.Path(value["mnist"]["picture"]).read_bytes().startswith(b"\x89PNG")
    report = pathlib.Path(value["runs"]["mnist"]["report"]).read_text()
    assert all(curve["statements"][0] in told for told in (story.describe(value), report))


@pytest.mark.slow
def test_the_pushed_model_answers(told):
    _, value, _ = told
    assert value["runs"]["mnist"]["model_version"] == 1
    assert len(value["predictions"]) == 10
    assert all(abs(sum(p["probabilities"].values()) - 1) < 1e-4 for p in value["predictions"])


@pytest.mark.slow
def test_the_gate_closes_on_the_raw_digits(told):
    _, value, _ = told
    raw = value["runs"]["raw"]
    assert raw["status"] == "gate_closed" and raw["model_version"] is None
    assert [gate["name"] for gate in raw["gates"] if not gate["passed"]] == ["negative_transfer"]
    assert value["raw"]["gap"][value["raw"]["best_reference"]]["interval"][0] > 0
    assert value["raw"]["statement"] in story.describe(value)
