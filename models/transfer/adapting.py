"""What the methods have in common that align two domains by a term of the loss: settings, phases, choice of the weight.

    minimise  L_source + weight * D(h(source), h(target))

h is what the last layer of the head sees: the last hidden layer on cached features, where `head.hidden` must name one,
or that, or the features themselves, on top of a backbone that moves (`unfreeze`). The gradients of both terms reach all
below. No label of the target domain is looked at: early stop and best weights go by the same sum on eval examples of
the source and on examples of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

from pydantic import Field, field_validator

from graft.models.errors import GraftError
from graft.models.transfer import MethodOptions
from graft.models.transfer.moving import MovingOptions, Pattern

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
    from pydantic import BaseModel

    from graft.models.history import History
    from graft.models.inputs.base import Input
    from graft.models.objectives import Seen, Term
    from graft.models.options import HeadOptions
    from graft.models.phase import Batches, Data, Outcome, Phase
    from graft.models.solved_head import SolvedHead
    from graft.models.task import Split, Task

UNLABELLED_STREAM = "unlabelled"
"""Beside `target`, which holds the labelled examples, here those of the source domain."""

Alignment = Callable[["Task", float], "Term"]
"""(task, weight) -> the term that aligns, with a loss of the method's name; where it has an attribute `steps` it is
told how many optimizer steps the training takes at most."""


class WatchedOptions(MethodOptions):
    """When a model counts as collapsed."""

    most_of_one: float = Field(
        default=0.95,
        gt=0.0,
        le=1.0,
        description="Largest share of the target's examples that may be given one class; more stops the run.",
    )


class AdaptingOptions(MovingOptions, WatchedOptions):
    """How strongly the domains are aligned, and whether the backbone moves."""

    CANDIDATES: ClassVar[tuple[float, ...]] = (0.0, 1.0)
    """The weights that `auto` tries."""

    weight: float | tuple[float, ...] | Literal["auto"] = Field(
        default=1.0,
        description="Weight of the alignment; the source's mean loss weighs 1. A list, or `auto` for one of the "
        "method's own, is chosen from by reverse validation, on cached features.",
    )
    unfreeze: Annotated[float, Field(ge=0.0, le=1.0)] | Annotated[list[Pattern], Field(min_length=1)] = Field(
        default=0.0,
        description="What of the backbone is trained: a share of its layers, from the top, or a list of names of "
        "groups and layers; 0: none, the head learns on cached features.",
    )

    @field_validator("weight")
    @classmethod
    def _not_below_0(cls, value: float | tuple[float, ...] | str) -> float | tuple[float, ...] | str:
        weights = () if isinstance(value, str) else value if isinstance(value, tuple) else (value,)
        if any(not 0 <= weight < float("inf") for weight in weights):
            raise ValueError("must be 0 or more")
        if isinstance(value, tuple) and len(set(value)) < 2:
            raise ValueError("a list must hold at least 2 weights to choose from, each once")
        return value

    @property
    def candidates(self) -> tuple[float, ...]:
        """The weights to choose from; empty where one is given."""
        if isinstance(self.weight, tuple):
            return tuple(sorted(set(self.weight)))
        return self.CANDIDATES if self.weight == "auto" else ()


def check(options: AdaptingOptions, head: HeadOptions, input: Input, target: BaseModel) -> None:
    """Refuses what leaves nothing to align, and a choice of weights that would take many trainings of a backbone.

    Raises:
        GraftError: cached features without a hidden layer; a moving backbone with weights to choose from.
    """
    if not options.unfreeze and not head.hidden:
        raise GraftError(
            f"head.hidden: method {options.method!r} aligns what the head's last hidden layer makes of the features of "
            "a frozen backbone; received none. Give head.hidden, for instance [64], set transfer.unfreeze above 0, or "
            "use coral or standardise, which align the features themselves"
        )
    if options.unfreeze and options.candidates:
        raise GraftError(
            f"transfer.weight: received {options.weight!r}; with transfer.unfreeze above 0 each weight would be "
            "another training of the backbone: give one number, or choose it with unfreeze: 0 first"
        )


def fit(task: Task, alignment: Alignment, last_epoch: bool = False) -> History:
    """Chooses the weight where there are several, trains, and tells what came of it.

    Args:
        task: see `models.transfer.ADAPTS`.
        alignment: makes the term.
        last_epoch: keep the weights of the last epoch, for a term that says nothing of how good they are.

    Raises:
        GraftError: every weight collapses or diverges; the model that was trained collapsed.
    """
    from graft.models.adaptation import distance_findings, require_adapted
    from graft.models.outputs import trained_outputs
    from graft.models.transfer.reverse import chosen

    options = cast(AdaptingOptions, task.options)
    findings = []
    if options.candidates:
        weight, finding = chosen(
            task, options.candidates, lambda one, weight: train(one, alignment, weight, last_epoch)
        )
        findings.append(finding)
    else:
        weight = cast(float, options.weight)
    history = train(task, alignment, weight, last_epoch)
    require_adapted(task, lambda split: trained_outputs(task, split), options.most_of_one)
    distances = _distances(task)
    if distances:
        findings += distance_findings(*distances, "what the last layer of the head sees")
    history.findings += findings
    return history


def train(task: Task, alignment: Alignment, weight: float, last_epoch: bool) -> History:
    """Trains with one weight."""
    from graft.models import loop
    from graft.models.phase import Phase
    from graft.models.standard_phases import trained_head_phase
    from graft.models.transfer import moving

    options = cast(AdaptingOptions, task.options)
    assert task.unlabelled is not None
    term = alignment(task, weight)
    read: Callable[..., Data] = task.inputs if options.unfreeze else task.arrays
    streams = {UNLABELLED_STREAM: read(task.unlabelled, labelled=False)}
    phases: list[Phase | SolvedHead] = (
        moving.phases(task, options, streams, [term])
        if options.unfreeze
        else [trained_head_phase(task, task.training.epochs, streams, [term])]
    )
    aligning = [phase for phase in phases if isinstance(phase, Phase) and UNLABELLED_STREAM in phase.learn.streams]
    if hasattr(term, "steps"):
        batches = -(-len(task.train) // task.training.batch_size)
        term.steps = batches * sum(phase.epochs for phase in aligning)
    for phase in aligning:
        _judge(task, phase, term, weight, last_epoch)
    return loop.run(task, phases)


def _judge(task: Task, phase: Phase, term: Term, weight: float, last_epoch: bool) -> None:
    """Judges a phase by what it minimises, on eval examples of the source and on examples of the target."""
    from graft.models.objectives import supervised
    from graft.models.phase import Pass
    from graft.models.standard_phases import through_backbone, through_head

    if last_epoch:
        phase.settles = phase.epochs - 1
        return
    if not weight:  # as any other method does
        return
    target = task.unlabelled_eval or task.unlabelled
    read: Callable[..., Data] = task.inputs if phase.backbone is not None else task.arrays
    network = through_backbone(task) if phase.backbone is not None else through_head(task)
    plain = supervised(task.target, network, False, terms=[term])

    def objective(batches: Batches) -> Outcome:
        outcome = plain(batches)
        outcome.figures["objective"] = outcome.losses["loss"] + weight * outcome.losses[task.options.method]
        return outcome

    streams = {**phase.judge.streams, UNLABELLED_STREAM: read(target, labelled=False)}
    phase.judge, phase.monitor = Pass(streams, objective), "val_objective"


def aligned(task: Task, weight: float, distance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Term:
    """A term without variables: the distance of two batches of what the last layer sees, under the method's name.

    Args:
        task: for its head and the name.
        weight: of the distance in the loss.
        distance: (float32 [n, d], float32 [m, d]) -> a scalar.
    """
    from graft.models.adaptation import representation
    from graft.models.objectives import Plain
    from graft.models.phase import Outcome

    name = task.options.method

    def term(seen: Mapping[str, Seen]) -> Outcome:
        source, target = (representation(task.head, seen[stream].features) for stream in ("target", UNLABELLED_STREAM))
        return Outcome({name: distance(source, target)}, weights={name: weight})

    return Plain(term)


def _distances(task: Task) -> tuple[float, float] | None:
    """The proxy A-distance of the cached features and of what the trained head's last layer sees of them.

    Of a backbone that moved the cached features are those before it did.
    """
    import tensorflow as tf

    from graft.models.adaptation import proxy_a_distance, representation, sample
    from graft.models.transfer import reads_inputs

    assert task.unlabelled is not None
    if min(len(task.train), len(task.unlabelled)) < 4:
        return None
    features = [sample(split.features) for split in (task.train, task.unlabelled)]
    moved = reads_inputs(task.options)
    made = [_moved(task, split) for split in (task.train, task.unlabelled)] if moved else features
    seen = [representation(task.head, tf.constant(one)).numpy() for one in made]
    return proxy_a_distance(*features), proxy_a_distance(*seen)


def _moved(task: Task, split: Split) -> np.ndarray:
    """Features of some examples by the backbone as it is now."""
    import numpy as np

    from graft.models.adaptation import MOST

    assert task.backbone is not None
    found, count = [], 0
    for batch in task.inputs(split, labelled=False).ordered():
        found.append(np.asarray(task.backbone(batch["inputs"], training=False), np.float32))
        count += len(found[-1])
        if count >= MOST:
            break
    return np.concatenate(found)
