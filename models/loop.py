"""The training loop that all transfer methods share.

One or several phases run one after the other. A linear head on cached features is solved; in other phases, after each
epoch the eval loss decides: better weights are kept, too many epochs without any end the phase. At the end the best
weights over all phases are put back. The state after an epoch (weights, optimizer, dropout seeds, best weights,
patience) goes to the checkpoint; shuffling and augmentation are functions of seed and epoch. So a killed and continued
run ends with the weights of an uninterrupted one.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from graft.models import heads, memory, precision, progress
from graft.models.backbone import Backbone
from graft.models.batch_statistics import BatchStatistics
from graft.models.errors import GraftError
from graft.models.options import AugmentOptions
from graft.models.solved_head import SolvedHead
from graft.models.task import Task, class_weights

log = logging.getLogger(__name__)

Batch = tuple[Any, Any]
_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


class Data(Protocol):
    """A split that can be read in order and in a random order that seed and epoch decide (`models.datasets`)."""

    count: int
    inputs: tf.TensorSpec

    def ordered(self) -> Iterator[Batch]:
        """Chunks of one or more batches: inputs [n, ...], labels int64 [n]."""

    def shuffled(
        self, first_epoch: int, last_epoch: int, seed: int, augment: AugmentOptions
    ) -> Iterator[Iterator[Batch]]:
        """For each epoch in [first_epoch, last_epoch), its chunks."""


@dataclasses.dataclass
class Phase:
    """One part of a training: what is computed, what moves, on which data.

    Attributes:
        name: `head`, `fine_tune`, ...; appears in the history.
        forward: (inputs, training) -> logits float32 [n, classes].
        regularization: scalar losses to add; called after `forward` in the same step.
        trainable: what the optimizer moves.
        state: all that a step changes but the optimizer: `trainable`, dropout seeds, batch norm statistics.
        train: data to learn from.
        eval: data that decides which weights are best.
        learning_rate: Adam's.
        epochs: most epochs.
        unit: `images` reports progress batch by batch; None where epochs are short.
        backbone: the backbone that moves in this phase.
        dtype_policy: the Keras policy it computes in meanwhile.
        statistics: of batch normalisation, to estimate anew before each evaluation.
    """

    name: str
    forward: Callable[[tf.Tensor, bool], tf.Tensor]
    regularization: Callable[[], list[tf.Tensor]]
    trainable: list[keras.Variable]
    state: list[keras.Variable]
    train: Data
    eval: Data
    learning_rate: float
    epochs: int
    unit: str | None = None
    backbone: Backbone | None = None
    dtype_policy: str = "float32"
    statistics: BatchStatistics | None = None


@dataclasses.dataclass
class History:
    """What happened.

    Attributes:
        epochs: one entry an epoch: epoch (from 1, over all phases), phase, loss, accuracy (training, with dropout and
            augmentation on), val_loss, val_accuracy, seconds. Losses are mean cross-entropies without
            regularisation; val_loss is also without class weights and label smoothing. A head that was solved is one
            entry, with the figures of the strength that was chosen.
        best_epoch: the epoch whose weights were put back.
        steps: optimizer steps taken.
        max_epochs: most epochs it could have taken, over all phases.
        resumed_at: epoch after which a checkpoint was continued, or None.
        path: the strengths that a solved head tried, each as a `models.logistic.Step`; empty for one that was trained.
        chosen: index of the chosen one in `path`.
        refit: whether the head was then solved on train and eval together.
    """

    epochs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    steps: int = 0
    max_epochs: int = 0
    resumed_at: int | None = None
    path: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    chosen: int = 0
    refit: bool = False

    @property
    def best(self) -> dict[str, Any]:
        """The entry of the best epoch."""
        return self.epochs[self.best_epoch - 1]


def head_phase(task: Task, epochs: int) -> Phase | SolvedHead:
    """The head alone, on cached features: solved where its options allow, else trained.

    Args:
        task: what to learn.
        epochs: most epochs of a head that is trained.
    """
    if task.head_options.solved:
        return SolvedHead(task, epochs)
    return Phase(
        name="head",
        forward=lambda features, training: task.head(features, training=training),
        regularization=lambda: task.head.losses,
        trainable=task.head.trainable_variables,
        state=task.head.variables,
        train=task.arrays(task.train),
        eval=task.arrays(task.eval),
        learning_rate=task.training.learning_rate,
        epochs=epochs,
    )


def backbone_phase(
    task: Task, epochs: int, learning_rate: float, name: str = "fine_tune", batch_norm_training: bool = False
) -> Phase:
    """Backbone and head together, on images.

    Args:
        task: its backbone is unfrozen as far as it shall move.
        epochs: most epochs.
        learning_rate: Adam's.
        name: of the phase.
        batch_norm_training: whether batch normalisation uses and updates the statistics of the batch, as a network
            trained from scratch needs.
    """

    def forward(images: tf.Tensor, training: bool) -> tf.Tensor:
        features = task.backbone(images, training=training and batch_norm_training)
        return task.head(tf.cast(features, tf.float32), training=training)

    moved = task.backbone.variables if batch_norm_training else task.backbone.trainable_variables
    train = task.images(task.train)
    statistics = BatchStatistics(task.backbone, moved, train.inputs) if batch_norm_training else None
    return Phase(
        name=name,
        forward=forward,
        regularization=lambda: [*task.head.losses, *task.backbone.losses],
        trainable=[*task.head.trainable_variables, *task.backbone.trainable_variables],
        state=[*task.head.variables, *moved],
        train=train,
        eval=task.images(task.eval),
        learning_rate=learning_rate,
        epochs=epochs,
        unit="images",
        backbone=task.backbone,
        dtype_policy=precision.choose_policy(task.training.mixed_precision),
        statistics=statistics,
    )


def least_bytes(phase: Phase, batch_size: int) -> tuple[int, int]:
    """What training on images takes at the least.

    That is a batch in use and two that are decoded ahead, and for each weight that moves a gradient, Adam's two slots
    and the best value. What the layers keep for the gradient comes on top and is not counted: it hangs on the network.
    For one of two convolutions and a batch of 58 images of 160 x 160 this says 18 MB, and the process grew by 87 MB.
    So it tells what cannot fit, not what will.

    Args:
        phase: one that reads images.
        batch_size: images in a step.

    Returns:
        bytes, and the images in the largest batch there is.
    """
    batch = min(batch_size, phase.train.count)
    image = 4 * math.prod(phase.train.inputs.shape[1:])
    ahead = min(3, -(-phase.train.count // batch_size))
    return ahead * batch * image + 16 * sum(math.prod(v.shape) for v in phase.trainable), batch


def run(task: Task, phases: Sequence[Phase | SolvedHead]) -> History:
    """Trains phase by phase and leaves the best weights in place.

    Raises:
        GraftError: the loss is no longer a number.
    """
    return _Run(task, phases).run()


class _Run:
    """The state of one training across its phases."""

    def __init__(self, task: Task, phases: Sequence[Phase | SolvedHead]):
        self._task, self._phases = task, phases
        self._weights = class_weights(task.training.class_weights, task.train.labels, task.classes)
        self._history = History(max_epochs=sum(phase.epochs for phase in phases))
        self._best: dict[int, np.ndarray] = {}
        self._best_loss = math.inf
        self._waited = 0
        self._saved_at = time.monotonic()
        # Phases share variables; a variable is known by its first place in this list.
        variables = {id(v): v for phase in phases for v in phase.state}
        self._variables = list(variables.values())
        self._place = {key: place for place, key in enumerate(variables)}
        self._writer = tf.summary.create_file_writer(str(task.log_dir)) if task.log_dir else None

    def run(self) -> History:
        stored = self._task.checkpoint.load() if self._task.checkpoint else None
        first = self._first_phase(stored[0]) if stored else 0
        for index in range(first, len(self._phases)):
            phase = self._phases[index]
            if isinstance(phase, SolvedHead):
                self._solve(phase)
            else:
                self._run_phase(index, phase, stored if index == first else None)
        if self._writer:
            self._writer.close()
        return self._history

    def _first_phase(self, meta: dict[str, Any]) -> int:
        index = meta.get("phase")
        if (
            not isinstance(index, int)
            or not 0 <= index < len(self._phases)
            or isinstance(self._phases[index], SolvedHead)
        ):
            raise self._task.checkpoint.unfit(ValueError(f"there is no phase {index!r}"))
        return index

    def _solve(self, phase: SolvedHead) -> None:
        started = time.monotonic()
        with self._task.strategy.scope():
            path = phase.solve()
        step = path.steps[path.chosen]
        self._history.path, self._history.chosen = [dataclasses.asdict(tried) for tried in path.steps], path.chosen
        self._history.refit = self._task.head_options.refit
        measured = (step.loss, step.accuracy, step.val_loss, step.val_accuracy)
        self._record(phase, measured, time.monotonic() - started)

    def _run_phase(self, index: int, phase: Phase, stored: tuple[dict, dict[str, np.ndarray]] | None) -> None:
        training = self._task.training
        if phase.backbone is not None:
            need, batch = least_bytes(phase, training.batch_size)
            what = f"batches of {batch} images of {phase.train.inputs.shape[1]} x {phase.train.inputs.shape[2]}"
            memory.require(need, self._task.stage, what, "train.batch_size or backbone.image_size")
        with precision.using(phase.backbone, phase.dtype_policy) as policy, self._task.strategy.scope():
            optimizer = keras.optimizers.Adam(phase.learning_rate)
            if policy == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(phase.trainable)
            first = 0
            if stored:
                try:
                    first = self._restore(stored, phase, optimizer)
                except (AttributeError, LookupError, TypeError, ValueError) as error:  # another network's
                    raise self._task.checkpoint.unfit(error) from error
            else:
                self._waited = 0
                for variable in phase.state:
                    self._best.setdefault(self._place[id(variable)], variable.numpy())
            train_chunk, eval_chunk = self._functions(phase, optimizer)
            epochs = phase.train.shuffled(first, phase.epochs, training.seed + index, training.augment)
            for epoch in range(first, phase.epochs):
                if self._waited >= training.patience:
                    break
                started = time.monotonic()
                learned = self._pass(phase, train_chunk, next(epochs), phase.train.count)
                if phase.statistics:
                    phase.statistics.estimate(phase.train.ordered())
                measured = (*learned, *self._pass(phase, eval_chunk, phase.eval.ordered(), phase.eval.count))
                self._history.steps += -(-phase.train.count // training.batch_size)
                self._record(phase, measured, time.monotonic() - started)
                if self._task.checkpoint and time.monotonic() - self._saved_at >= training.checkpoint_seconds:
                    self._save(index, epoch + 1, phase, optimizer)
            for variable in phase.state:
                variable.assign(self._best[self._place[id(variable)]])

    def _functions(self, phase: Phase, optimizer: keras.Optimizer) -> tuple[Callable, Callable]:
        """The compiled training and evaluation of a chunk; both return summed loss and number of right answers."""
        task, classes = self._task, len(self._task.classes)
        strategy, batch_size = task.strategy, task.training.batch_size
        replicas = strategy.num_replicas_in_sync
        smoothing = task.training.label_smoothing
        weights = tf.constant(self._weights)

        def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smooth: float) -> tf.Tensor:
            target = tf.one_hot(labels, classes) * (1 - smooth) + smooth / classes
            return tf.nn.softmax_cross_entropy_with_logits(target, logits)

        def right(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, 1), labels), tf.float32))

        def train_step(inputs: tf.Tensor, labels: tf.Tensor, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Divided by the size of the whole batch: the sum over replicas is the mean over the batch.
            with tf.GradientTape() as tape:
                logits = phase.forward(inputs, True)
                summed = tf.reduce_sum(cross_entropy(labels, logits, smoothing) * tf.gather(weights, labels))
                objective = summed / batch + sum(phase.regularization()) / replicas
                objective = optimizer.scale_loss(objective)
            gradients = tape.gradient(objective, phase.trainable)
            optimizer.apply(gradients, phase.trainable)
            return summed, right(labels, logits)

        def eval_step(inputs: tf.Tensor, labels: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = phase.forward(inputs, False)
            return tf.reduce_sum(cross_entropy(labels, logits, 0.0)), right(labels, logits)

        # AutoGraph has nothing to convert in there, and looking takes seconds.
        @tf.autograph.experimental.do_not_convert
        def over_replicas(step: Callable, inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """Gives each replica every replicas-th example of a batch and sums what they return."""

            def replica_step(inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                batch = tf.cast(tf.shape(labels)[0], tf.float32)
                if replicas > 1:
                    first = tf.distribute.get_replica_context().replica_id_in_sync_group
                    inputs, labels = inputs[first::replicas], labels[first::replicas]
                return step(inputs, labels, batch)

            parts = strategy.run(replica_step, args=(inputs, labels))
            return tuple(strategy.reduce(tf.distribute.ReduceOp.SUM, part, axis=None) for part in parts)

        def over_chunk(step: Callable) -> Callable:
            # One signature for every batch size: tracing a network takes longer than many a step.
            @tf.function(input_signature=[phase.train.inputs, tf.TensorSpec([None], tf.int64)])
            def chunk(inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                loss, hits = tf.constant(0.0), tf.constant(0.0)
                for start in tf.range(0, tf.shape(labels)[0], batch_size):
                    batch = slice(start, start + batch_size)
                    batch_loss, batch_hits = over_replicas(step, inputs[batch], labels[batch])
                    loss, hits = loss + batch_loss, hits + batch_hits
                return loss, hits

            return chunk

        return over_chunk(train_step), over_chunk(eval_step)

    def _pass(self, phase: Phase, function: Callable, chunks: Iterator[Batch], count: int) -> tuple[float, float]:
        """One pass over a split: mean loss and accuracy."""
        loss = hits = 0.0
        done = 0
        for inputs, labels in chunks:
            chunk_loss, chunk_hits = function(tf.convert_to_tensor(inputs), tf.convert_to_tensor(labels))
            loss, hits, done = loss + float(chunk_loss), hits + float(chunk_hits), done + len(labels)
            if not math.isfinite(loss):
                raise GraftError(
                    f"{self._task.stage}: the loss became {loss} in phase {phase.name!r}, epoch "
                    f"{len(self._history.epochs) + 1}; the learning rate {phase.learning_rate:g} is too high for this "
                    "data, or its features are not finite numbers"
                )
            if phase.unit:
                progress.report(self._task.stage, done, count, phase.unit, loss=loss / done)
        return loss / done, hits / done

    def _record(self, phase: Phase | SolvedHead, measured: tuple[float, float, float, float], seconds: float) -> None:
        """Notes an epoch, keeps its weights if they are the best, and tells the log, TensorBoard and the sink."""
        figures = dict(zip(_FIGURES, measured, strict=True))
        epochs = self._history.epochs
        epochs.append({"epoch": len(epochs) + 1, "phase": phase.name, **figures, "seconds": round(seconds, 4)})
        if figures["val_loss"] < self._best_loss - self._task.training.min_delta:
            self._best_loss, self._waited, self._history.best_epoch = figures["val_loss"], 0, len(epochs)
            self._best.update({self._place[id(v)]: v.numpy() for v in phase.state})
        else:
            self._waited += 1
        self._log(epochs[-1:])
        log.info("%s: phase %s, epoch %d: %s", self._task.stage, phase.name, len(epochs), figures)
        progress.report(self._task.stage, len(epochs), self._history.max_epochs, "epochs", **figures)

    def _log(self, epochs: list[dict[str, Any]]) -> None:
        """Writes epochs to TensorBoard's log."""
        if self._writer:
            for entry in epochs:
                with self._writer.as_default(step=entry["epoch"]):
                    for name in _FIGURES:
                        tf.summary.scalar(name, entry[name])
            self._writer.flush()

    def _save(self, index: int, epoch: int, phase: Phase, optimizer: keras.Optimizer) -> None:
        """Writes all that the rest of the training depends on."""
        arrays = {f"state{i}": variable.numpy() for i, variable in enumerate(phase.state)}
        arrays |= {f"optimizer{i}": variable.numpy() for i, variable in enumerate(optimizer.variables)}
        arrays |= {f"best{place}": value for place, value in self._best.items()}
        meta = {
            "phase": index,
            "epoch": epoch,
            "waited": self._waited,
            "best_loss": self._best_loss,
            "history": dataclasses.asdict(self._history),
        }
        self._task.checkpoint.save(meta, arrays)
        self._saved_at = time.monotonic()

    def _restore(
        self, stored: tuple[dict[str, Any], dict[str, np.ndarray]], phase: Phase, optimizer: keras.Optimizer
    ) -> int:
        """Puts a saved state back and returns the epoch of this phase to go on with."""
        meta, arrays = stored
        for i, variable in enumerate(phase.state):
            variable.assign(arrays[f"state{i}"])
        for i, variable in enumerate(optimizer.variables):
            variable.assign(arrays[f"optimizer{i}"])
        self._best = {int(name[4:]): value for name, value in arrays.items() if name.startswith("best")}
        self._waited, self._best_loss = meta["waited"], meta["best_loss"]
        self._history = History(**meta["history"])
        self._history.resumed_at = len(self._history.epochs)
        if self._history.path:
            heads.set_penalty(self._task.head, self._history.path[self._history.chosen]["l2"])
        self._log(self._history.epochs)  # the log of the killed run lies with its other outputs
        log.info("%s: continuing after epoch %d, from %s", self._task.stage, len(self._history.epochs), phase.name)
        return meta["epoch"]
