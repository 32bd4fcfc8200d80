"""Networks that only look are in no tape, and a copy of a backbone stays as it was."""

import numpy as np
import pytest
import tensorflow as tf
from training_input import weights

from graft.models import still


def test_a_tape_sees_nothing_of_it():
    held, moving = tf.Variable(3.0), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        loss = moving * still.looking(lambda x: held * x)(moving)
    assert float(loss) == 12.0
    assert set(map(id, tape.watched_variables())) == {id(moving)}
    assert float(tape.gradient(loss, moving)) == 6.0, "of the factor that moves, not through the other"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["backbone", "hub_backbone"])
def test_a_copy_gives_the_features_of_that_moment_and_never_moves(training_input, kind):
    task = training_input.task({"method": "fine_tune"}, kind)
    task.backbone.unfreeze(0.5)
    moved = task.backbone.trainable_variables[-1]
    moved.assign(moved.numpy() + 0.1)
    copy = still.published_copy(task.backbone)
    inputs = next(task.inputs(task.train).ordered())["inputs"]
    expected = task.backbone(inputs, training=False).numpy()
    kept = weights(copy)
    moved.assign(moved.numpy() + 1.0)
    np.testing.assert_allclose(copy(inputs, training=False), expected, rtol=1e-5, atol=1e-6)
    for now, before in zip(weights(copy), kept, strict=True):
        np.testing.assert_array_equal(now, before)
    assert not copy.trainable_variables
    with pytest.raises(RuntimeError, match="shared with others"):
        copy.unfreeze(1.0)
