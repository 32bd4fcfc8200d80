"""A vote of linear models as a head."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

from graft.models.linear import Linear
from graft.models.vote_head import build_vote


@pytest.fixture(scope="module")
def voters():
    rng = np.random.default_rng(0)
    return [Linear(*(rng.normal(size=size).astype(np.float32) for size in ((5, 3), 3))) for _ in range(4)]


def test_it_answers_with_the_mean_of_the_probabilities(voters):
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    shares = [1.0, 2.0, 0.5, 4.5]
    head = build_vote(voters, shares)
    expected = sum(
        share / 8 * softmax(features @ voter.kernel + voter.bias, axis=1)
        for share, voter in zip(shares, voters, strict=True)
    )
    np.testing.assert_allclose(softmax(head(features).numpy(), axis=1), expected, atol=1e-6)
    alone = build_vote(voters[:1], [3.0])
    logits = features @ voters[0].kernel + voters[0].bias
    np.testing.assert_allclose(softmax(alone(features).numpy(), axis=1), softmax(logits, axis=1), atol=1e-6)


def test_a_vote_without_any_doubt_is_a_finite_number():
    sure = Linear(np.array([[200.0, -200.0]], np.float32), np.zeros(2, np.float32))
    outputs = build_vote([sure, sure], [1.0, 1.0])(np.ones((1, 1), np.float32)).numpy()
    assert np.isfinite(outputs).all() and outputs.argmax() == 0


def test_it_is_saved_and_copied_as_any_model(voters, tmp_path):
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    head = build_vote(voters, [1.0] * 4)
    head.save(tmp_path / "head.keras")
    copied = keras.models.clone_model(head)
    for target, source in zip(copied.variables, head.variables, strict=True):
        target.assign(source.numpy())
    for other in (keras.models.load_model(tmp_path / "head.keras"), copied):
        np.testing.assert_array_equal(other(features), head(features))
    assert head.input_shape == (None, 5) and head.output_shape == (None, 3)
