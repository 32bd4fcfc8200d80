"""BiT-HyperRule against the table of its paper."""

import pytest

from graft.models.recipes import bit


@pytest.mark.parametrize(
    ("examples", "steps", "warmup", "drops", "mixup"),
    [
        (42, 500, 100, (200, 300, 400), 0.0),
        (19_999, 500, 100, (200, 300, 400), 0.0),
        (20_000, 10_000, 500, (3_000, 6_000, 9_000), 0.1),
        (499_999, 10_000, 500, (3_000, 6_000, 9_000), 0.1),
        (500_000, 20_000, 500, (6_000, 12_000, 18_000), 0.1),
    ],
)
def test_small_medium_and_large(examples, steps, warmup, drops, mixup):
    found = bit(examples, 512)
    assert (found.steps, found.warmup, found.drops, found.mixup) == (steps, warmup, drops, mixup)
    assert found.learning_rate == pytest.approx(0.003)


def test_the_rate_goes_with_the_batch():
    assert bit(100, 128).learning_rate == pytest.approx(0.003 / 4)
