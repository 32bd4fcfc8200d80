"""DELTA: its attention against a reference, its limits, and that the published features stay the point of reference."""

import dataclasses

import numpy as np
import pytest
import scipy.special
from sklearn.metrics import log_loss
from test_loop import fit

from graft.models import targets
from graft.models.transfer import delta

pytestmark = pytest.mark.slow

AUGMENT = {"flip": True}


def held(weight: float, **more) -> dict:
    return {"method": "delta", "weight": weight, "epochs": 2, "head_epochs": 2, "learning_rate": 1e-2, **more}


@pytest.mark.parametrize("kind", ["backbone", "hub_backbone"])
def test_weight_0_is_fine_tuning_bit_for_bit(is_fine_tuning, kind):
    is_fine_tuning({"method": "delta", "weight": 0.0}, {"feature_distance"}, kind)


def test_attention_is_the_rise_of_a_solved_heads_loss_without_a_channel(training_input):
    task = training_input.task(held(1.0))
    found = delta.attention(task)
    frozen = training_input.task({"method": "frozen"}, head={"solver": "lbfgs"})
    fit(frozen)
    kernel, bias = (variable.numpy().astype(np.float64) for variable in frozen.head.variables)
    features, labels = np.asarray(task.train.features[:], np.float64), task.train.targets

    def loss(features):
        return log_loss(labels, scipy.special.softmax(features @ kernel + bias, axis=1))

    rises = []
    for channel in range(features.shape[1]):
        without = features.copy()
        without[:, channel] = 0
        rises.append(loss(without) - loss(features))
    shares = np.exp(rises) / np.exp(rises).sum()
    assert found.mean() == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(found, shares * len(shares), rtol=1e-4)


def test_attention_of_every_kind_of_target(training_input):
    """A channel that says it all weighs most."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5)).astype(np.float32)
    told = (features[:, 2] > 0).astype(np.float32)[:, None]
    columns = ("a", "b")
    for options, encoded in (
        ({"kind": "labels"}, np.concatenate([told, 1 - told], 1)),
        ({"kind": "numbers", "columns": columns}, np.concatenate([features[:, 2:3], 3 * features[:, 2:3]], 1)),
    ):
        target = targets.make_target(targets.parse_options(options), columns).fitted(encoded)
        task = training_input.task(held(1.0))
        split = dataclasses.replace(task.train, features=features, targets=encoded)
        vars(task).update(target=target, train=split, eval=split)
        assert delta.attention(task).argmax() == 2


@pytest.mark.parametrize("augment", [AUGMENT, {}], ids=["second network", "held features"])
def test_a_large_weight_keeps_the_features(training_input, augment):
    ended = []
    for weight in (0.0, 1e4):
        history = fit(training_input.task(held(weight, learning_rate=1e-3), augment=augment))
        ended.append(history.epochs[-1]["feature_distance"])
    assert history.findings[0].name == "channels held most"
    assert 0 < ended[1] < 0.1 * ended[0]


def test_both_ways_to_the_published_features_give_the_same(training_input, monkeypatch):
    rows = []
    for bytes_held in (delta.HELD_BYTES, 0):
        monkeypatch.setattr(delta, "HELD_BYTES", bytes_held)
        rows.append(fit(training_input.task(held(1.0))).epochs[-1])
    for name in ("loss", "feature_distance", "val_loss"):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-3)
