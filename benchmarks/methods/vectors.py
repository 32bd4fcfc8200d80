"""Tasks whose examples are vectors: what a backbone would give is there already."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.methods.form import Result
from graft.models.heads import build_head
from graft.models.history import History
from graft.models.options import HeadOptions, TrainOptions
from graft.models.outputs import head_outputs
from graft.models.targets import make_target
from graft.models.targets import parse_options as parse_target
from graft.models.task import Split, Task
from graft.models.transfer import METHODS, adapts, parse_options

Rows = tuple[np.ndarray, np.ndarray]
"""Features float [n, d], and encoded targets [n, ...]."""


def train(
    transfer: Mapping[str, Any],
    rows: Mapping[str, Rows],
    target: Mapping[str, Any],
    names: Sequence[str],
    head: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> tuple[np.ndarray, Result]:
    """Fits a head by a method.

    Args:
        transfer: keys of the section `transfer`.
        rows: `train`, `eval` and `test`; `source` too, and for a method that looks at no label of the target
            `source_eval`, in the place of `eval`.
        target: keys of the section `target`.
        names: of its outputs.
        head: keys of the section `head`; a linear one by default.
        training: keys of the section `train`.

    Returns:
        answers for `test`, and a result without scores.
    """
    options = parse_options(transfer)
    splits = {name: Split(np.asarray(part[0], np.float32), part[1]) for name, part in rows.items()}
    blind = adapts(options)
    learned, chosen = (splits["source"], splits["source_eval"]) if blind else (splits["train"], splits["eval"])
    made = make_target(parse_target(target), names).fitted(learned.targets)
    layers, settings = HeadOptions.model_validate(head or {}), TrainOptions.model_validate(training or {})
    network = build_head(made.units, learned.features.shape[1], layers, settings.seed)
    task = Task(
        made,
        None,
        network,
        learned,
        chosen,
        options,
        settings,
        source=None if blind else splits.get("source"),
        unlabelled=splits["train"] if blind else None,
        head_options=layers,
    )
    started = time.process_time()
    history: History = METHODS.module(options.method).fit(task)
    seconds = time.process_time() - started
    answers = made.measured(head_outputs(task.head, task.arrays(splits["test"]).ordered()))
    findings = {finding.name: finding.value for finding in history.findings}
    return answers, Result(np.zeros(0), seconds, history.steps, findings)
