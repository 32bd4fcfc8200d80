"""Joint training: target and source examples at once, the source's with a weight.

    minimise  L_target + weight * L_source

Both losses are means over the examples of their domain, so the weight is the trade-off of Ben-David et al., "A theory
of learning from different domains", Machine Learning 79, 2010: alpha = 1 / (1 + weight). The source must be labelled
with the target's own names. Only eval examples of the target domain choose the weights.

A linear head on frozen features is solved: the sum of two convex losses is one. Any other head is trained, on two
streams. With `unfreeze` the backbone then moves too, on the inputs of both domains.

Weight 0 is training on the target alone, bit for bit; with dropout only up to its masks, for the source draws some too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from graft.models.errors import GraftError
from graft.models.transfer import MethodOptions

if TYPE_CHECKING:
    from graft.models.history import History
    from graft.models.linear import Examples
    from graft.models.objectives import Term
    from graft.models.phase import Phase
    from graft.models.solved_head import SolvedHead
    from graft.models.task import Task

REFITS, SOLVES = False, True


class MixedOptions(MethodOptions):
    """How much the source domain counts, and whether the backbone moves."""

    weight: float = Field(default=1.0, ge=0.0, description="Weight of the source's mean loss; the target's weighs 1.")
    unfreeze: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Share of the backbone's layers, from the top, that is trained after the head; 0: none.",
    )
    learning_rate: float = Field(default=1e-5, gt=0.0, description="Adam's learning rate where the backbone moves.")
    epochs: int = Field(default=5, ge=1, description="Most epochs, over the target examples, of a moving backbone.")


class Options(MixedOptions):
    """Every example of the source counts the same."""

    method: Literal["joint"] = "joint"


def reads_inputs(options: MixedOptions) -> bool:
    """Where the backbone moves."""
    return options.unfreeze > 0


def fit(task: Task) -> History:
    """Fits the head on both domains, then, with `unfreeze`, the top of the backbone with it.

    Raises:
        GraftError: there are no labelled training examples of the source domain.
    """
    from graft.models import loop

    return loop.run(task, phases(task, cast(Options, task.options)))


def phases(task: Task, options: MixedOptions) -> list[Phase | SolvedHead]:
    """The head on both domains, then, with `unfreeze`, the top of the backbone with it.

    Args:
        task: its source may have weights, which count within the source.
        options: of the method.

    Raises:
        GraftError: there are no labelled training examples of the source domain.
    """
    from graft.models.standard_phases import backbone_phase

    if task.source is None:
        raise GraftError(
            f"transfer.method: {options.method!r} learns from examples of two domains; the train split has none of the "
            "source domain. Name them with data.domain, or choose another method"
        )
    found = [_head_phase(task, options.weight)]
    if options.unfreeze:
        assert task.backbone is not None
        task.backbone.unfreeze(options.unfreeze)
        streams, terms = {"source": task.inputs(task.source)}, [_source_loss(task, options.weight)]
        found.append(backbone_phase(task, options.epochs, options.learning_rate, streams=streams, terms=terms))
    return found


def _head_phase(task: Task, weight: float) -> Phase | SolvedHead:
    """The head on cached features of both domains."""
    from graft.models.solved_head import SolvedHead
    from graft.models.standard_phases import trained_head_phase

    if task.head_options.solved:
        return SolvedHead(task, task.training.epochs, _both(task, weight), scale=1 + weight)
    streams, terms = {"source": task.arrays(task.source)}, [_source_loss(task, weight)]
    return trained_head_phase(task, task.training.epochs, streams, terms)


def _source_loss(task: Task, weight: float) -> Term:
    """The target's loss of the source's examples, as `source_loss`."""
    from graft.models.objectives import Plain, Seen, labelled
    from graft.models.phase import Outcome

    def source_loss(seen: Mapping[str, Seen]) -> Outcome:
        source = labelled(task.target, seen["source"].batch, seen["source"].outputs, True)
        return Outcome({"source_loss": source.losses["loss"]}, weights={"source_loss": weight})

    return Plain(source_loss)


def _both(task: Task, weight: float) -> Examples:
    """Target and source examples, so weighed that the mean of all their losses is (L_target + weight * L_source) /
    (1 + weight); figures are of the target's."""
    import numpy as np

    from graft.models import linear

    target, source = task.train.examples, task.source.examples
    if not weight:
        return target
    share = weight * len(target.targets) / len(source.targets)
    weighed = source.weighed(np.full(len(source.targets), share, np.float32))
    return linear.join(target, weighed, measured=len(target.targets))
