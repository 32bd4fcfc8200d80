"""The training loop that all transfer methods share.

One or several phases (`models.phase`) run one after the other. A linear head on cached features is solved; in other
phases, after each epoch the monitored figure decides: better weights are kept, too many epochs without any end the
phase. At the end the best weights over all phases are put back. The state after an epoch (weights, optimizers, dropout
seeds, best weights, patience) goes to the checkpoint; what streams give is a function of seed and epoch. So a killed
and continued run ends with the weights of an uninterrupted one.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from graft.models import heads, memory, optimizers, precision, progress, strategy, streams
from graft.models.errors import GraftError
from graft.models.history import History
from graft.models.phase import Batches, Outcome, Pass, Phase
from graft.models.solved_head import SolvedHead
from graft.models.task import Task

log = logging.getLogger(__name__)


def least_bytes(phase: Phase, batch_size: int) -> tuple[int, int]:
    """What training on inputs takes at the least.

    That is a batch in use and two that are read ahead, of each stream, and for each weight that moves a gradient,
    Adam's two slots and the best value. What the layers keep for the gradient comes on top and is not counted: it
    hangs on the network. For one of two convolutions and a batch of 58 inputs of 160 x 160 x 3 this says 18 MB, and
    the process grew by 87 MB. So it tells what cannot fit, not what will.

    Args:
        phase: one that reads inputs.
        batch_size: examples in a step.

    Returns:
        bytes, and the examples in the largest batch there is.
    """
    main = phase.learn.main
    batch, ahead = min(batch_size, main.count), min(3, -(-main.count // batch_size))
    inputs = [data.spec["inputs"] for data in phase.learn.streams.values()]
    example = sum(spec.dtype.size * math.prod(size or 1 for size in spec.shape[1:]) for spec in inputs)
    return ahead * batch * example + 16 * sum(math.prod(v.shape) for v in phase.trainable), batch


def run(task: Task, phases: Sequence[Phase | SolvedHead]) -> History:
    """Trains phase by phase and leaves the best weights in place.

    Raises:
        GraftError: a loss is no longer a number.
    """
    return _Run(task, phases).run()


def _names(phases: Sequence[Phase | SolvedHead]) -> list[str]:
    return list(dict.fromkeys(phase.name for phase in phases))


class _Run:
    """The state of one training across its phases."""

    def __init__(self, task: Task, phases: Sequence[Phase | SolvedHead]):
        self._task, self._phases = task, phases
        allowed = {name: sum(phase.epochs for phase in phases if phase.name == name) for name in _names(phases)}
        self._history = History(max_epochs=sum(allowed.values()), allowed=allowed)
        self._best: dict[int, np.ndarray] = {}
        self._best_value = math.inf  # of what is watched; negative where higher is better
        self._waited = 0
        self._saved_at = time.monotonic()
        # Phases share variables; a variable is known by its first place in this list.
        variables = {id(v): v for phase in phases for v in phase.state}
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
            figures = path.steps[path.chosen].figures
            # Each worker has solved for itself: a last bit of difference could make one of them stop before the others.
            agreed = strategy.agree(self._task.strategy, np.array(list(figures.values()))).tolist()
            for variable in phase.state:
                variable.assign(strategy.agree(self._task.strategy, variable.numpy()))
        self._history.path, self._history.chosen = [step.flat for step in path.steps], path.chosen
        self._history.refit = self._task.head_options.refit
        self._record(phase, dict(zip(figures, agreed, strict=True)), time.monotonic() - started)

    def _run_phase(self, index: int, phase: Phase, stored: tuple[dict, dict[str, np.ndarray]] | None) -> None:
        training = self._task.training
        if phase.backbone is not None:
            need, batch = least_bytes(phase, training.batch_size)
            sizes = [str(size) for size in phase.learn.main.spec["inputs"].shape[1:] if size]
            what = " of ".join([f"batches of {batch} {phase.unit}", *([" x ".join(sizes)] if sizes else [])])
            memory.require(need, self._task.stage, what, "train.batch_size or the size that `input` gives them")
        with precision.using(phase.backbone, phase.dtype_policy) as policy, self._task.strategy.scope():
            optimizer = optimizers.together(phase.groups, phase.clip)
            if policy == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(phase.trainable)
            moved = optimizer.variables
            first = 0
            if stored:
                try:
                    first = self._restore(stored, phase, moved)
                except (AttributeError, LookupError, TypeError, ValueError) as error:  # another network's
                    raise self._task.checkpoint.unfit(error) from error
            else:
                self._begin(phase)
            learn, judge = _Compiled(self._task, phase.learn, phase, optimizer), _Compiled(self._task, phase.judge)
            epochs = streams.shuffled(phase.learn.streams, first, phase.epochs, training.seed + index)
            for epoch in range(first, phase.epochs):
                if phase.stops_early and self._waited >= training.patience:
                    break
                started = time.monotonic()
                figures = self._pass(phase, learn, next(epochs), phase.learn.main.count)
                if phase.statistics:
                    phase.statistics.estimate(batch["inputs"] for batch in phase.learn.main.ordered())
                judged = self._pass(phase, judge, streams.ordered(phase.judge.streams), phase.judge.main.count)
                figures |= {f"val_{name}": value for name, value in judged.items()}
                self._history.steps += -(-phase.learn.main.count // training.batch_size)
                self._record(phase, figures, time.monotonic() - started, settled=epoch >= (phase.settles or 0))
                due = time.monotonic() - self._saved_at >= training.checkpoint_seconds
                if self._task.checkpoint and due and strategy.leads(self._task.strategy):
                    self._save(index, epoch + 1, phase, moved)
            for variable in phase.state:
                variable.assign(self._best[self._place[id(variable)]])

    def _begin(self, phase: Phase) -> None:
        """Before the first epoch of a phase: what the phases before have reached is the best so far."""
        self._waited = 0
        if phase.begin is not None:
            phase.begin()
        judged = (self._history.monitor, self._history.lower_is_better)
        if (phase.monitor, phase.lower_is_better) != judged or phase.settles is not None:
            self._best_value = math.inf  # what they were judged by says nothing here, or they may not be kept
        for variable in phase.state:
            self._best.setdefault(self._place[id(variable)], variable.numpy())

    def _pass(self, phase: Phase, way: "_Compiled", chunks: Iterator[Batches], count: int) -> dict[str, float]:
        """One way over the data: means by name."""
        sums: dict[str, float] = {}
        done = 0
        for chunk in chunks:
            found = way(chunk)
            sums = {name: sums.get(name, 0.0) + value for name, value in found.items()}
            done += streams.size(chunk[way.main])
            for name in way.losses:
                if not math.isfinite(sums[name]):
                    rates = " to ".join(f"{rate:g}" for rate in phase.rates)
                    raise GraftError(
                        f"{self._task.stage}: the {name.replace('_', ' ')} became {sums[name]} in phase "
                        f"{phase.name!r}, epoch {len(self._history.epochs) + 1}; the learning rate {rates} is too high "
                        "for this data, or its features are not finite numbers"
                    )
            if phase.unit:
                shown = {name: sums[name] / done for name in way.losses}
                progress.report(self._task.stage, done, count, phase.unit, **shown)
        return {name: value / done for name, value in sums.items()}

    def _record(
        self, phase: Phase | SolvedHead, figures: Mapping[str, float], seconds: float, settled: bool = True
    ) -> None:
        """Writes an epoch into the history, and keeps the weights if they are `settled` and the best so far."""
        history, epochs = self._history, self._history.epochs
        if phase.monitor not in figures:
            raise GraftError(
                f"{self._task.stage}: phase {phase.name!r} monitors {phase.monitor!r}; its objectives tell "
                f"{', '.join(figures)}"
            )
        epochs.append({"epoch": len(epochs) + 1, "phase": phase.name, **figures, "seconds": round(seconds, 4)})
        value = figures[phase.monitor] if phase.lower_is_better else -figures[phase.monitor]
        if settled and value < self._best_value - self._task.training.min_delta:
            self._best_value, self._waited, history.best_epoch = value, 0, len(epochs)
            history.monitor, history.lower_is_better = phase.monitor, phase.lower_is_better
            self._best.update({self._place[id(v)]: v.numpy() for v in phase.state})
        elif settled:
            self._waited += 1
        self._log(epochs[-1:])
        log.info("%s: phase %s, epoch %d: %s", self._task.stage, phase.name, len(epochs), figures)
        progress.report(self._task.stage, len(epochs), history.max_epochs, "epochs", **figures)

    def _log(self, epochs: list[dict[str, Any]]) -> None:
        """Writes epochs to TensorBoard's log."""
        if self._writer:
            for entry in epochs:
                with self._writer.as_default(step=entry["epoch"]):
                    for name in entry.keys() - {"epoch", "phase", "seconds"}:
                        tf.summary.scalar(name, entry[name])
            self._writer.flush()

    def _save(self, index: int, epoch: int, phase: Phase, moved: Sequence[keras.Variable]) -> None:
        """Writes all that the rest of the training depends on; `moved` are the optimizers' variables."""
        arrays = {f"state{i}": variable.numpy() for i, variable in enumerate(phase.state)}
        arrays |= {f"optimizer{i}": variable.numpy() for i, variable in enumerate(moved)}
        arrays |= {f"best{place}": value for place, value in self._best.items()}
        meta = {
            "phase": index,
            "epoch": epoch,
            "waited": self._waited,
            "best_value": self._best_value,
            "history": dataclasses.asdict(self._history),
        }
        self._task.checkpoint.save(meta, arrays)
        self._saved_at = time.monotonic()

    def _restore(
        self, stored: tuple[dict[str, Any], dict[str, np.ndarray]], phase: Phase, moved: Sequence[keras.Variable]
    ) -> int:
        """Puts a saved state back and returns the epoch of this phase to go on with."""
        meta, arrays = stored
        for i, variable in enumerate(phase.state):
            variable.assign(arrays[f"state{i}"])
        for i, variable in enumerate(moved):
            variable.assign(arrays[f"optimizer{i}"])
        self._best = {int(name[4:]): value for name, value in arrays.items() if name.startswith("best")}
        self._waited, self._best_value = meta["waited"], meta["best_value"]
        self._history = History(**meta["history"])
        self._history.resumed_at = len(self._history.epochs)
        if self._history.path:
            heads.set_penalty(self._task.head, self._history.path[self._history.chosen]["l2"])
        self._log(self._history.epochs)  # the log of the killed run lies with its other outputs
        log.info("%s: continuing after epoch %d, from %s", self._task.stage, len(self._history.epochs), phase.name)
        return meta["epoch"]


class _Compiled:
    """One compiled way over chunks, learning or judging.

    Args:
        task: for the size of batches and the strategy.
        way: streams and objective.
        phase: whose groups learn; None: nothing moves.
        optimizer: of its groups.

    Attributes:
        main: name of the main stream.
        losses: names of the objective's losses, once it was called.
    """

    def __init__(
        self, task: Task, way: Pass, phase: Phase | None = None, optimizer: keras.optimizers.Optimizer | None = None
    ):
        self._objective, self._phase, self._optimizer = way.objective, phase, optimizer
        self._strategy, self._batch_size = task.strategy, task.training.batch_size
        self._replicas = task.strategy.num_replicas_in_sync
        self.main = next(iter(way.streams))
        self.losses: list[str] = []
        self._names: list[str] = []
        # One signature for every batch size: tracing a network takes longer than many a step.
        signature = {name: dict(data.spec) for name, data in way.streams.items()}
        self._function = tf.function(self._chunk, input_signature=[signature])

    def __call__(self, chunk: Batches) -> dict[str, float]:
        """Sums over the chunk by name."""
        sums = self._function(tf.nest.map_structure(tf.convert_to_tensor, chunk))
        return dict(zip(self._names, sums.numpy().tolist(), strict=True))

    def _chunk(self, chunk: Batches) -> tf.Tensor:
        sums = tf.constant(0.0)  # takes the shape of what the objective says, which is not known before it is called
        for start in tf.range(0, tf.shape(chunk[self.main]["inputs"])[0], self._batch_size):
            tf.autograph.experimental.set_loop_options(shape_invariants=[(sums, tf.TensorShape(None))])
            batch = slice(start, start + self._batch_size)
            sums += self._over_replicas(tf.nest.map_structure(lambda column, rows=batch: column[rows], chunk))
        return sums

    # AutoGraph has nothing to convert in there, and looking takes seconds.
    @tf.autograph.experimental.do_not_convert
    def _over_replicas(self, batches: Batches) -> tf.Tensor:
        """Gives each replica every replicas-th example of a batch and sums what they return."""

        def replica_step(batches: Batches) -> tf.Tensor:
            count = tf.cast(tf.shape(batches[self.main]["inputs"])[0], tf.float32)
            if self._replicas > 1:
                first = tf.distribute.get_replica_context().replica_id_in_sync_group
                batches = tf.nest.map_structure(lambda column: column[first :: self._replicas], batches)
            return self._learn(batches, count) if self._phase else self._judge(batches, count)

        parts = self._strategy.run(replica_step, args=(batches,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)

    def _learn(self, batches: Batches, count: tf.Tensor) -> tf.Tensor:
        variables = self._phase.trainable
        with tf.GradientTape() as tape:
            outcome = self._objective(batches)
            sums = self._sums(outcome, count)
            # Divided by the size of the whole batch: the sum over replicas is the mean over the batch.
            total = sum(_weighed(sums[name] / count, outcome.weights.get(name)) for name in outcome.losses)
            total += sum(outcome.regularization) / self._replicas
            total = self._optimizer.scale_loss(total)
        self._optimizer.apply(tape.gradient(total, variables), variables)
        return tf.stack(list(sums.values()))

    def _judge(self, batches: Batches, count: tf.Tensor) -> tf.Tensor:
        return tf.stack(list(self._sums(self._objective(batches), count).values()))

    def _sums(self, outcome: Outcome, count: tf.Tensor) -> dict[str, tf.Tensor]:
        """This replica's share of the sum over the whole batch's examples, by name."""
        told = {**outcome.losses, **outcome.figures}
        self.losses, self._names = list(outcome.losses), list(told)
        return {
            name: tf.reduce_sum(value) if value.shape.rank else value * (count / self._replicas)
            for name, value in told.items()
        }


def _weighed(loss: tf.Tensor, weight: float | None) -> tf.Tensor:
    return loss if weight is None else weight * loss
