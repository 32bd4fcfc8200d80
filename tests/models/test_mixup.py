"""Mixtures of two examples, their loss, and shares that do not depend on when a run began."""

import numpy as np
import pytest
import tensorflow as tf

from graft.models import targets
from graft.models.arrays import ArraySplit
from graft.models.mixup import Shares, mixed
from graft.models.objectives import labelled, supervised

COUNT = 10


def shares(alpha: float = 0.4) -> Shares:
    inputs = np.arange(COUNT * 3, dtype=np.float32).reshape(COUNT, 3)
    return Shares(ArraySplit(inputs, {"targets": np.arange(COUNT)}, 4), alpha)


def drawn(first: int, last: int, seed: int = 5) -> list[np.ndarray]:
    """The shares of each epoch."""
    return [np.concatenate([chunk["share"] for chunk in chunks]) for chunks in shares().shuffled(first, last, seed)]


def test_shares_are_a_function_of_seed_and_epoch():
    whole = drawn(0, 4)
    assert all(len(epoch) == COUNT for epoch in whole)
    np.testing.assert_array_equal(np.stack(whole[2:]), np.stack(drawn(2, 4)))
    assert len({epoch.tobytes() for epoch in [*whole, *drawn(0, 4, seed=6)]}) == 8


def test_shares_follow_the_beta_distribution():
    many = np.concatenate(drawn(0, 300))
    assert many.min() >= 0 and many.max() <= 1
    assert many.mean() == pytest.approx(0.5, abs=0.03)
    assert many.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)  # of Beta(a, a)


def test_in_order_nothing_is_mixed():
    for chunk in shares().ordered():
        np.testing.assert_array_equal(mixed(chunk)["inputs"], chunk["inputs"])
    assert set(shares().spec) == {"inputs", "targets", "share"}


BATCH = {
    "inputs": tf.constant([[0.0, 0.0], [10.0, 20.0], [2.0, 2.0]]),
    "targets": tf.constant([0, 1, 2], tf.int64),
    "weights": tf.constant([1.0, 2.0, 4.0]),
    "share": tf.constant([1.0, 0.75, 0.5]),
}


def test_each_example_is_mixed_with_its_neighbour():
    found = mixed(BATCH)
    np.testing.assert_allclose(found["inputs"], [[0, 0], [7.5, 15], [6, 11]])
    np.testing.assert_array_equal(found["other_targets"], [2, 0, 1])
    np.testing.assert_array_equal(found["other_weights"], [4, 1, 2])
    assert mixed({"inputs": BATCH["inputs"]}) == {"inputs": BATCH["inputs"]}


def test_the_loss_is_that_of_both_targets_and_for_classes_that_of_the_mixed_one():
    target = targets.make_target(targets.parse_options({"kind": "label"}), ["a", "b", "c"])
    logits = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    wanted = np.eye(3)[[0, 1, 2]], np.eye(3)[[2, 0, 1]]
    share, weights = BATCH["share"].numpy()[:, None], BATCH["weights"].numpy()
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    unweighed = {name: column for name, column in BATCH.items() if name != "weights"}
    found = labelled(target, mixed(unweighed), tf.constant(logits), True)
    np.testing.assert_allclose(
        found.losses["loss"], -((share * wanted[0] + (1 - share) * wanted[1]) * log_p).sum(1), rtol=1e-5
    )
    found = labelled(target, mixed(BATCH), tf.constant(logits), True)
    both = share[:, 0] * weights * -log_p[[0, 1, 2], [0, 1, 2]]
    both += (1 - share[:, 0]) * weights[[2, 0, 1]] * -log_p[[0, 1, 2], [2, 0, 1]]
    np.testing.assert_allclose(found.losses["loss"], both, rtol=1e-5)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ({"kind": "label"}, [0, 1, 1]),
        ({"kind": "labels"}, np.float32([[1, 0], [1, 1], [0, 1]])),
        ({"kind": "numbers", "columns": ["a", "b"]}, np.float32([[1, 0], [-1, 3], [0, 1]])),
    ],
)
def test_every_kind_of_target_is_mixed(section, values):
    target = targets.make_target(targets.parse_options(section), ["a", "b"])
    batch = {"inputs": tf.random.stateless_normal([3, 4], [0, 1]), "targets": tf.constant(np.array(values))}
    outputs = tf.random.stateless_normal([3, target.units], [0, 2])
    own, other = (
        labelled(target, {"targets": wanted}, outputs, True).losses["loss"]
        for wanted in (batch["targets"], tf.roll(batch["targets"], 1, 0))
    )
    share = tf.constant([0.2, 1.0, 0.6])
    objective = supervised(target, lambda inputs, training: (inputs, outputs), True)
    found = objective({"target": {**batch, "share": share}}).losses["loss"]
    np.testing.assert_allclose(found, share * own + (1 - share) * other, rtol=1e-5)
