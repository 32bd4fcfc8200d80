"""TrAdaBoost: boosting on the target that turns away from source examples which contradict it.

    for t = 1 .. N, with weights w_i that begin at 1:
        h_t = a linear head solved on source and target under the weights w / sum w
        e_t = sum over the target w_i [h_t(x_i) != y_i] / sum over the target w_i
        source: w_i *= b^[h_t(x_i) != y_i],       b = 1 / (1 + sqrt(2 ln n / N))
        target: w_i *= b_t^-[h_t(x_i) != y_i],    b_t = e_t / (1 - e_t)
    answer: the vote of h_t for t = N/2 .. N, each with share log(1 / b_t)

n is the number of source examples, N that of `learners`, [.] is 1 where it holds and 0 else. A source example that the
learners get wrong loses weight, as an expert of weighted majority does; a target example that they get wrong gains it,
as in AdaBoost. Dai, Yang, Xue and Yu, "Boosting for Transfer Learning", ICML 2007; its N is 100, and 10 does as well on
text in the experiments of ADAPT. (Their code has e / (2 - e) for b_t, their docstring and the paper e / (1 - e).)

Where this differs from the paper:

- e_t must be below 1/2. It is kept from half an example of the target's m, 1 / (2 m), up to .01 below what a learner
  by chance has; at 0 one learner would have all the say.
- The paper has two classes. For k classes, 1 / b_t is (1 - e_t) / e_t (k - 1), as in SAMME (Zhu, Zou, Rosset and
  Hastie, "Multi-class AdaBoost", Statistics and Its Interface 2, 2009): a learner need only beat chance,
  e_t < 1 - 1/k. With two classes that is the paper's.
- Learners vote with their probabilities, not with one class each; the vote is a head that answers with probabilities.

Learners share one L2 strength: that which eval chooses for the first, unless `head.l2` says it. No learner or number of
them is chosen by eval. Features are those of the published backbone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, cast

from pydantic import BaseModel, Field

from graft.models.errors import GraftError
from graft.models.transfer import MethodOptions

if TYPE_CHECKING:
    import numpy as np

    from graft.models.history import History
    from graft.models.inputs.base import Input
    from graft.models.linear import Examples, Linear
    from graft.models.options import HeadOptions
    from graft.models.task import Task

REFITS = STEPS = False
_MARGIN = 0.01


class Options(MethodOptions):
    """How many learners."""

    method: Literal["tradaboost"] = "tradaboost"
    learners: int = Field(default=10, ge=2, le=200, description="Linear heads; the second half of them votes.")


def reads_inputs(options: Options) -> bool:
    """It works on cached features."""
    return False


def check(options: Options, head: HeadOptions, input: Input, target: BaseModel) -> None:
    """Refuses targets without right and wrong, and heads that are not solved.

    Raises:
        GraftError: there is one.
    """
    kind = target.kind  # type: ignore[attr-defined]
    if kind != "label":
        raise GraftError(
            f"target.kind: received {kind!r}; method 'tradaboost' counts which examples are answered wrongly, which "
            "needs one label each: allowed is label. Method 'instance_weighting' takes any target"
        )
    if not head.solved:
        raise GraftError(
            f"head: method 'tradaboost' boosts linear heads that are solved; received solver {head.solver}, hidden "
            f"{head.hidden}, dropout {head.dropout}; allowed: solver auto or lbfgs, no hidden units, no dropout"
        )


def fit(task: Task) -> History:
    """Solves one head after the other and makes their vote the task's head.

    Raises:
        GraftError: there are no labelled training examples of the source domain.
    """
    import numpy as np

    from graft.models import progress
    from graft.models.history import Finding, History
    from graft.models.ratios.sample_size import effective
    from graft.models.vote_head import build_vote

    if task.source is None:
        raise GraftError(
            "transfer.method: 'tradaboost' learns from examples of two domains; the train split has none of the source "
            "domain. Name them with data.domain, or choose another method"
        )
    options = cast(Options, task.options)
    source_count = len(task.source)
    history = History(max_epochs=max(options.learners, task.training.epochs))
    boosting = Boosting(task, options.learners)
    for number in range(1, options.learners + 1):
        started = time.monotonic()
        boosting.step()
        voters, shares = boosting.vote()
        figures = _figures(task, voters, shares)
        seconds = round(time.monotonic() - started, 4)
        history.epochs.append({"epoch": number, "phase": "learners", **figures, "seconds": seconds})
        progress.report(task.stage, number, options.learners, "learners", **figures)
    history.best_epoch = options.learners
    with task.strategy.scope():
        task.head = build_vote(*boosting.vote())
    left = boosting.weights[:source_count]
    size, share = effective(left), float(left.sum() / boosting.weights.sum())
    lost = float(np.mean(left < 0.5 * boosting.began[:source_count]))
    history.findings += [
        Finding(
            "effective sample size",
            round(size, 2),
            f"After {options.learners} learners the {source_count} source examples weigh as much as {size:.0f} that "
            f"all count the same, and hold {share:.0%} of all weight; {lost:.0%} of them lost half of theirs or more.",
        ),
        Finding("L2 strength", boosting.l2, "All learners share it; eval chose it for the first, or head.l2 names it."),
    ]
    return history


class Boosting:
    """The weights and the learners so far.

    Args:
        task: with a source.
        learners: how many there will be.

    Attributes:
        weights: float64 [n + m], of the source's examples, then the target's.
        began: what they were before the first learner: those of the data, or 1.
        l2: that the learners share, once there is one.
    """

    def __init__(self, task: Task, learners: int):
        import numpy as np

        from graft.models import linear

        assert task.source is not None
        self._task, self._source = task, len(task.source)
        self._both = linear.join(task.source.examples, task.train.examples)
        self._plain = np.asarray(self._both.weights, np.float64)
        self.began = self.weights = self._plain.copy()
        self.l2 = task.head_options.l2
        self._fall = 1 / (1 + (2 * np.log(self._source) / learners) ** 0.5)
        self._heads: list[Linear] = []
        self._shares: list[float] = []

    def step(self) -> None:
        """Solves one more learner and weighs the examples anew."""
        import numpy as np

        classes, count = self._task.target.units, len(self._task.train)
        model = self._solved()
        wrong = _answers(model, self._both) != self._both.targets
        of_target = self.weights[self._source :]
        error = float(of_target[wrong[self._source :]].sum() / of_target.sum())
        error = min(max(error, 1 / (2 * count)), 1 - 1 / classes - _MARGIN)
        rise = (1 - error) / error * (classes - 1)
        self._heads.append(model)
        self._shares.append(float(np.log(rise)))
        factors = np.where(np.arange(len(wrong)) < self._source, self._fall, rise)
        self.weights = self.weights * np.where(wrong, factors, 1.0)
        self.weights *= len(self.weights) / self.weights.sum()  # only their ratios count

    def vote(self) -> tuple[list[Linear], list[float]]:
        """The second half of the learners so far, and their shares."""
        first = -(-len(self._heads) // 2) - 1
        return self._heads[first:], self._shares[first:]

    def _solved(self) -> Linear:
        import dataclasses

        task = self._task
        examples = dataclasses.replace(self._both, weights=self.weights)
        options = task.head_options.model_copy(update={"l2": self.l2})
        path = task.target.solve(examples, task.eval.examples, options, lambda done, step: None)
        self.l2 = path.steps[path.chosen].l2
        return path.model


def _answers(model: Linear, examples: Examples) -> np.ndarray:
    """The class that a learner gives each example, int [n]."""
    import numpy as np

    parts = [features @ model.kernel + model.bias for features, _, _ in examples.slices()]
    return np.concatenate([part.argmax(axis=1) for part in parts])


def _figures(task: Task, voters: list[Linear], shares: list[float]) -> dict[str, float]:
    """Mean loss and accuracy of a vote on the target's training examples, and on eval as `val_`."""
    import numpy as np
    from scipy.special import softmax

    parts, found = np.asarray(shares) / np.sum(shares), {}
    for prefix, split in (("", task.train), ("val_", task.eval)):
        losses, right = [], []
        for features, targets, _ in split.examples.slices():
            votes = [softmax(features @ voter.kernel + voter.bias, axis=1) for voter in voters]
            mean = np.tensordot(parts, np.stack(votes), axes=1)
            losses.append(-np.log(mean[np.arange(len(targets)), targets] + 1e-30))
            right.append(mean.argmax(axis=1) == targets)
        found[f"{prefix}loss"] = float(np.concatenate(losses).mean())
        found[f"{prefix}accuracy"] = float(np.concatenate(right).mean())
    return found
