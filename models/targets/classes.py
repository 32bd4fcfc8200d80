"""What targets whose outputs are classes share: names, counts, gates. One label or several differ in the rest."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from graft.models.errors import GraftError
from graft.models.gates import Gate, at_least, at_most
from graft.models.inputs.base import Refused
from graft.models.natural import natural_key
from graft.models.targets.base import Figures, Finding, Target

UNFIT = {
    "Cc": "a control character",
    "Cs": "half of a surrogate pair",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}
"""Unicode categories that no class name may hold: vocabulary and label list are files of one name a line."""

_SHOWN = 20


class Classes(Target):
    """A target whose outputs are classes, with settings `column` and `class_names`."""

    has_vocabulary = True
    column_keys = ("target.column",)
    stratum = "class"
    REASONS = {
        "unknown_label": "no label, or one that is not in target.class_names",
        "bad_label": "the class name holds a line break or another control character",
    }

    @property
    def columns(self) -> tuple[str, ...]:
        """One column."""
        return (self.options.column,)  # type: ignore[attr-defined]

    def allowed(self, name: str) -> str:
        """The name, if it may be a class.

        Raises:
            Refused: it is empty, holds what no name may hold, or is none of `class_names`.
        """
        if not name:
            raise Refused("unknown_label", "no label")
        if fault := name_fault(name):
            raise Refused("bad_label", fault)
        names = self.options.class_names  # type: ignore[attr-defined]
        if names is not None and name not in names:
            raise Refused("unknown_label", f"{name!r} is not in target.class_names ({', '.join(names[:_SHOWN])})")
        return name

    def strata(self, value: Sequence[Any]) -> Sequence[str]:
        """The classes of the example."""
        return value

    def check_counts(self, counts: Mapping[str, Mapping[str, int]], unit: str) -> Finding:
        """There are at least two classes, and each can be learned; one that cannot be measured is a warning."""
        found = {name for by_class in counts.values() for name, count in by_class.items() if count and name}
        names = sorted(found, key=natural_key)
        if len(names) < 2:
            there = f"one class only ({names[0]!r})" if names else "no class"
            return Finding(f"{there}; at least 2 are needed")
        missing = {name: [split for split in counts if not counts[split].get(name)] for name in names}
        unlearned = [name for name, splits in missing.items() if "train" in splits]
        if unlearned:
            rows = {name: [f"{split} {counts[split].get(name, 0)}" for split in counts] for name in unlearned}
            one = unit.removesuffix("s")
            told = "; ".join(f"{name!r} has no {one} in train ({', '.join(rows[name])})" for name in unlearned[:10])
            problem = f"what is not in train cannot be learned: {told}. Add {unit} of it there or leave it out"
            return Finding(problem, other_split=True)
        unmeasured = "; ".join(f"{name!r} in {' and '.join(splits)}" for name, splits in missing.items() if splits)
        if not unmeasured:
            return Finding()
        return Finding(warning=f"too few {unit} to measure every class; no {unit.removesuffix('s')} of {unmeasured}")

    def named(self, limits: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
        """Classes of floors."""
        floors = {f"gates.{name}": limits.get(name) for name in ("precision", "recall")}
        return {key: floor for key, floor in floors.items() if isinstance(floor, dict)}

    def read_names(self, transform_graph_path: str | Path) -> Self:
        """The classes of Transform's vocabulary."""
        return type(self)(self.options, read_vocabulary(transform_graph_path), self.facts)

    def index(self, names: Iterable[str], where: str = "") -> list[int]:
        """Places of classes.

        Raises:
            GraftError: a name is no class.
        """
        places = {name: place for place, name in enumerate(self.names)}
        try:
            return [places[name] for name in names]
        except KeyError as error:
            classes = ", ".join(self.names)
            raise GraftError(f"{where}label {error.args[0]!r} is not one of the classes {classes}") from None

    def tiled_names(self, count: Any) -> Any:
        """The class names once an example: string [count, k]."""
        import tensorflow as tf

        # A constant, not a hash table: what serves holds variables only and can be frozen to constants.
        return tf.tile(tf.constant([name.encode() for name in self.names])[None], [count, 1])

    def distance(self, answers: np.ndarray, others: np.ndarray) -> float:
        """The largest difference of a probability."""
        return float(np.max(np.abs(answers - others), initial=0.0))

    def shared_with(self, rival: Target) -> list[str]:
        """The classes that both know, in this target's order."""
        return [name for name in self.names if name in rival.names]

    def class_changes(self, rival: Target) -> Figures:
        """`classes` of a rival, and those that only this target (`added`) or only the rival (`removed`) knows."""
        return {
            "classes": list(rival.names),
            "added": [name for name in self.names if name not in rival.names],
            "removed": [name for name in rival.names if name not in self.names],
        }


def name_fault(name: str) -> str | None:
    """What keeps a text from being a class name, in words; None for one that may be used, and for the empty text."""
    for character in name:
        if kind := UNFIT.get(unicodedata.category(character)):
            return f"class name {name!r} holds {kind} ({character!r}); it must be one line of printable text"
    return None


def check_class_names(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The setting `class_names`; ValueError where the names are of no use."""
    if names is not None and (len(set(names)) < 2 or len(set(names)) != len(names)):
        raise ValueError(f"{list(names)} must hold at least 2 names, each once")
    for name in names or ():
        if fault := name_fault(name):
            raise ValueError(fault)
    return names


def read_vocabulary(transform_graph_path: str | Path) -> list[str]:
    """The class names, in the order of their indices, from the label vocabulary of a Transform output.

    Args:
        transform_graph_path: folder that Transform wrote, holding `transform_fn/`.

    Raises:
        GraftError: no vocabulary is there, a name is there twice, or there are fewer than two classes.
    """
    path = Path(transform_graph_path) / "transform_fn" / "assets" / "label"
    if not path.is_file():
        raise GraftError(f"{path}: no label vocabulary; the Transform stage writes one with vocab_filename='label'")
    classes = [line.decode() for line in path.read_bytes().splitlines()]
    if len(set(classes)) != len(classes):
        raise GraftError(f"{path}: a class name is listed twice: {classes}")
    if len(classes) < 2:
        raise GraftError(f"{path}: found {len(classes)} class ({', '.join(classes)}); a classifier needs at least 2")
    return classes


def floors(figures: Figures, limits: Mapping[str, Any], names: Sequence[str]) -> list[Gate]:
    """Floors on figures of the whole test split, where there is a limit."""
    return [at_least(name, figures[name], limits[name]) for name in names if limits.get(name) is not None]


def per_class_gates(figures: Figures, limits: Mapping[str, Any]) -> list[Gate]:
    """Floors on precision and recall of each class; a floor for an unknown class closes the gate."""
    gates = []
    table = figures["per_class"]
    for metric in ("precision", "recall"):
        limit = limits.get(metric)
        if limit is None:
            continue
        wanted = limit if isinstance(limit, dict) else dict.fromkeys(table, limit)
        for name, floor in wanted.items():
            if name not in table:
                gates.append(
                    Gate(f"{metric}[{name}]", None, floor, False, f"no such class; classes: {', '.join(table)}")
                )
            elif table[name]["support"] or isinstance(limit, dict):
                gates.append(at_least(f"{metric}[{name}]", table[name][metric], floor))
    return gates


def calibration_gates(figures: Figures, limits: Mapping[str, Any], what: str) -> list[Gate]:
    """Ceiling on the expected calibration error, less what a perfectly calibrated model would score by chance."""
    if limits.get("calibration_error") is None:
        return []
    error, bias, (low, high) = (figures[f"calibration_{name}"] for name in ("error", "bias", "interval"))
    detail = (
        f"error {error:.4f} less {bias:.4f}, what a perfectly calibrated model scores with {what}; "
        f"95 % interval {low:.4f} to {high:.4f}"
    )
    # Not Python's max, which would lose a NaN.
    return [at_most("calibration_error", float(np.maximum(error - bias, 0.0)), limits["calibration_error"], detail)]


def classes_gates(served: Figures | None, limits: Mapping[str, Any]) -> list[Gate]:
    """The list of classes is the served model's, or has grown, or may be any."""
    allowed = limits.get("classes")
    if served is None or allowed == "any":
        return []
    added, removed = (sorted(served[name]) for name in ("added", "removed"))
    refused = removed if allowed == "grow" else added + removed
    detail = f"classes other than those of served version {served['version']}: "
    detail += "; ".join(f"{word} {', '.join(names)}" for word, names in (("new", added), ("gone", removed)) if names)
    if refused:
        detail += "; gates.classes says what may change"
    return [at_most("classes", len(refused), 0, detail if added or removed else "the same as the served model's")]
