"""Makes a reference while examples pass by on their way to the model: none is read or answered a second time."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.models.inputs.base import Input, Refused
from graft.models.signals import quality
from graft.models.signals.histogram import Categories, Numbers, Signal
from graft.models.signals.reference import Group, Reference
from graft.models.signals.vectors import ROWS as VECTORS
from graft.models.signals.vectors import Vectors
from graft.models.targets.base import Target

ROWS, CALLS = 10_000, 256
"""A reference counts the first examples, at most `ROWS`, and no more once they have cost as much as `CALLS` calls of
`Input.verify` (images: 4.3 billion pixels, 350 photos of 12 megapixels). Ingestion orders examples by their sha256, so
they are a random sample. More would take time and say little more: what is compared with them is smaller."""

_ANSWERS = ("yes", "no")
_CLASSES = 1000
"""The first classes, which have a bin each; those beyond share one."""


class Collector:
    """Watches contents, and puts them and the answers to them together.

    Args:
        input: of the model, with the settings that decide what may enter.
        learned: of `Input.learned`.
    """

    def __init__(self, input: Input, learned: Mapping[str, Any]):
        self.input, self.learned = input, dict(learned)
        self._watch = input.watcher(learned)
        self._rows = self._cost = 0
        self._values: dict[str, list] = {name: [] for name in input.SIGNALS}
        self._facts: dict[str, list] = {name: [] for name in input.FACTS}
        self._vectors: list[np.ndarray] = []
        self._embedded = 0

    def see(self, content: bytes, facts: Mapping[str, Any]) -> None:
        """Takes the next content.

        Args:
            content: as a request would carry it.
            facts: of ingestion, by the names of `Input.FACTS`; texts as bytes.
        """
        if self._rows == ROWS or self._cost >= CALLS * self.input.BATCH_COST:
            return
        self._rows += 1
        with contextlib.suppress(Refused):
            self._cost += self.input.cost(self.input.admit(content))
        found = self._watch(content)
        for name, values in self._values.items():
            values.append(found[name])
        for name, values in self._facts.items():
            values.append(facts[name])

    def embed(self, vectors: np.ndarray) -> None:
        """Takes the feature vectors float [n, d] of the next contents, in the order of `see`."""
        if self._embedded < VECTORS:
            self._vectors.append(vectors)
            self._embedded += len(vectors)

    def reference(
        self, target: Target, encoded: np.ndarray, answers: np.ndarray, made_by: Mapping[str, Any]
    ) -> Reference:
        """What was seen, and the answers to it.

        Args:
            target: of the model.
            encoded: the truth, one row a content.
            answers: what `target.answer_name` holds, one row a content.
            made_by: see `Reference`.
        """
        encoded, answers = encoded[: self._rows], answers[: self._rows]
        signals: dict[str, Signal] = {}
        counts: dict[str, tuple[int, ...]] = {}
        group: dict[str, Group] = {}
        sides: tuple[tuple[Group, Mapping[str, str | None], Mapping[str, list]], ...] = (
            ("input", self.input.SIGNALS, self._values),
            ("prediction", target.watched, target.signals(answers)),
        )
        for side, units, values in sides:
            for name, unit in units.items():
                known = target.names if side == "prediction" else ()
                signals[name] = _fitted(name, unit, values[name], known)
                counts[name] = signals[name].counts(values[name])
                group[name] = side
        return Reference(
            signals=signals,
            counts=counts,
            group=group,
            rows=len(answers),
            quality=quality.measured(target, encoded, answers, signals),
            input=self.input.options.model_dump(mode="json"),
            target=target.description(),
            learned=self.learned,
            facts={name: _admitted(values) for name, values in self._facts.items() if values},
            made_by=dict(made_by),
            vectors=Vectors.of(np.concatenate(self._vectors)[: self._rows]) if self._vectors else None,
        )


def _fitted(name: str, unit: str | None, values: Sequence, known: Sequence[str]) -> Signal:
    """What is known to occur has a bin, met or not: bins that are chosen for being full mislead a test."""
    if unit is not None:
        return Numbers.fit(name, unit, values)
    met = set(values) - {None}
    for closed in (known, _ANSWERS):
        if met and met <= set(closed):
            return Categories(name, tuple(closed[:_CLASSES]))
    return Categories.fit(name, values)


def _admitted(values: list) -> dict[str, Any]:
    """The type and the range of a fact; of texts the values, the most frequent ones."""
    if isinstance(values[0], bytes):
        found = Categories.fit("", (value.decode() for value in values))
        return {"type": "text", "values": sorted(found.values)}
    return {"type": "number", "least": min(values), "most": max(values)}
