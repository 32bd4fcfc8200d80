"""Tasks of methods that need features only, from arrays."""

from typing import Any

import numpy as np

from graft.models.heads import build_head
from graft.models.options import HeadOptions, TrainOptions
from graft.models.targets import make_target
from graft.models.targets import parse_options as parse_target
from graft.models.task import Split, Task
from graft.models.transfer import parse_options

Rows = tuple[np.ndarray, np.ndarray]
"""Features [n, d] and encoded targets."""


def feature_task(
    method: dict[str, Any],
    train: Rows,
    evaluate: Rows,
    source: Rows | None = None,
    target: dict[str, Any] | None = None,
    names: tuple[str, ...] = ("no", "yes"),
    head: dict[str, Any] | None = None,
    **training: Any,
) -> Task:
    """A task without a backbone; its head is linear and solved unless `head` says otherwise."""
    made = make_target(parse_target(target or {"kind": "label"}), names).fitted(train[1])
    options = HeadOptions.model_validate(head or {})
    splits = [Split(np.asarray(rows[0], np.float32), rows[1]) for rows in (train, evaluate)]
    return Task(
        made,
        None,
        build_head(made.units, train[0].shape[1], options),
        *splits,
        parse_options(method),
        TrainOptions(**training),
        source=None if source is None else Split(np.asarray(source[0], np.float32), source[1]),
        head_options=options,
    )
