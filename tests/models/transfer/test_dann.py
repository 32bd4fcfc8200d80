"""Adversarial adaptation: the reversed gradient, its schedule, both players."""

import numpy as np
import pytest
import tensorflow as tf
from shifted import shifted_task
from test_loop import fit

from graft.models.transfer.dann import Adversary, Options, reverse_gradient, schedule

HEAD = {"hidden": [16], "dropout": 0.0}


def test_the_gradient_is_turned_round():
    values = tf.Variable([[1.0, -2.0], [0.5, 3.0]])
    with tf.GradientTape(persistent=True) as tape:
        plain = tf.reduce_sum(values**3)
        turned = tf.reduce_sum(reverse_gradient(values, tf.constant(0.3)) ** 3)
    assert float(plain) == float(turned)
    np.testing.assert_allclose(tape.gradient(turned, values), -0.3 * tape.gradient(plain, values), rtol=1e-6)


def test_the_schedule_is_the_papers():
    shares = np.array([0, 0.1, 0.5, 1.0], np.float32)
    np.testing.assert_allclose(schedule(tf.constant(shares)), 2 / (1 + np.exp(-10 * shares)) - 1, rtol=1e-5)


def test_the_discriminator_learns_and_the_encoder_unlearns():
    task, _ = shifted_task({"method": "dann", "weight": 0.5}, head=HEAD)
    term = Adversary(task, Options(weight=0.5), 0.5)
    term.steps = 4
    term._taken.assign(2)
    features = {
        name: tf.constant(split.features[:40])
        for name, split in (("target", task.train), ("unlabelled", task.unlabelled))
    }
    from graft.models.adaptation import representation
    from graft.models.objectives import Seen

    seen = {name: Seen({}, one, one) for name, one in features.items()}
    encoder, discriminator = task.head.layers[0].kernel.value, term.discriminator.layers[0].kernel.value
    with tf.GradientTape(persistent=True) as tape:
        outcome = term(seen)
        both = tf.concat([representation(task.head, one) for one in features.values()], axis=0)
        logits = term.discriminator(both)[:, 0]
        truth = tf.repeat([0.0, 1.0], 40)
        plain = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(truth, logits))
    strength = 0.5 * float(schedule(tf.constant(0.5)))
    assert float(outcome.figures["reversal"]) == pytest.approx(strength)
    for variable, factor in ((discriminator, 1.0), (encoder, -strength)):
        told, wanted = (tape.gradient(loss, variable) for loss in (outcome.losses["dann"], plain))
        np.testing.assert_allclose(told, factor * wanted, rtol=1e-4, atol=1e-7)
    assert int(term._taken) == 3 and any(variable is term._taken for variable in term.state)


@pytest.mark.slow
def test_it_hides_the_domain_where_a_feature_gives_it_away():
    """A column that only says the domain: without reversal the discriminator always knows, with it much less."""

    def told_apart(features):
        return np.concatenate([features[:, :5], np.full((len(features), 1), 1.0)], axis=1).astype(np.float32)

    accuracies = {}
    for weight in (0.0, 1.0):
        method = {"method": "dann", "weight": weight, "most_of_one": 1.0}
        task, _ = shifted_task(method, told_apart, HEAD)
        for split in (task.train, task.eval):
            split.features[:, 5] = -1.0
        history = fit(task)
        assert len(history.epochs) == history.best_epoch == 60, "the last epoch's weights are kept"
        assert history.best["val_accuracy"] > 0.9
        accuracies[weight] = np.mean([row["domain_accuracy"] for row in history.epochs[-10:]])
    assert accuracies[0.0] > 0.99 and accuracies[1.0] < 0.85
