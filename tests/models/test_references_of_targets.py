"""The negative-transfer gate over other targets than one label: their scores, their words, open and closed."""

import dataclasses

import numpy as np
import pytest

from graft.components.quality_gate import rules
from graft.models import references
from graft.models.inputs import make_input
from graft.models.targets import make_target, parse_options

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def comparison(training_input):
    """comparison(kind, noise) -> the task with targets made of each image's own colours; noise: features say nothing.

    Of the three classes of pictures one is red, and two are no blue ones: these are the labels. The numbers are means.
    """
    whole = training_input.comparison(head={"solver": "auto"})

    def make(kind: str, noise: bool) -> references.Comparison:
        options = {"kind": kind} | ({"columns": ["light", "red"]} if kind == "numbers" else {})
        target = make_target(parse_options(options), ["light", "red"])
        splits = {}
        for name in ("train", "eval", "test"):
            split = getattr(whole, name)
            light = make_input(whole.settings.input).plain({name: training_input.images[name]}, "test")[name]
            means = light.reshape(len(light), -1, 3).mean(axis=1)
            values = np.stack([means.mean(axis=1), means[:, 0]], axis=1).astype(np.float32)
            if kind == "labels":
                values = np.stack([split.targets > 0, split.targets > 1], axis=1).astype(np.float32)
            features = values @ np.random.default_rng(0).normal(size=(2, split.features.shape[1]))
            if noise:
                features = np.random.default_rng(len(values)).normal(size=split.features.shape)
            splits[name] = dataclasses.replace(split, features=features.astype(np.float32), targets=values)
        return dataclasses.replace(whole, target=target, **splits)

    return make


@pytest.mark.parametrize(
    ("kind", "words"),
    [("labels", "lost mean F1 of an example"), ("numbers", "mean absolute error, in standard deviations")],
)
def test_features_that_say_all_leave_the_gate_open_and_noise_closes_it(kind, words, comparison):
    for noise in (False, True):
        found = references.negative_transfer(comparison(kind, noise), [0, 1, 2], ["raw"])
        (gate,) = rules.negative_transfer({"negative_transfer": found}, {"negative_transfer": {"tolerance": 0.0}})
        assert gate.passed is not noise, found["statement"]
        assert f" in {words} (interval " in gate.detail
        assert (found["beyond_luck"] > 0.1) is noise
