"""Settings of a whole fine-tuning that somebody else has found good."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How long, at what rate and on what.

    Attributes:
        steps: of the training.
        warmup: steps in which the rate rises from 0.
        drops: steps from which on the rate is a tenth of what it was.
        learning_rate: the highest.
        mixup: alpha; 0: none.
    """

    steps: int
    warmup: int
    drops: tuple[int, int, int]
    learning_rate: float
    mixup: float


def bit(examples: int, batch_size: int) -> Recipe:
    """BiT-HyperRule (Kolesnikov et al., "Big Transfer (BiT)", ECCV 2020): one rule for every data set, by its size.

    All layers are trained by SGD with momentum 0.9 and without weight decay, from a head of zeros. Its rate is 0.003
    for batches of 512 examples; the authors say that 0.001 does the same for 128, and here it goes with the size of
    the batch. The paper's rule for the size of images is not part of it: that is `input`.

    Args:
        examples: in the training split.
        batch_size: examples in a step.
    """
    rate = 0.003 * batch_size / 512
    if examples < 20_000:
        return Recipe(500, 100, (200, 300, 400), rate, 0.0)
    if examples < 500_000:
        return Recipe(10_000, 500, (3_000, 6_000, 9_000), rate, 0.1)
    return Recipe(20_000, 500, (6_000, 12_000, 18_000), rate, 0.1)
