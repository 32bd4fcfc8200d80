"""The phase of a training in which a linear head is solved on cached features instead of being trained."""

import dataclasses
import logging

from graft.models import heads, linear, progress
from graft.models.task import Task

log = logging.getLogger(__name__)


class SolvedHead:
    """A phase without epochs; one entry in the history.

    Args:
        task: its head is linear, without dropout.
        epochs: what a head that is trained would be given; counts for the budget of references.
        train: what is learned from; the task's training examples where None.
        scale: by how much the loss of a head that is trained, a sum of several means, exceeds the one mean that is
            solved for; `l2` counts beside the former.

    Attributes:
        name: as of a phase.
        state: variables of the head.
        epochs: as given.
        monitor: as of a phase.
        lower_is_better: as of a phase.
    """

    monitor, lower_is_better = "val_loss", True

    def __init__(self, task: Task, epochs: int, train: linear.Examples | None = None, scale: float = 1.0):
        self._task, self._scale = task, scale
        self._train = task.train.examples if train is None else train
        self.name, self.state, self.epochs = "head", task.head.variables, epochs

    def solve(self) -> linear.Path:
        """Finds the optimum along a path of L2 strengths, puts it into the head and returns the path."""
        task, options = self._task, self._task.head_options
        if options.l2 is not None:
            options = options.model_copy(update={"l2": options.l2 / self._scale})

        def report(done: int, step: linear.Step) -> None:
            told = {"l2": step.l2 * self._scale, "val_loss": step.figures["val_loss"]}
            progress.report(task.stage, done, None, "strengths", **told)

        path = task.target.solve(self._train, task.eval.examples, options, report)
        steps = [dataclasses.replace(step, l2=step.l2 * self._scale) for step in path.steps]
        step = steps[path.chosen]
        if not step.converged:
            log.warning("%s: the head is not at its optimum after %d iterations", task.stage, step.iterations)
        heads.set_linear(task.head, path.model.kernel, path.model.bias, step.l2)
        return dataclasses.replace(path, steps=steps)
