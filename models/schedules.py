"""Learning rates over the steps of a phase.

With p the share of the T steps that is done, w that of the warm-up and r the base rate:

- `constant`: r.
- `cosine`: r (1 + cos(pi (p - w) / (1 - w))) / 2, from r to 0 (Loshchilov and Hutter, "SGDR", ICLR 2017).
- `slanted_triangular`: r (1 + f (R - 1)) / R, where f rises from 0 to 1 over the first tenth of the steps (`cut`) and
  falls to 0 over the rest; R = 32 is the ratio of the highest to the lowest rate (Howard and Ruder, "Universal Language
  Model Fine-tuning", ACL 2018). It has its warm-up built in.
- `steps`: r, a tenth of it from each drop on (Kolesnikov et al., "Big Transfer", ECCV 2020).

A warm-up lets the rate rise linearly from 0 over the first w T steps, before any of the others but
`slanted_triangular`.
"""

import dataclasses
import math
from collections.abc import Sequence

import keras
import tensorflow as tf

CUT, RATIO = 0.1, 32


@dataclasses.dataclass(frozen=True)
class Plan:
    """How learning rates go over a phase; the same for all of its groups.

    Attributes:
        name: `constant`, `cosine`, `slanted_triangular` or `steps`.
        steps: of the phase.
        warmup: steps of the warm-up.
        drops: the steps from which on `steps` divides by ten once more, rising.
    """

    name: str
    steps: int
    warmup: int = 0
    drops: Sequence[int] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the rate is the same at every step."""
        return self.name == "constant" and not self.warmup

    def rate(self, base: float) -> "float | Scheduled":
        """What an optimizer takes as its learning rate."""
        return base if self.is_plain else Scheduled(base, self)


class Scheduled(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that follows a plan.

    Args:
        base: the rate r.
        plan: see `Plan`.
    """

    def __init__(self, base: float, plan: Plan):
        self._base, self._plan = base, plan

    def __call__(self, step: int | tf.Tensor) -> tf.Tensor:
        """float32 [], the rate of a step, the first being 0."""
        plan, step = self._plan, tf.cast(step, tf.float32)
        if plan.name == "slanted_triangular":
            cut = max(math.floor(plan.steps * CUT), 1)
            rising, falling = step / cut, 1.0 - (step - cut) / max(plan.steps - cut, 1)
            return self._base * (1.0 + tf.maximum(tf.minimum(rising, falling), 0.0) * (RATIO - 1)) / RATIO
        factor = tf.constant(1.0)
        if plan.name == "cosine":
            done = (step - plan.warmup) / max(plan.steps - plan.warmup, 1)
            factor = (1.0 + tf.cos(math.pi * tf.clip_by_value(done, 0.0, 1.0))) / 2.0
        elif plan.name == "steps":
            drops = tf.constant(list(plan.drops), tf.float32)
            factor = 10.0 ** -tf.reduce_sum(tf.cast(step >= drops, tf.float32))
        if plan.warmup:
            factor = tf.where(step < plan.warmup, step / plan.warmup, factor)
        return self._base * factor

    def get_config(self) -> dict:
        """As Keras asks for it."""
        return {"base": self._base, "plan": self._plan}
