"""The transfer methods by name. A new method is one new file here and one entry in METHODS.

A method's file holds

- `Options`: its settings, a pydantic model;
- `READS_IMAGES`: whether it trains on images (then augmentation applies) or on cached features only;
- `fit(task)`: trains `task.head`, and `task.backbone` where the method does, and returns a `models.loop.History`.

Neither this file nor a method's file imports Keras at its top, so that a configuration is checked quickly.
"""

import difflib
import importlib
from types import ModuleType

from pydantic import BaseModel

from graft.models.errors import GraftError
from graft.models.options import HeadOptions, TrainOptions

METHODS = {
    "frozen": "graft.models.transfer.frozen",
    "fine_tune": "graft.models.transfer.fine_tune",
}


def get_method(name: str) -> ModuleType:
    """The module of a method.

    Raises:
        GraftError: no method has that name; the message gives the nearest one.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(str(name), METHODS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise GraftError(f"transfer.method: unknown method {name!r}{hint} Allowed: {', '.join(METHODS)}")
    return importlib.import_module(METHODS[name])


def method_options(name: str) -> type[BaseModel]:
    """The pydantic model of a method's settings."""
    return get_method(name).Options


def check_options(name: str, training: TrainOptions, head: HeadOptions) -> None:
    """Refuses settings of training and head that the method cannot honour.

    Raises:
        GraftError: augmentation with a method that trains on cached features; a head refitted on eval with a method
            that goes on to choose weights by eval.
    """
    if head.refit and get_method(name).READS_IMAGES:
        raise GraftError(
            f"head.refit: method {name!r} trains on after the head and chooses its weights by the eval loss, which "
            "must not have been learned from; leave out head.refit or use method 'frozen'"
        )
    if training.augment.enabled and not get_method(name).READS_IMAGES:
        raise GraftError(
            f"train.augment: method {name!r} trains on features that are computed once from the unchanged images, so "
            f"augmentation has no effect; received {training.augment.model_dump(exclude_defaults=True)}. "
            "Remove train.augment or choose a method that trains on images, such as 'fine_tune'"
        )
