"""What a phase of a training is: streams of examples, an objective over their batches, what moves, what is watched.

`models.loop` runs phases and knows nothing else. A transfer method makes them (`models.standard_phases` has the usual
ones) and decides what their objectives say.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from graft.models.backbone import Backbone
from graft.models.batch_statistics import BatchStatistics

Batch = Mapping[str, Any]
"""Examples of one stream by what is known of them: `inputs` [n, ...], `targets` [n, ...] where they are labelled,
`weights` float32 [n] where some count more than others."""

Batches = Mapping[str, Batch]
"""A batch of each stream by its name; all have the same number of examples."""


class Data(Protocol):
    """Examples that can be read in order and in a random order that seed and epoch decide.

    Attributes:
        count: how many.
    """

    count: int

    @property
    def spec(self) -> Mapping[str, tf.TensorSpec]:
        """Of a chunk: the keys of a `Batch` with their types, each with a leading None."""

    def ordered(self) -> Iterator[Batch]:
        """Chunks of one or more batches."""

    def shuffled(self, first_epoch: int, last_epoch: int, seed: int) -> Iterator[Iterator[Batch]]:
        """For each epoch in [first_epoch, last_epoch), its chunks."""


@dataclasses.dataclass
class Outcome:
    """What an objective says of a batch.

    A tensor [n] holds a value of each example, and its mean over all of them counts. A scalar is of the batch as a
    whole, or of variables; the mean over batches counts, and over replicas where there are several. Every value goes
    into the history by its name.

    Attributes:
        losses: their sum is minimised, each times its weight. The first one is what the phase is about.
        figures: looked at only.
        weights: of losses; one that is not named counts once.
        regularization: scalars that are minimised and not recorded: what layers add to the loss of themselves.
    """

    losses: dict[str, tf.Tensor]
    figures: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    regularization: Sequence[tf.Tensor] = ()


Objective = Callable[[Batches], Outcome]


@dataclasses.dataclass
class Pass:
    """One way over data.

    An epoch is one way over the main stream. In each step every other stream gives as many examples as the main one;
    it goes on where it stopped the step before (in training: the epoch before too), and begins its next round, in a
    seeded order of its own, where one ends.

    Attributes:
        streams: by name; the first is the main one.
        objective: of their batches. In training it calls networks in training mode; it is called once a step for each
            replica, within a graph.
    """

    streams: Mapping[str, Data]
    objective: Objective

    @property
    def main(self) -> Data:
        """The stream that sets the epoch."""
        return next(iter(self.streams.values()))


@dataclasses.dataclass
class Group:
    """Variables that one optimizer moves.

    Attributes:
        variables: not in another group of the phase.
        learning_rate: given to `optimizer`.
        optimizer: makes it; called where variables live.
    """

    variables: Sequence[keras.Variable]
    learning_rate: float
    optimizer: Callable[[float], keras.optimizers.Optimizer] = keras.optimizers.Adam


@dataclasses.dataclass
class Phase:
    """One part of a training.

    Attributes:
        name: `head`, `fine_tune`, ...; appears in the history.
        learn: a way over the training data; its objective is minimised.
        judge: a way over the eval data, in order; what it says is recorded as `val_` and the name.
        groups: what moves.
        state: all that a step changes but the optimizers: what moves, dropout seeds, batch norm statistics.
        epochs: most epochs.
        monitor: the recorded figure whose best epoch's weights are kept.
        lower_is_better: its direction.
        unit: `images` reports progress batch by batch; None where epochs are short.
        backbone: the backbone that moves in this phase.
        dtype_policy: the Keras policy it computes in meanwhile.
        statistics: of batch normalisation, to estimate anew from the main stream before each evaluation.
        stops_early: whether it ends after `train.patience` epochs without a better figure; what follows a schedule of
            rates has to reach the end of it.
        clip: largest norm of the gradient over all groups, see `models.optimizers.Several`.
        settles: epochs after which its weights are what is asked for; nothing before them, in this phase or an earlier
            one, is kept, and they do not count as epochs without a better figure. None: any weights will do.
        begin: called before the first epoch, in the strategy's scope, and not where a checkpoint is continued within
            the phase; puts variables where the phase begins, if that is not where those before it have led. What it
            reads must be in `state`, or the same in every process.
    """

    name: str
    learn: Pass
    judge: Pass
    groups: Sequence[Group]
    state: Sequence[keras.Variable]
    epochs: int
    monitor: str = "val_loss"
    lower_is_better: bool = True
    unit: str | None = None
    backbone: Backbone | None = None
    dtype_policy: str = "float32"
    statistics: BatchStatistics | None = None
    stops_early: bool = True
    clip: float | None = None
    settles: int | None = None
    begin: Callable[[], None] | None = None

    @property
    def trainable(self) -> list[keras.Variable]:
        """What moves, over all groups."""
        return [variable for group in self.groups for variable in group.variables]

    @property
    def rates(self) -> list[float]:
        """The learning rate of its groups, or the lowest and the highest."""
        rates = {group.learning_rate for group in self.groups}
        return sorted({min(rates), max(rates)})
