"""Several optimizers as one: each group at its own rate, one gradient, one loss scale, one norm."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.models import optimizers
from graft.models.phase import Group


def variables() -> list[keras.Variable]:
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.normal(size=shape).astype(np.float32)) for shape in ((3, 4), (4,), (4, 2))]


def grads(step: int) -> list[tf.Tensor]:
    rng = np.random.default_rng(step + 1)
    return [tf.constant(rng.normal(size=shape).astype(np.float32)) for shape in ((3, 4), (4,), (4, 2))]


def after(optimizer, moved, steps: int = 3, scale: float = 1.0) -> list[np.ndarray]:
    """What some steps of an optimizer make of variables."""
    optimizer.build(moved)
    for step in range(steps):
        optimizer.apply([grad * scale for grad in grads(step)], moved)
    return [variable.numpy() for variable in moved]


def groups(moved, rates, name="adam", **settings) -> list[Group]:
    """One for each variable."""
    return [
        Group([variable], rate, lambda base, own=variable: optimizers.make(name, [own], base, **settings))
        for variable, rate in zip(moved, rates, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "settings"), [("adam", {}), ("adamw", {"weight_decay": 0.1}), ("sgd", {"momentum": 0.9})]
)
def test_groups_of_one_rate_move_as_one_to_the_bit(name, settings):
    apart, one = variables(), variables()
    several = optimizers.together(groups(apart, [0.1] * 3, name, **settings))
    alone = optimizers.together([Group(one, 0.1, lambda base: optimizers.make(name, one, base, **settings))])
    assert not isinstance(alone, optimizers.Several)
    for ours, theirs in zip(after(several, apart), after(alone, one), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_each_group_moves_at_its_own_rate_whatever_the_size_of_gradients():
    moved, start = variables(), [variable.numpy() for variable in variables()]
    found = after(optimizers.together(groups(moved, [0.1, 0.01, 0.001])), moved, steps=1)
    for old, new, rate in zip(start, found, (0.1, 0.01, 0.001), strict=True):  # the first step of Adam is the rate
        np.testing.assert_allclose(np.abs(new - old), rate, rtol=1e-3)


def test_a_long_gradient_is_cut_to_its_length_over_all_groups():
    moved, start = variables(), [variable.numpy() for variable in variables()]
    found = after(optimizers.together(groups(moved, [1.0, 1.0, 1.0], "sgd"), clip=0.5), moved, steps=1)
    step = np.concatenate([(new - old).ravel() for old, new in zip(start, found, strict=True)])
    given = np.concatenate([grad.numpy().ravel() for grad in grads(0)])
    assert np.linalg.norm(given) > 0.5
    np.testing.assert_allclose(step, -given * 0.5 / np.linalg.norm(given), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_a_short_gradient_is_left_alone(count):
    clipped, plain = variables(), variables()
    rates = [0.1] * 3
    ours = groups(clipped, rates) if count == 3 else [Group(clipped, 0.1)]
    long = after(optimizers.together(ours, clip=1e6), clipped)
    for one, other in zip(long, after(optimizers.together(groups(plain, rates)), plain), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_decay_draws_matrices_to_nothing_and_leaves_vectors(name):
    moved, start = variables(), [variable.numpy() for variable in variables()]
    optimizer = optimizers.make(name, moved, 0.1, weight_decay=0.5)
    found = after(optimizer, moved, steps=2, scale=0.0)
    for old, new in zip(start, found, strict=True):
        np.testing.assert_allclose(new, old * (0.95**2 if old.ndim > 1 else 1.0), rtol=1e-5)


def test_a_group_without_a_gradient_rests():
    moved = variables()
    optimizer = optimizers.together(groups(moved, [0.1, 0.1, 0.1]))
    optimizer.build(moved)
    start = [variable.numpy() for variable in moved]
    first, _, last = grads(0)
    optimizer.apply([first, None, last], moved)
    changed = [bool((old != new.numpy()).any()) for old, new in zip(start, moved, strict=True)]
    assert changed == [True, False, True]


def test_rows_of_an_embedding_are_cut_too():
    table = keras.Variable(np.zeros((4, 2), np.float32))
    optimizer = optimizers.together([Group([table], 1.0, keras.optimizers.SGD)], clip=1.0)
    optimizer.build([table])
    optimizer.apply([tf.IndexedSlices(tf.constant([[3.0, 4.0]]), tf.constant([2]), tf.constant([4, 2]))], [table])
    np.testing.assert_allclose(table.numpy(), [[0, 0], [0, 0], [-0.6, -0.8], [0, 0]], rtol=1e-6)


def test_one_loss_scale_for_all_groups():
    """An overflow in one group holds all of them back, and the scale is taken from the gradient before it is cut."""
    moved, plain = variables(), variables()
    scaled = keras.optimizers.LossScaleOptimizer(optimizers.together(groups(moved, [0.1] * 3), 0.5), initial_scale=8.0)
    scaled.build(moved)
    start = [variable.numpy() for variable in moved]
    first, second, third = (grad * 8.0 for grad in grads(0))
    scaled.apply([first, second * np.inf, third], moved)
    assert float(scaled.dynamic_scale.numpy()) == 4.0
    for old, new in zip(start, moved, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    scaled.apply([grad * 4.0 for grad in grads(0)], moved)
    unscaled = after(optimizers.together(groups(plain, [0.1] * 3), 0.5), plain, steps=1)
    for one, other in zip(moved, unscaled, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)
    assert len(scaled.variables) == len({id(variable) for variable in scaled.variables})
