"""The transfer methods by name. A new method is one new file here and one entry in METHODS;
one of another package is an entry point of the group `graft.methods`.

A method's file holds

- `Options`: its settings, a `MethodOptions`;
- `reads_inputs(options)`: whether it trains on inputs (then augmentation applies) or on cached features only;
- `REFITS`: whether nothing chooses weights by eval after the head, so that a head may be refitted on it;
- `ADAPTS`, optional: True where it learns from a labelled source domain and a target domain without labels; then
  `task.train` and `task.eval` are of the source, and `task.unlabelled` of the target. Or a function of the options;
- `UNLABELLED`, likewise: whether examples without labels may lie beside the labelled ones, as `task.unlabelled`;
- `SOLVES`, optional: True where all that it learns on cached features is a head, which is solved where it can be;
- `STEPS`, optional: False where several workers cannot share a batch, for there are no steps, or its loss is of the
  batch as a whole and no sum over examples. Or a function of the options;
- `check(options, head, input, target)`, where the method has limits: raises a GraftError with key, value received and
  what is allowed, for settings of its own that exclude each other and for heads, inputs and targets that it cannot do;
- `fit(task)`: trains `task.head`, and `task.backbone` where the method does, and returns a `models.history.History`.

Neither this file nor a method's file imports Keras at its top, so that a configuration is checked quickly.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from graft.models.errors import GraftError
from graft.models.inputs.base import Input
from graft.models.options import HeadOptions
from graft.models.registry import Registry

METHODS = Registry(
    "transfer.method",
    {
        "bss": "graft.models.transfer.bss",
        "coral": "graft.models.transfer.coral",
        "dann": "graft.models.transfer.dann",
        "deep_coral": "graft.models.transfer.deep_coral",
        "delta": "graft.models.transfer.delta",
        "distil": "graft.models.transfer.distil",
        "fine_tune": "graft.models.transfer.fine_tune",
        "frozen": "graft.models.transfer.frozen",
        "instance_weighting": "graft.models.transfer.instance_weighting",
        "joint": "graft.models.transfer.joint",
        "l2_sp": "graft.models.transfer.l2_sp",
        "mk_mmd": "graft.models.transfer.mk_mmd",
        "prune": "graft.models.transfer.prune",
        "standardise": "graft.models.transfer.standardise",
        "select": "graft.models.transfer.select",
        "tradaboost": "graft.models.transfer.tradaboost",
    },
    default="frozen",
    group="graft.methods",
    needs=("fit", "reads_inputs", "REFITS"),
)


class MethodOptions(BaseModel):
    """What the settings of all methods have in common."""

    model_config = ConfigDict(extra="forbid")

    method: str

    def refuse(self, head: HeadOptions, input: Input, target: BaseModel) -> None:
        """Refuses what settings that several methods share cannot do; arguments as for `check_options`.

        Raises:
            GraftError: with key, value received and what is allowed.
        """


def parse_options(transfer: Mapping[str, Any]) -> MethodOptions:
    """The settings of a method from the `transfer` section as JSON types.

    Raises:
        GraftError: no method has that name; the message gives the nearest one.
        pydantic.ValidationError: a setting is not one of the method's.
    """
    options = METHODS.options(transfer.get("method", METHODS.default)).model_validate(transfer)
    assert isinstance(options, MethodOptions)
    return options


def reads_inputs(options: MethodOptions) -> bool:
    """Whether a method with these settings trains on inputs, or on cached features only."""
    return METHODS.module(options.method).reads_inputs(options)


def adapts(options: MethodOptions) -> bool:
    """Whether the method learns from a labelled source domain and a target domain without labels."""
    return _told(options, "ADAPTS")


def takes_unlabelled(options: MethodOptions) -> bool:
    """Whether the method takes examples without labels."""
    return adapts(options) or _told(options, "UNLABELLED")


def in_steps(options: MethodOptions, head: HeadOptions) -> bool:
    """Whether the method is trained by steps over batches that several workers can share, to the same result.

    Mixup, which a recipe may bring too, pairs the examples of a whole batch.
    """
    module = METHODS.module(options.method)
    solved = getattr(module, "SOLVES", False) and head.solved and not reads_inputs(options)
    paired = getattr(options, "mixup", 0) or getattr(options, "recipe", None)
    steps = getattr(module, "STEPS", True)
    return bool(steps(options) if callable(steps) else steps) and not solved and not paired


def _told(options: MethodOptions, name: str) -> bool:
    """What a method's module says of itself: a bool, or a function of the options."""
    told = getattr(METHODS.module(options.method), name, False)
    return told(options) if callable(told) else told


def check_options(options: MethodOptions, head: HeadOptions, input: Input, target: BaseModel) -> None:
    """Refuses settings that the method cannot honour, before any data is read.

    Args:
        options: of the method.
        head: of the head.
        input: what the backbone is fed with.
        target: the settings of what is predicted, which have a `kind`.

    Raises:
        GraftError: augmentation with a method that trains on cached features; a head refitted on eval with a method
            that goes on to choose weights by eval; what the settings or the method's own `check` refuse.
    """
    method, module = options.method, METHODS.module(options.method)
    if head.refit and not module.REFITS:
        raise GraftError(
            f"head.refit: method {method!r} trains on after the head and chooses its weights by the eval loss, which "
            "must not have been learned from; leave out head.refit or use method 'frozen'"
        )
    if input.augments and not reads_inputs(options):
        augment = input.options.augment.model_dump(exclude_defaults=True)
        raise GraftError(
            f"input.augment: method {method!r} trains on features that are computed once from the unchanged "
            f"{input.unit}, so augmentation has no effect; received {augment}. "
            f"Remove input.augment or choose a method that trains on {input.unit}, such as 'fine_tune'"
        )
    options.refuse(head, input, target)
    if check := getattr(module, "check", None):
        check(options, head, input, target)
