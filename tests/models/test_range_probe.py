"""Which of several inputs suits a backbone: each wins once, as few examples as decide are looked at."""

import keras
import numpy as np
import pytest
from small_images import image_file
from small_inputs import pictures

from graft.models import range_probe
from graft.models.backbone import Backbone
from graft.models.range_probe import Example, ahead, bound, judge
from graft.models.targets import label, labels, make_target, numbers

SIDE = 8
RANGES = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]
INPUTS = [pictures((SIDE, SIDE), value_range) for value_range in RANGES]


class Steps(keras.layers.Layer):
    """Whether pixels of two channels are above a value; the third channel as it is, scaled to about 1."""

    def __init__(self, grey: float, scale: float = 1.0):
        super().__init__()
        self.grey, self.scale = grey, scale

    def call(self, images, training=None):
        above = keras.ops.cast(images[..., :2] > self.grey, "float32")
        noise = images[..., 2:] / self.scale
        return keras.ops.reshape(keras.ops.concatenate([above, noise], axis=-1), (-1, SIDE * SIDE * 3))


def backbone(grey: float, scale: float = 1.0) -> Backbone:
    return Backbone(Steps(grey, scale), "steps", "0" * 64, INPUTS[0], SIDE * SIDE * 3)


def shades(number: int) -> list[int]:
    """Middle grey parts the odd ones from the even ones."""
    return [80, 140] if number % 2 == 0 else [116, 176]


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    random, found = np.random.default_rng(0), []
    for number in range(220):
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        pixels[..., :2] = random.integers(*shades(number), (SIDE, SIDE, 2))
        found.append(image_file(pixels))
    return found


def examples(contents, value=lambda number: ("dark", "light")[number % 2]) -> list[Example]:
    return [Example(number // 2 % 5, value(number), content) for number, content in enumerate(contents)]


def label_target():
    return make_target(label.Options())


@pytest.mark.slow
@pytest.mark.parametrize(("grey", "scale", "expected"), [(0.5, 1, 0), (0.0, 1, 1), (127.5, 255, 2)])
def test_each_range_wins_once(contents, grey, scale, expected):
    found = judge(backbone(grey, scale), INPUTS, examples(contents), label_target())
    assert found.best == INPUTS[expected]
    assert found.worse == [input for input in INPUTS if input != found.best]
    assert found.examples == range_probe.LOOKS[0], "that was clear at the first look"
    assert found.judged[expected].scores.mean() > 0.95


@pytest.mark.slow
def test_equal_ones_are_looked_at_to_the_end_and_the_first_is_taken(contents, monkeypatch):
    class Relative(keras.layers.Layer):
        def call(self, images, training=None):
            above = images > keras.ops.mean(images, axis=(1, 2, 3), keepdims=True)
            return keras.ops.reshape(keras.ops.cast(above, "float32"), (-1, SIDE * SIDE * 3))

    body = Backbone(Relative(), "relative", "0" * 64, INPUTS[0], SIDE * SIDE * 3)
    prepared = []

    def prepare(batch):
        prepared.append(batch)
        return INPUTS[0].prepare(batch)

    monkeypatch.setattr(range_probe, "preparer", lambda input: prepare)
    found = judge(body, INPUTS[:2], examples(contents), label_target())
    assert (found.best, found.worse, found.examples) == (INPUTS[0], [], 200)
    once = [content for batch in prepared for content in batch.numpy().tolist()]
    assert once == contents[:200], "each is decoded once for all inputs"


def test_only_those_that_the_network_can_mean_are_compared(contents, monkeypatch):
    monkeypatch.setattr(range_probe, "_frozen", None)
    faulty = {INPUTS[1], INPUTS[2]}
    monkeypatch.setattr(range_probe, "find_fault", lambda body, probes, input: "no" if input in faulty else None)
    found = judge(backbone(0.5), INPUTS, examples(contents), label_target())
    assert (found.best, found.examples) == (INPUTS[0], 0), "nothing is embedded"
    faulty.add(INPUTS[0])
    assert judge(backbone(0.5), INPUTS, examples(contents), label_target()).best is None


@pytest.mark.slow
@pytest.mark.parametrize(("given", "worse"), [(0, True), (1, False)])
def test_about_a_given_one_alone(contents, given, worse):
    found = judge(backbone(0.0), INPUTS, examples(contents), label_target(), INPUTS[given])
    assert (INPUTS[given] in found.worse) == worse
    assert (found.best, found.examples) == (INPUTS[1], range_probe.LOOKS[0])


@pytest.mark.parametrize(
    ("options", "value"),
    [
        (labels.Options(), lambda number: ("even", "all") if number % 2 == 0 else ("all",)),
        (numbers.Options(columns=("shade",)), lambda number: (float(sum(shades(number))),)),
    ],
)
def test_targets_of_all_kinds(contents, options, value):
    found = judge(backbone(0.0), INPUTS[:2], examples(contents, value), make_target(options))
    assert (found.best, found.worse) == (INPUTS[1], [INPUTS[0]])


def test_looks_one_after_the_other_find_a_difference_by_luck_in_at_most_5_percent():
    walks = np.random.default_rng(0).normal(size=(20_000, 200)).cumsum(axis=1)
    for rivals in (1, 2):
        looks = [walks[:, n - 1] / np.sqrt(n) > bound(n / 200, n, rivals) for n in range_probe.LOOKS]
        assert 0.03 < rivals * np.any(looks, axis=0).mean() < 0.055


def test_ahead_is_in_standard_errors():
    others = np.array([1.0, 2.0, 3.0, 6.0])
    assert ahead(np.zeros(4), others) == pytest.approx(3.0 / (others.std(ddof=1) / 2))
    assert ahead(others, others) == 0.0
