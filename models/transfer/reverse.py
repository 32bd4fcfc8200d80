"""Reverse validation: the weight of an alignment chosen without a label of the target domain.

For each weight: learn from the labelled source and the unlabelled target; let that model label the target; learn with
the same weight from the target so labelled and the source without labels, with a fresh head; and score this reverse
model on eval examples of the source, whose labels are known. A model that has lost what the domains share cannot find
the way back. The weight with the highest score is taken, of equal ones the smallest.

Zhong, Fan, Yang, Verscheure and Ren, "Cross Validation Framework to Choose Amongst Models and Datasets for Transfer
Learning", ECML PKDD 2010; used for DANN by Ganin et al., JMLR 17, 2016, section 5.1.2.

Limits: it sees whether classes stay apart on the way there and back, not whether they were exchanged. A target that is
inverted passes. Differences within the noise of the source's eval split are luck.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graft.models.errors import GraftError

if TYPE_CHECKING:
    from graft.models.history import Finding, History
    from graft.models.task import Task

_EVAL_SHARE = 5
"""One of so many target examples stops the reverse training early."""


def chosen(task: Task, weights: Sequence[float], train: Callable[..., History]) -> tuple[float, Finding]:
    """The weight that reverse validation finds best, and what it found of each.

    Args:
        task: on cached features; it is not trained.
        weights: to choose from, ascending.
        train: fits a task, given as its first argument, with a `weight`.

    Raises:
        GraftError: no weight gave a model.
    """
    from graft.models.history import Finding

    scores: dict[float, float] = {}
    faults: dict[float, str] = {}
    for weight in weights:
        try:
            scores[weight] = reverse_score(task, functools.partial(train, weight=weight))
        except GraftError as error:  # it diverged or collapsed: no candidate
            faults[weight] = str(error)
    if not scores:
        raise GraftError(
            f"transfer.weight: none of {', '.join(f'{weight:g}' for weight in weights)} gave a model by reverse "
            f"validation; the first: {next(iter(faults.values()))}"
        )
    best = max(scores, key=lambda weight: (scores[weight], -weight))
    name = task.target.score_name
    told = [f"{weight:g}: {scores[weight]:.3f}" if weight in scores else f"{weight:g}: no model" for weight in weights]
    words = (
        f"Of the weights {', '.join(told)} ({name} of the reverse model on eval examples of the source) {best:g} was "
        "taken; no label of the target domain was looked at."
    )
    return best, Finding("weight", best, words)


def reverse_score(task: Task, train: Callable[[Task], History]) -> float:
    """The mean score on the source's eval examples of a model that learned from what another said of the target.

    Args:
        task: on cached features; it is not trained.
        train: fits a task.

    Raises:
        GraftError: one of the two models collapsed or diverged.
    """
    import numpy as np

    from graft.models.adaptation import pseudo_labels, require_adapted
    from graft.models.outputs import trained_outputs
    from graft.models.task import Split

    forth = _fresh(task)
    train(forth)
    require_adapted(forth, lambda split: trained_outputs(forth, split), task.options.most_of_one)  # type: ignore[attr-defined]
    assert task.unlabelled is not None
    features = np.asarray(task.unlabelled.features[:])
    labels = pseudo_labels(task, trained_outputs(forth, task.unlabelled))
    held = np.arange(len(labels)) % _EVAL_SHARE == _EVAL_SHARE - 1
    if not held.any():
        held[-1] = True
    back = _fresh(
        task,
        train=Split(features[~held], labels[~held]),
        eval=Split(features[held], labels[held]),
        unlabelled=task.train,
        unlabelled_eval=None,
    )
    train(back)
    answers = task.target.measured(trained_outputs(back, task.eval))
    return float(task.target.scores(task.eval.targets, answers).mean())


def _fresh(task: Task, **changed: object) -> Task:
    """The same task with a head that has learned nothing, and without checkpoint and log."""
    from graft.models.heads import build_head

    with task.strategy.scope():
        head = build_head(task.target.units, task.head.input_shape[1], task.head_options, task.training.seed)
    return dataclasses.replace(task, head=head, checkpoint=None, log_dir=None, **changed)  # type: ignore[arg-type]
