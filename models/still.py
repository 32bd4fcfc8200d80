"""Networks that only look: what they compute is no part of any gradient, and keeps nothing in memory for one."""

from collections.abc import Callable
from typing import Any

from tensorflow.python.eager import record

from graft.models.backbone import Backbone
from graft.models.task import Task


def looking(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gradient tapes do not see.

    A tape watches the variables of every network that it sees and keeps what each layer gave, also where no gradient
    is asked for; `tf.stop_gradient` comes too late for that.
    """

    def call(*arguments: Any) -> Any:
        with record.stop_recording():
            return function(*arguments)

    return call


def published_copy(backbone: Backbone) -> Backbone:
    """A second network with the weights that a backbone has now, which stay; a second network in memory too.

    Args:
        backbone: left as it is; called where its variables live.
    """
    copy = Backbone.from_config({**backbone.get_config(), "unfrozen": 0.0})
    for still, moving in zip(copy.body.variables, backbone.body.variables, strict=True):
        still.assign(moving.numpy())
    copy.lend()
    return copy


def comes_unchanged(task: Task) -> bool:
    """Whether the training examples reach the backbone as they are stored, so that what a network that only looks makes
    of them is known beforehand."""
    assert task.backbone is not None
    mixes = getattr(task.options, "mixup", 0) or getattr(task.options, "recipe", None)  # which may mix, by its rule
    return not task.backbone.takes.augments and not mixes
