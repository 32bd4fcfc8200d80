"""A setting trains with Graft's own code, and a seed decides all but the test examples."""

import numpy as np
import pytest

from benchmarks.methods import digits
from benchmarks.methods import setting as settings
from benchmarks.methods.setting import features

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backbone():
    return digits.backbone(digits.RAW, 0, steps=30)


def setting(backbone, seed: int, two: bool = False):
    rng = np.random.default_rng(seed)
    images, labels = digits.dealt()["pool"]
    train, held_out = digits.draw(labels, (4, 3), rng)
    rows = {name: digits.pictures(images[part], labels[part]) for name, part in (("train", train), ("eval", held_out))}
    rows["test"] = digits.pictures(*(part[:80] for part in digits.dealt()["test"]))
    if two:
        rows["source"] = digits.pictures(*(part[:30] for part in digits.dealt()["source"]))
    return digits.setting(backbone, rows, seed, digits.RAW, train={"epochs": 2})


def test_a_frozen_backbone_beats_chance_and_repeats_itself(backbone):
    first, again = (setting(backbone, 1).transferred({"method": "frozen"}) for _ in range(2))
    np.testing.assert_array_equal(first.scores, again.scores)
    assert first.scores.shape == (80,) and first.scores.mean() > 0.4


def test_a_network_from_scratch_takes_as_many_epochs_as_the_longest_contestant(backbone, monkeypatch):
    monkeypatch.setattr(settings, "SCRATCH_STEPS", 1)
    task = setting(backbone, 1)
    moved = task.transferred({"method": "fine_tune", "epochs": 3, "learning_rate": 1e-3})
    steps = moved.steps // 3
    assert task.scratch().steps == 5 * steps  # two epochs of a head that is trained, and three
    assert setting(backbone, 1).scratch().steps == 2 * steps
    monkeypatch.setattr(settings, "SCRATCH_STEPS", 5 * steps - 1)
    assert setting(backbone, 1).scratch().steps == 5 * steps  # rounded up to whole epochs


def test_pixels_need_no_backbone(backbone):
    other = digits.backbone(digits.RAW, 0, shuffled=True, steps=1)
    np.testing.assert_array_equal(setting(backbone, 1).raw().scores, setting(other, 1).raw().scores)


def test_joint_learns_from_rows_of_a_source_domain(backbone):
    joint = setting(backbone, 1, two=True).transferred({"method": "joint"})
    alone = setting(backbone, 1).transferred({"method": "frozen"})
    assert joint.scores.mean() > alone.scores.mean()  # the source's digits are more of the same


def test_features_are_those_of_the_published_backbone(backbone):
    images, labels = (part[:5] for part in digits.dealt()["test"])
    rows = digits.pictures(images, labels)
    held = features(backbone, rows, {"image_size": [8, 8], "value_range": [0, 1]})
    assert held.shape == (5, 64) and np.ptp(held, axis=0).max() > 0


def test_the_digits_are_dealt_once():
    parts = [{image.tobytes() for image in images} for images, _ in digits.dealt().values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) and [len(part) for part in parts][:2] == [900, 500]


def test_drawn_rows_are_disjoint_and_balanced():
    labels = np.repeat(np.arange(3), 9)
    first, second = digits.draw(labels, (4, 5), np.random.default_rng(0))
    assert not set(first) & set(second) and np.bincount(labels[first]).tolist() == [4] * 3
    with pytest.raises(ValueError, match="class 0 has 9 examples; 10 are asked for"):
        digits.draw(labels, (4, 6), np.random.default_rng(0))
