"""The objective of labelled examples with terms beside it, and the parts that other objectives are made of."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import keras
import tensorflow as tf

from graft.models.mixup import OTHER, SHARE, mixed
from graft.models.phase import Batch, Batches, Group, Objective, Outcome
from graft.models.targets.base import Target

Network = Callable[[tf.Tensor, bool], tuple[tf.Tensor, tf.Tensor]]
"""(inputs [n, ...], training) -> features float32 [n, d] and outputs of the head float32 [n, units]."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a network made of the batch of one stream.

    Attributes:
        batch: as the stream gave it; with mixup, as `models.mixup.mixed` made it.
        features: float32 [n, d].
        outputs: of the head, float32 [n, units].
    """

    batch: Batch
    features: tf.Tensor
    outputs: tf.Tensor


class Term(Protocol):
    """Something more that a training step minimises or tells, beside the loss of the target's examples.

    Attributes:
        groups: variables of its own that move, such as a discriminator's.
        state: all of its own that a step changes, `groups` included: what a checkpoint holds.
    """

    groups: Sequence[Group]
    state: Sequence[keras.Variable]

    def __call__(self, seen: Mapping[str, Seen]) -> Outcome:
        """Losses, figures and weights by names of its own.

        Args:
            seen: by stream; called once a step for each replica, within the gradient's tape.
        """


@dataclasses.dataclass
class Plain:
    """A term without variables, made of a function."""

    function: Callable[[Mapping[str, Seen]], Outcome]
    groups: Sequence[Group] = ()
    state: Sequence[keras.Variable] = ()

    def __call__(self, seen: Mapping[str, Seen]) -> Outcome:
        return self.function(seen)


def supervised(
    target: Target,
    network: Network,
    training: bool,
    regularization: Callable[[], Sequence[tf.Tensor]] = tuple,
    stream: str = "target",
    terms: Sequence[Term] = (),
) -> Objective:
    """What the target says of a network's outputs for labelled examples, and what terms say beside it.

    Args:
        target: its losses become `loss`, its progress the figures.
        network: what is trained or judged.
        training: whether the network is called in training; then examples count by their weights.
        regularization: scalars to minimise too; called after `network` in the same step.
        stream: that holds the labelled examples.
        terms: see `Term`; the network is called for the other streams only where there are any.
    """

    def objective(batches: Batches) -> Outcome:
        shown = {name: mixed(batches[name]) for name in (batches if terms else [stream])}
        seen = {name: Seen(batch, *network(batch["inputs"], training)) for name, batch in shown.items()}
        outcome = labelled(target, seen[stream].batch, seen[stream].outputs, training)
        for term in terms:
            add(outcome, term(seen))
        outcome.regularization = [*outcome.regularization, *(regularization() if training else ())]
        return outcome

    return objective


def labelled(target: Target, batch: Batch, outputs: tf.Tensor, training: bool) -> Outcome:
    """What the target says of the outputs for one labelled batch: `loss`, and its figures.

    Args:
        target: what is predicted.
        batch: with `targets`, and `weights` where examples have them. Of mixed examples the loss is that of both
            targets, each with its weight, and the figures are by the first.
        outputs: of the head for its inputs, float32 [n, units].
        training: as for `Target.losses`; weights of examples count in training only.
    """

    def losses_of(which: str) -> tf.Tensor:
        losses = target.losses(batch[f"{which}targets"], outputs, training)
        return losses * batch[f"{which}weights"] if training and "weights" in batch else losses

    losses = losses_of("")
    if SHARE in batch:
        losses = batch[SHARE] * losses + (1.0 - batch[SHARE]) * losses_of(OTHER)
    return Outcome({"loss": losses}, dict(target.progress(batch["targets"], outputs)))


def add(outcome: Outcome, more: Outcome) -> None:
    """Puts what a term tells beside what is there.

    Raises:
        ValueError: a name is taken.
    """
    told = {*outcome.losses, *outcome.figures}
    if taken := sorted(told & {*more.losses, *more.figures}):
        raise ValueError(f"two parts of an objective tell {', '.join(taken)}")
    outcome.losses.update(more.losses)
    outcome.figures.update(more.figures)
    outcome.weights.update(more.weights)
    outcome.regularization = [*outcome.regularization, *more.regularization]
