"""The phase of a training in which a linear head is solved on cached features instead of being trained."""

import logging

from graft.models import heads, logistic, progress
from graft.models.task import Task, class_weights

log = logging.getLogger(__name__)


class SolvedHead:
    """A phase without epochs; one entry in the history.

    Args:
        task: its head is linear, without dropout.
        epochs: what a head that is trained would be given; counts for the budget of references.

    Attributes:
        name: as of a phase.
        state: variables of the head.
        epochs: as given.
    """

    def __init__(self, task: Task, epochs: int):
        self._task = task
        self.name, self.state, self.epochs = "head", task.head.variables, epochs

    def solve(self) -> logistic.Path:
        """Finds the optimum along a path of L2 strengths, puts it into the head and returns the path."""
        task, options = self._task, self._task.head_options
        smoothing, classes = task.training.label_smoothing, len(task.classes)
        weights = class_weights(task.training.class_weights, task.train.labels, task.classes)
        train = logistic.Examples(task.train.features, task.train.labels, weights[task.train.labels])
        evaluate = logistic.Examples(task.eval.features, task.eval.labels, weights[task.eval.labels])

        def report(done: int, step: logistic.Step) -> None:
            progress.report(task.stage, done, None, "strengths", l2=step.l2, val_loss=step.val_loss)

        path = logistic.solve_path(train, evaluate, classes, options.l2, smoothing, report)
        step, model = path.steps[path.chosen], path.model
        if not step.converged:
            log.warning("%s: the head is not at its optimum after %d iterations", task.stage, step.iterations)
        if options.refit:
            model = logistic.refit(train, evaluate, classes, step.l2, smoothing)
        heads.set_linear(task.head, model.kernel, model.bias, step.l2)
        return path
