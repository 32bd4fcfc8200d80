"""DANN: what the head's last layer reads shall not tell a discriminator which domain an example is from.

    min over encoder and head, max over discriminator:  L_source - weight(p) * L_domain
    weight(p) = weight * (2 / (1 + exp(-10 p)) - 1)

L_domain is the mean cross-entropy of the discriminator, over the examples of both domains in a batch; p is the share of
the training that is done, from 0 to 1. Both players take one step together: a gradient reversal stands between encoder
and discriminator, which hands gradients down times -weight(p). The discriminator is a small network with an optimizer
of its own. Its accuracy is recorded: near 0.5 it has been fooled, near 1 the domains are still apart.

Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17, 2016; there weight is 1. On small networks that
collapses: 0.03 to 0.1 is the useful range, which is why the default is 0.1. Adversarial training is not stable: compare
seeds, and try `mk_mmd` or `coral` first. The weights of the last epoch are kept, for no figure here tells a good epoch.

Limits: those of `mk_mmd`; and where the domains cannot be made alike, the features lose what tells the classes apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import Field, PositiveInt

from graft.models.transfer import adapting

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models.history import History
    from graft.models.objectives import Seen, Term
    from graft.models.phase import Outcome
    from graft.models.task import Task

REFITS = False
ADAPTS = True
check = adapting.check

_STEEPNESS = 10.0


class Options(adapting.AdaptingOptions):
    """The weight of the reversed gradient, the discriminator, and how much of the backbone moves."""

    CANDIDATES: ClassVar[tuple[float, ...]] = (0.0, 0.03, 0.1, 0.3, 1.0)

    method: Literal["dann"] = "dann"
    weight: float | tuple[float, ...] | Literal["auto"] = Field(
        default=0.1,
        description="Weight of the reversed gradient at the end of its schedule; the source's mean loss weighs 1. A "
        "list, or `auto` for 0, 0.03, 0.1, 0.3 and 1, is chosen from by reverse validation, on cached features.",
    )
    discriminator: list[PositiveInt] = Field(
        default=[64], description="Units of each hidden layer of the discriminator (ReLU); empty: a linear one."
    )
    discriminator_rate: float = Field(default=1e-3, gt=0.0, description="Adam's learning rate for the discriminator.")


def reads_inputs(options: Options) -> bool:
    """Where the backbone moves."""
    return bool(options.unfreeze)


def fit(task: Task) -> History:
    """Trains the head, and with `unfreeze` the backbone, on the source's labels and against the discriminator.

    Raises:
        GraftError: see `adapting.fit`.
    """
    return adapting.fit(task, _alignment, last_epoch=True)


def _alignment(task: Task, weight: float) -> Term:
    return Adversary(task, cast(Options, task.options), weight)


class Adversary:
    """The discriminator and its loss, `dann`; figures `domain_accuracy` and `reversal`, the weight of the moment.

    Args:
        task: its head's last layer is what is looked at.
        options: of the discriminator.
        weight: of the reversed gradient at the end.

    Attributes:
        steps: that the training takes at most.
        groups: the discriminator's variables.
        state: those and the number of steps that were taken, so that a run that continues is as far as it was.
    """

    def __init__(self, task: Task, options: Options, weight: float):
        import keras

        from graft.models.phase import Group

        self._task, self._weight, self.steps = task, weight, 1
        width = options_width(task)
        with task.strategy.scope():
            sizes = [*options.discriminator, 1]
            layers = [
                keras.layers.Dense(
                    size,
                    activation=None if place == len(sizes) - 1 else "relu",
                    kernel_initializer=keras.initializers.GlorotUniform(seed=task.training.seed * 1009 + 500 + place),
                    dtype="float32",
                    name=f"domain_{place}",
                )
                for place, size in enumerate(sizes)
            ]
            self.discriminator = keras.Sequential([keras.Input((width,), dtype="float32"), *layers], name="domain")
            self._taken = keras.Variable(0, dtype="int64", trainable=False, aggregation="only_first_replica")
        self.groups: Sequence[Group] = [Group(self.discriminator.trainable_variables, options.discriminator_rate)]
        self.state: Sequence[keras.Variable] = [*self.discriminator.variables, self._taken]

    def __call__(self, seen: Mapping[str, Seen]) -> Outcome:
        """One step of both players."""
        import tensorflow as tf

        from graft.models.adaptation import representation
        from graft.models.phase import Outcome

        domains = [
            representation(self._task.head, seen[name].features) for name in ("target", adapting.UNLABELLED_STREAM)
        ]
        truth = tf.concat(
            [tf.fill([tf.shape(domain)[0]], float(place)) for place, domain in enumerate(domains)], axis=0
        )
        strength = self._weight * schedule(tf.cast(self._taken.value, tf.float32) / self.steps)
        logits = self.discriminator(reverse_gradient(tf.concat(domains, axis=0), strength))[:, 0]
        self._taken.assign_add(1)
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(truth, logits))
        right = tf.reduce_mean(tf.cast(tf.equal(logits > 0, truth > 0.5), tf.float32))
        return Outcome({"dann": loss}, {"domain_accuracy": right, "reversal": strength})


def options_width(task: Task) -> int:
    """How many values the last layer of the head sees."""
    return int(task.head.layers[-1].kernel.shape[0])


def schedule(share: tf.Tensor) -> tf.Tensor:
    """2 / (1 + exp(-10 p)) - 1 of the share p of the training that is done: from 0 to nearly 1."""
    import tensorflow as tf

    return 2.0 / (1.0 + tf.exp(-_STEEPNESS * share)) - 1.0


def reverse_gradient(values: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """The values as they are; their gradient times -strength."""
    import tensorflow as tf

    @tf.custom_gradient
    def reversal(values: tf.Tensor) -> tuple:
        return tf.identity(values), lambda gradient: -strength * gradient

    return reversal(values)
