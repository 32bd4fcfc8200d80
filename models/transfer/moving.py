"""What the methods that move the backbone have in common: their settings, and the phases made of them.

Which part moves, at which rate (r is `learning_rate`, g_1 the group of layers next to the head, g_2 the one below):

- `unfreeze`: a share of the layers from the top, or groups and layers by name (`graft backbone show` prints them).
- `layer_decay` d and `head_multiplier` m: the head learns at m r and g_k at d^(k-1) r. Low layers hold what is general
  and change less. Howard and Ruder take d = 1/2.6 ("Universal Language Model Fine-tuning", ACL 2018), which they call
  discriminative fine-tuning; for networks of many groups .65 to .9 is usual. The rate is scaled, not the gradient:
  Adam's step would not notice the latter.
- `gradual`: g_1 alone first, then one group more in each phase, from the top (gradual unfreezing, of the same paper).
- `head_first`: the head is fitted on frozen features before anything else moves (LP-FT: Kumar et al., "Fine-Tuning can
  Distort Pretrained Features", ICLR 2022, who gain 10 % out of distribution over fine-tuning at once).

How it moves: `optimizer` (`models.optimizers`), `clip`, `schedule` with `warmup` (`models.schedules`), `mixup`
(`models.mixup`), or all of that by a `recipe` (`models.recipes`). Each phase has optimizers and a schedule of its own,
and one that has a schedule runs to its end: `train.patience` ends phases of a constant rate only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from graft.models.errors import GraftError
from graft.models.transfer import MethodOptions

if TYPE_CHECKING:
    import keras
    from pydantic import BaseModel

    from graft.models.inputs.base import Input
    from graft.models.layer_groups import LayerGroup
    from graft.models.objectives import Term
    from graft.models.options import HeadOptions
    from graft.models.phase import Data, Group, Phase
    from graft.models.recipes import Recipe
    from graft.models.schedules import Plan
    from graft.models.solved_head import SolvedHead
    from graft.models.task import Task

_DROPS = (0.3, 0.6, 0.9)
_MOMENTUM = 0.9
_DECAY = 0.01

_OF_RECIPE: Mapping[str, Any] = {
    "epochs": None,
    "optimizer": "sgd",
    "momentum": _MOMENTUM,
    "weight_decay": 0.0,
    "schedule": "steps",
    "warmup": None,
    "drops": None,
    "mixup": None,
    "layer_decay": 1.0,
    "head_multiplier": 1.0,
    "gradual": False,
}
"""What a recipe sets; None: by the number of examples."""

Share = Annotated[float, Field(gt=0.0, le=1.0)]
Pattern = Annotated[str, Field(min_length=1)]


class MovingOptions(MethodOptions):
    """How much of the backbone moves, how far and for how long."""

    unfreeze: Share | Annotated[list[Pattern], Field(min_length=1)] = Field(
        default=1.0,
        description="What of the backbone is trained: a share of its layers, from the top, or a list of names of "
        "groups and layers, as `graft backbone show` prints them; `*` stands for any text.",
    )
    learning_rate: float = Field(
        default=1e-5, gt=0.0, description="The optimizer's learning rate for backbone and head, at its highest."
    )
    epochs: int = Field(default=5, ge=1, description="Most epochs of the second phase.")
    head_epochs: int | None = Field(
        default=None,
        ge=1,
        description="Most epochs of the first phase where the head is trained; as train.epochs where absent.",
    )
    head_first: bool = Field(
        default=True, description="Fit the head on frozen features first; a fresh head distorts what is below it."
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(default="adam", description="What moves backbone and head.")
    momentum: float | None = Field(default=None, ge=0.0, lt=1.0, description="Of `sgd`; absent: 0.9.")
    weight_decay: float | None = Field(
        default=None,
        ge=0.0,
        description="Of `adamw` and `sgd`, of kernels alone; absent: 0.01 with `adamw`, none with `sgd`.",
    )
    clip: float | None = Field(default=None, gt=0.0, description="Longest gradient over all that moves; null: any.")
    schedule: Literal["constant", "cosine", "slanted_triangular", "steps"] = Field(
        default="constant",
        description="How learning rates go over the steps of a phase; with any but `constant`, and with a warm-up, "
        "`train.patience` does not end it.",
    )
    warmup: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="Share of a phase's steps in which the rate rises from 0."
    )
    drops: list[Annotated[float, Field(gt=0.0, lt=1.0)]] | None = Field(
        default=None,
        min_length=1,
        description="Of `steps`: shares of a phase's steps after which the rate is a tenth; absent: 0.3, 0.6, 0.9.",
    )
    layer_decay: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="A group's learning rate is that of the group above it times this; below 1 lower groups move less.",
    )
    head_multiplier: float = Field(default=1.0, gt=0.0, description="The head's learning rate in `learning_rate`s.")
    gradual: bool = Field(
        default=False, description="Unfreeze one group more in each phase, from the top, before all move together."
    )
    gradual_epochs: int | None = Field(
        default=None, ge=1, description="Epochs of each phase of `gradual` before the last; absent: 1."
    )
    mixup: float = Field(
        default=0.0,
        ge=0.0,
        description="Alpha of mixup, training on mixtures of two examples; 0: none, usual: 0.1-0.4.",
    )
    recipe: Literal["bit"] | None = Field(
        default=None,
        description="Sets optimizer, schedule, epochs and mixup by the number of examples: `bit` is BiT-HyperRule.",
    )

    @model_validator(mode="after")
    def _settings_fit_together(self) -> MovingOptions:
        if self.recipe:
            given = {name: getattr(self, name) for name in _OF_RECIPE if name in self.model_fields_set}
            wrong = {name: value for name, value in given.items() if value not in (None, _OF_RECIPE[name])}
            if wrong:
                told = ", ".join(f"{name}: {value}" for name, value in wrong.items())
                raise ValueError(f"recipe {self.recipe!r} sets {', '.join(_OF_RECIPE)} itself; leave out {told}")
        else:
            for name, other, values in (
                ("momentum", "optimizer", ("sgd",)),
                ("weight_decay", "optimizer", ("adamw", "sgd")),
                ("drops", "schedule", ("steps",)),
            ):
                if getattr(self, name) is not None and getattr(self, other) not in values:
                    raise ValueError(
                        f"{name} {getattr(self, name)} is of {other} {' or '.join(values)}; received {other} "
                        f"{getattr(self, other)}"
                    )
        if self.warmup and self.schedule == "slanted_triangular":
            raise ValueError(f"slanted_triangular has a warm-up of its own; leave out warmup {self.warmup}")
        if self.drops and not (self.warmup < self.drops[0] and self.drops == sorted(set(self.drops))):
            raise ValueError(f"drops must rise, and begin after warmup {self.warmup}; received {self.drops}")
        if self.head_epochs is not None and not self.head_first:
            raise ValueError(f"head_epochs {self.head_epochs} needs head_first true; received false")
        if self.gradual_epochs is not None and not self.gradual:
            raise ValueError(f"gradual_epochs {self.gradual_epochs} needs gradual true; received false")
        return self

    @model_serializer(mode="wrap")
    def _without_what_a_recipe_sets(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Defaults that a recipe replaces would look like settings where they are read again."""
        given = handler(self)
        unset = {*_OF_RECIPE, "learning_rate"} - self.model_fields_set if self.recipe else ()
        return {name: value for name, value in given.items() if name not in unset}

    def refuse(self, head: HeadOptions, input: Input, target: BaseModel) -> None:
        if self.mixup and not input.blends:
            raise GraftError(
                f"transfer.mixup: received {self.mixup}; {input.unit} cannot be mixed, so only 0 is allowed"
            )


def phases(
    task: Task,
    options: MovingOptions,
    streams: Mapping[str, Data] | None = None,
    terms: Sequence[Term] = (),
    head: Phase | SolvedHead | None = None,
) -> list[Phase | SolvedHead]:
    """First the head on frozen features, then backbone and head, in one phase or, if gradual, in several.

    Args:
        task: its backbone is unfrozen as `options` say.
        options: of the method.
        streams: beside the training examples, once the backbone moves.
        terms: of the objective, once the backbone moves.
        head: the first part; by default the head on the features of the training examples.

    Raises:
        GraftError: a name to unfreeze is none of the backbone's, or there is nothing to unfreeze one after the other.
    """
    from graft.models.recipes import bit
    from graft.models.standard_phases import backbone_phase, head_phase

    found: list[Phase | SolvedHead] = []
    if options.head_first:
        found.append(head or head_phase(task, options.head_epochs or task.training.epochs))
    task.backbone.unfreeze(options.unfreeze)
    recipe = bit(len(task.train), task.training.batch_size) if options.recipe else None
    if recipe and not options.head_first:
        task.head.layers[-1].kernel.assign(task.head.layers[-1].kernel * 0.0)
    rate = recipe.learning_rate if recipe and "learning_rate" not in options.model_fields_set else options.learning_rate
    steps = -(-len(task.train) // task.training.batch_size)
    epochs = -(-recipe.steps // steps) if recipe else options.epochs
    opened = _opened(task)
    parts = [opened]
    if options.gradual:
        if len(opened) < 2:
            raise GraftError(
                f"transfer.gradual: received true, but transfer.unfreeze {options.unfreeze} opens one group of "
                f"backbone {task.backbone.handle!r} ({opened[0].name}); open more, or leave out gradual"
            )
        parts = [opened[-count:] for count in range(1, len(opened) + 1)]
    for place, part in enumerate(parts, start=1):
        last = place == len(parts)
        length = epochs if last else options.gradual_epochs or 1
        plan = _plan(options, recipe, length * steps)
        phase = backbone_phase(
            task,
            length,
            rate,
            options.method if last else f"{options.method} {place} of {len(parts)}",
            streams=streams,
            terms=terms,
            groups=_groups(task, options, part, rate, plan),
            mixup=recipe.mixup if recipe else options.mixup,
        )
        found.append(dataclasses.replace(phase, clip=options.clip, stops_early=plan.is_plain))
    return found


def _opened(task: Task) -> list[LayerGroup]:
    """The groups that move, from input to output, with those of their layers that do."""
    from graft.models.layer_groups import LayerGroup

    groups = [
        LayerGroup(group.name, [layer for layer in group.layers if any(v.trainable for v in layer.variables)])
        for group in task.backbone.groups
    ]
    return [group for group in groups if group.layers]


def _plan(options: MovingOptions, recipe: Recipe | None, steps: int) -> Plan:
    from graft.models.schedules import Plan

    if recipe:
        return Plan("steps", recipe.steps, recipe.warmup, recipe.drops)
    drops = [round(share * steps) for share in options.drops or _DROPS]
    return Plan(options.schedule, steps, round(options.warmup * steps), drops)


def _groups(task: Task, options: MovingOptions, opened: Sequence[LayerGroup], rate: float, plan: Plan) -> list[Group]:
    """Head and layers, those of one rate together."""
    from graft.models import optimizers
    from graft.models.phase import Group

    rates = {id(variable): rate * options.head_multiplier for variable in task.head.trainable_variables}
    for distance, group in enumerate(reversed(opened)):
        rates |= {id(variable): rate * options.layer_decay**distance for variable in group.variables}
    name = "sgd" if options.recipe else options.optimizer
    momentum = _MOMENTUM if options.momentum is None else options.momentum
    decay = (_DECAY if name == "adamw" else 0.0) if options.weight_decay is None else options.weight_decay
    together: dict[float, list[keras.Variable]] = {}
    for variable in [*task.head.trainable_variables, *task.backbone.trainable_variables]:
        if rates.get(id(variable)):
            together.setdefault(rates[id(variable)], []).append(variable)

    def of_rate(own: float, variables: Sequence[keras.Variable]) -> Group:
        return Group(variables, own, lambda base: optimizers.make(name, variables, plan.rate(base), momentum, decay))

    return [of_rate(own, variables) for own, variables in together.items()]
