"""train: the new head, and the backbone where the transfer method says so."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.fn_args import TENSORBOARD
from graft.models.page import Axes, Block, Column, Plot, Series, Table, Text
from graft.models.run_warning import RunWarning
from graft.models.transfer import METHODS
from graft.pipeline.metadata import Execution
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base
from graft.pipeline.stages.settings import settings

LAST_EPOCH = "last_epoch_best"
_SHORT = 60
"""Characters of findings that a result line has room for."""


class Train(base.Stage):
    """Trains and exports the candidate."""

    name = "train"
    needs = "train.batch_size or the sizes in section input"
    shown = ("model_run",)
    accelerated = distributed = True

    def wire(self, wiring):
        from graft.components.train.component import Trainer
        from graft.components.train.executor import Parameters

        return Trainer(
            examples=wiring.output("ingest", "examples"),
            transform_graph=wiring.output("transform", "transform_graph"),
            schema=wiring.output("schema", "schema"),
            features=wiring.output("features", "features"),
            parameters=Parameters(custom_config=settings(wiring), code=wiring.keys.code),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        history = base.read_json(outputs, "model_run", "history.json")
        logs = pathlib.Path(outputs["model_run"].uri, TENSORBOARD)
        result.tensorboard = str(logs) if logs.is_dir() else None
        best = history["epochs"][history["best_epoch"] - 1]
        solved = "head solved, " if history["path"] else ""
        epochs = len(history["epochs"]) - bool(solved)
        trained = f"{epochs} epochs, " if epochs else ""
        # What the target shows, or else the loss.
        name = next((name for name in figures(history) if name != "loss"), "loss")
        told = "".join(f", {found['name']} {_value(found)}" for found in findings(history))
        kept = told if len(told) <= _SHORT else ""
        return f"{solved}{trained}best eval {name.replace('_', ' ')} {best[f'val_{name}']:.4f}{kept}"

    def warnings(self, ran: base.Ran) -> Sequence[RunWarning]:
        return _at_the_last(ran.json("train", "model_run", "history.json"))

    def rows(self, lineage: Mapping[str, Any]) -> Sequence[base.Row]:
        config = lineage.get("config")
        if config is None:
            return ()
        return [(name, base.inline(config[name])) for name in ("transfer", "head", "train")]

    def explain(self, execution: Execution | None) -> Sequence[base.Told]:
        history = base.read_kept(execution, "model_run", "history.json")
        if history is None or execution is None or not history["epochs"]:
            return [(base.TRANSFERRED, f"Nothing is known: no training was reached, or its history is {base.GONE}.")]
        told = [(base.TRANSFERRED, sentence) for sentence in _transferred(execution.parameters, history)]
        told += [(base.TRANSFERRED, f"{found['name'].capitalize()}: {found['words']}") for found in findings(history)]
        return [
            *told,
            (base.NOT_TRANSFERRED, "The head that the backbone was trained with: only its features are used."),
            (base.NOT_TRANSFERRED, "The new head's weights: they began anew and were learned from this data."),
        ]

    def parts(self) -> Sequence[base.Part]:
        return [base.Part("training", "Training", _training)]

    def card(self, ran: base.Ran) -> Sequence[base.Entry]:
        config = ran.config
        history = ran.json("train", "model_run", "history.json")
        hidden = f"{', '.join(map(str, config.head.hidden))} hidden units, then " if config.head.hidden else ""
        lines = [
            f"Backbone: {config.backbone.handle}, {ran.input.fed}, {ran.input.told}",
            f"Transfer: {base.inline(config.transfer.model_dump())}",
            f"Head: {hidden}one linear layer",
            f"Training: {len(history['epochs'])} epochs, weights of epoch {history['best_epoch']} (lowest eval loss)",
        ]
        lines += [f"Found out, {found['name']}: {_value(found)}. {found['words']}" for found in findings(history)]
        return [(base.THE_MODEL, line) for line in lines]


def _at_the_last(history: Mapping[str, Any]) -> list[RunWarning]:
    """A warning where the best epoch is the last of a training that its epochs ended, not its patience."""
    epochs, best = history["epochs"], history["best_epoch"]
    if not epochs or best < len(epochs):
        return []
    phase = epochs[-1]["phase"]
    ran = sum(epoch["phase"] == phase for epoch in epochs)
    # An earlier version did not write what is allowed; a head that is solved has one step, which is its optimum.
    if ran < 2 or ran < history.get("allowed", {}).get(phase, math.inf):
        return []
    text = (
        f"the best epoch, {best}, is the last one that was allowed (phase {phase.replace('_', ' ')}, {ran} epochs): "
        "more may help; raise train.epochs"
    )
    return [RunWarning(LAST_EPOCH, text)]


def _transferred(parameters: Mapping[str, Any], history: Mapping[str, Any]) -> list[str]:
    """What of the backbone is in the model, in sentences."""
    settings = parameters.get("custom_config") or {}
    handle = (settings.get("backbone") or {}).get("handle", "the backbone")
    method, best = history["method"], history["epochs"][history["best_epoch"] - 1]
    told = []
    if method in METHODS:
        told.append(f"Method {method}: {(METHODS.module(method).__doc__ or '').splitlines()[0]}")
    head = {"head", "learners"}
    moving = sum(epoch["phase"] not in head for epoch in history["epochs"])
    if not moving:
        told.append(f"All of {handle}: its weights are as they were published, and every feature comes from them.")
    elif best["phase"] in head:
        told.append(
            f"All of {handle}, as it was published: it was trained on for {moving} epochs, and no epoch was better on "
            "eval than the head on the published features."
        )
    else:
        unfrozen = (settings.get("transfer") or {}).get("unfreeze")
        part = "" if unfrozen is None else f" as far as transfer.unfreeze {unfrozen} lets it"
        told.append(
            f"{handle} as a start: its weights have moved{part}, and those of epoch {history['best_epoch']} "
            f"({best['phase'].replace('_', ' ')}) were best on eval."
        )
    return told


def findings(history: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the method found out: `name`, `value` and `words` of each; an earlier version wrote none."""
    return list(history.get("findings", []))


def _value(found: Mapping[str, Any]) -> str:
    value = found["value"]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _found_out(history: Mapping[str, Any]) -> list[Block]:
    """A table of the findings, where there are any."""
    rows = [(found["name"], _value(found), found["words"]) for found in findings(history)]
    columns = [Column("what"), Column("value", "number"), Column("what it means")]
    return [Table(columns, rows, "What the method found out")] if rows else []


def figures(history: Mapping[str, Any]) -> list[str]:
    """Names of the losses and figures that were taken of train and eval alike, the loss first."""
    first = history["epochs"][0]
    return sorted((name for name in first if f"val_{name}" in first), key=lambda name: name != "loss")


def _training(ran: base.Ran) -> Sequence[Block]:
    shown = ran.result.shows_training
    return [*_course(ran), *([Text(f"In TensorBoard: {shown}", note=True)] if shown else [])]


def _course(ran: base.Ran) -> list[Block]:
    history = ran.json("train", "model_run", "history.json")
    if not history["epochs"]:
        raise base.Absent("No epoch was recorded.")
    epochs, path = history["epochs"], history.get("path") or []
    best = epochs[history["best_epoch"] - 1]
    kept = ", ".join(f"eval {name.replace('_', ' ')} {best[f'val_{name}']:.3f}" for name in figures(history))
    words = ran.target.words
    if path and len(epochs) == 1:
        step = path[history["chosen"]]
        told = (
            f"Method {history['method']}: the head is linear and was solved to its optimum for {len(path)} L2 "
            f"strengths. The one with the lowest eval loss was kept: {step['l2']:.2g}, {kept}."
        )
        if history.get("refit", False):
            told += (
                " At that strength the head was then solved on train and eval together; the figures here are those "
                "before."
            )
        if not step["converged"]:
            told += " The solver stopped before the optimum."
        return [Text(told), *_found_out(history), _strengths(path, history["chosen"], figures(history), words)]
    counts: dict[str, int] = {}
    for epoch in epochs:
        counts[epoch["phase"]] = counts.get(epoch["phase"], 0) + 1
    phases = ", ".join(
        "the head, solved (epoch 1)" if path and phase == "head" else f"{count} epochs of {phase.replace('_', ' ')}"
        for phase, count in counts.items()
    )
    told = (
        f"Method {history['method']}: {phases}, at most {history['max_epochs']}. The weights of epoch "
        f"{history['best_epoch']} were kept: {kept}."
    )
    if history["resumed_at"] is not None:
        told += f" Training was interrupted and went on after epoch {history['resumed_at']}."
    note = (
        "Train figures are means over an epoch, with dropout and augmentation on and the weights still moving; eval "
        "figures are taken at its end."
    )
    return [Text(told), *_found_out(history), _curves(history, words), Text(note, note=True)]


def _curves(history: Mapping[str, Any], words: Mapping[str, str]) -> Plot:
    """Loss and figures by epoch, train against eval; `epochs` holds at least one, `best_epoch` counts from 1."""
    epochs, best = history["epochs"], history["best_epoch"]
    x = range(1, len(epochs) + 1)
    starts = [i for i in range(len(epochs)) if i == 0 or epochs[i]["phase"] != epochs[i - 1]["phase"]]
    axes = [
        Axes(
            "epoch",
            words.get(name, name),
            _train_and_eval(x, epochs, name),
            x_range=(0.5, len(epochs) + 0.5),
            y_range=_range(epochs, name),
            whole="x",
            lines=[(best, f"best epoch, {best}")],
            notes=[(i + 0.5, epochs[i]["phase"].replace("_", " ")) for i in starts],
        )
        for name in figures(history)
    ]
    return Plot(f"{_listed(figures(history))} by epoch, train against eval", axes)


def _strengths(path: Sequence[Mapping[str, Any]], chosen: int, names: Sequence[str], words: Mapping[str, str]) -> Plot:
    """Loss and figures along a path of L2 strengths, train against eval; `chosen` is the index of the step taken."""
    x = [step["l2"] for step in path]
    axes = [
        Axes(
            "L2 strength (strong to weak)",
            words.get(name, name),
            _train_and_eval(x, path, name),
            y_range=_range(path, name) or (0, None),
            log_x=True,
            falling_x=True,
            lines=[(x[chosen], f"chosen, {x[chosen]:.2g}")],
        )
        for name in names
    ]
    return Plot(f"{_listed(names)} by L2 strength, train against eval", axes)


def _train_and_eval(x: Sequence[float], rows: Sequence[Mapping[str, Any]], name: str) -> list[Series]:
    return [
        Series("train", x, [row[name] for row in rows], "joined"),
        Series("eval", x, [row[f"val_{name}"] for row in rows], "joined", tone="second"),
    ]


def _range(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[float | None, float | None] | None:
    """From 0 to 1 for what is a share; what is not, and losses, fit themselves."""
    shares = name != "loss" and all(0 <= row[key] <= 1 for row in rows for key in (name, f"val_{name}"))
    return (0, 1.02) if shares else None


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names).replace("_", " ").capitalize()
