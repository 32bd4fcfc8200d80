"""How good is each method with few labels? Curves of score against labels, beside what no transfer gives.

For each seed the labelled training examples are drawn anew, so many of each class, the fewer among the more (nested).
Every contestant learns from them; what it chooses (strength of a head, epoch of its best weights) it chooses on as
many examples a class of eval at most: whoever has 5 labels a class to learn from has no hundred to choose by. Methods
and references take the same number of optimizer steps at the least, however few examples an epoch has, and are not
stopped early: only their best eval weights count.

References are those of the negative-transfer gate (`models.references`): a linear head on the input's plain form,
and the same network from scratch, which gets the most epochs that a method of the same point might take.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graft.models import gap, progress, references
from graft.models.errors import GraftError
from graft.models.examples import TARGET_DOMAIN
from graft.models.references import REFERENCES, Comparison, Outcome
from graft.models.shared_backbone import shared_backbone
from graft.models.targets.base import Target
from graft.models.task import Split
from graft.models.trainer import make_deterministic
from graft.models.transfer import adapts, parse_options

STAGE = "curve"
STEPS = 100
"""Optimizer steps that each training takes at the least."""

ALL = None
"""Among labels: every training example."""

Labels = int | None
HELPS, HURTS, UNDECIDED = "helps", "hurts", "undecided"
_CHOOSE = ("same", "all")


def measure(
    comparison: Comparison,
    contestants: Mapping[str, Mapping[str, Any]],
    labels: Sequence[Labels],
    seeds: Sequence[int],
    chosen_references: Sequence[str] = REFERENCES,
    steps: int = STEPS,
    choose: str = "same",
) -> dict[str, Any]:
    """Trains each contestant with each number of labels under each seed.

    Args:
        comparison: the task; its `test` is what all are judged on, and its `transfer` plays no part.
        contestants: sections `transfer` by name.
        labels: of a class each; ALL for every example. For targets whose examples are not of one class: percent of the
            training examples.
        seeds: each draws examples, weights and order.
        chosen_references: some of `models.references.REFERENCES`, or none.
        steps: least optimizer steps of a training.
        choose: `same`: eval gives as many labels as train, `all`: all it has.

    Returns:
        JSON types: `unit` of the labels; `score`, what a mean score is; `seeds`; `judged_on`, the number of examples;
        `choose`; `steps`; `contestants`, names of methods and references; `points`, each with `labels` (None: all),
        `examples` learned from, `each` (labels of a class on average, or percent), `chosen_on` (examples of eval),
        `results` by contestant (`per_seed`, `mean`, `median`, `min`, `max`, `interval`), `gains` by method (by
        reference `mean`, `low`, `high`; see `models.gap`) and `verdicts` by method; `left_out`, points with a reason;
        `statements`, a sentence for each method; `sureness`, a sentence.

    Raises:
        GraftError: a method that the curve is not for, no point that has enough examples, bad numbers.
    """
    check(contestants, labels, seeds, chosen_references, steps, choose)
    curve = _Curve(comparison, dict(contestants), tuple(seeds), tuple(chosen_references), steps, choose)
    points, left_out = [], []
    done, total = 0, len(labels) * len(seeds)
    for count in labels:
        drawn = [curve.draw(count, seed) for seed in seeds]
        reason = next((one for one in drawn if isinstance(one, str)), None)
        if reason is not None:
            left_out.append({"labels": count, "reason": reason})
            total -= len(seeds)
            continue
        scores: dict[str, list[np.ndarray]] = {}
        alone: dict[str, Outcome] = {}
        for seed, rows in zip(seeds, drawn, strict=True):
            for name, outcome in curve.trained(rows, seed, count, alone).items():  # type: ignore[arg-type]
                scores.setdefault(name, []).append(outcome.scores)
            done += 1
            progress.report(STAGE, done, total, "draws of labels")
        points.append(curve.point(count, drawn[0], scores))  # type: ignore[arg-type]
    if not points:
        raise GraftError(f"--labels: no point has enough examples ({left_out[0]['reason']})")
    return {
        "unit": curve.unit,
        "score": comparison.target.score_name,
        "seeds": list(seeds),
        "judged_on": len(comparison.test),
        "choose": choose,
        "steps": steps,
        "contestants": {"methods": list(contestants), "references": curve.reference_names},
        "points": points,
        "left_out": left_out,
        "statements": [said(name, points, curve.unit) for name in contestants] if chosen_references else [],
        "sureness": sureness(len(seeds)),
    }


def halves(split: Split, target: Target, seed: int = 0) -> tuple[Split, Split]:
    """Two parts of a split, each class in both: one to choose by, one to judge on.

    Raises:
        GraftError: fewer than 4 examples.
    """
    if len(split) < 4:
        raise GraftError(f"split 'eval' has {len(split)} examples; a curve needs at least 4, half of them to judge on")
    order = np.random.default_rng(seed).permutation(len(split))
    if target.one_value:
        order = order[np.argsort(split.targets[order], kind="stable")]
    return split.picked(np.sort(order[::2])), split.picked(np.sort(order[1::2]))


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Places among the labelled examples of train and of eval."""

    train: np.ndarray
    eval: np.ndarray


class _Curve:
    """The task of a curve, and how one draw of it is trained."""

    def __init__(
        self,
        comparison: Comparison,
        contestants: dict[str, Mapping[str, Any]],
        seeds: tuple[int, ...],
        chosen: tuple[str, ...],
        steps: int,
        choose: str,
    ):
        settings = comparison.settings.model_copy(update={"transfer": {"method": "frozen"}})
        self._labelled = {"train": _places(comparison.train), "eval": _places(comparison.eval)}
        targets = comparison.train.targets[self._labelled["train"]]
        comparison.target.check(targets, "split 'train'")
        self._whole = dataclasses.replace(comparison, settings=settings, unit=comparison.target.fitted(targets))
        self._contestants, self._seeds, self._chosen = contestants, seeds, chosen
        self._steps, self._choose = steps, choose
        self._published = shared_backbone(settings.backbone, comparison.input)
        self._plain = references.plain_form(self._whole) if "raw" in chosen else {}
        self.reference_names = [
            name for key, name in (("raw", "raw_linear_head"), ("scratch", "scratch")) if key in chosen
        ]
        stratum = comparison.target.stratum
        self.unit = f"labels a {stratum}" if comparison.target.one_value else "percent of the training examples"

    def draw(self, count: Labels, seed: int) -> "_Rows | str":
        """The examples of one point under one seed, or why there are too few."""
        targets = {name: getattr(self._whole, name).targets[rows] for name, rows in self._labelled.items()}
        rng = np.random.default_rng([seed, 7])
        orders = {name: rng.permutation(len(found)) for name, found in targets.items()}
        choosing = count if self._choose == "same" else ALL
        if not self._whole.target.one_value:
            train = _share(orders["train"], count)
            if len(train) < 2:
                return f"{count} percent of {len(targets['train'])} training examples are {len(train)}; at least 2"
            try:
                self._whole.target.fitted(targets["train"][train])
            except GraftError as error:
                return f"of {len(train)} examples nothing can be learned ({error})"
            return _Rows(train, _share(orders["eval"], choosing, 2))
        names = self._whole.target.names
        held = np.bincount(targets["train"], minlength=len(names))
        least = int(held.argmin())
        if held[least] < (count or 1):
            return f"{self._whole.target.stratum} {names[least]!r} has {held[least]} training examples"
        return _Rows(
            _of_each(orders["train"], targets["train"], count), _of_each(orders["eval"], targets["eval"], choosing)
        )

    def trained(self, rows: _Rows, seed: int, count: Labels, alone: dict[str, Outcome]) -> dict[str, Outcome]:
        """Every contestant under one seed; `alone` holds what no seed changes where all examples are drawn."""
        found: dict[str, Outcome] = {}
        epochs = 1

        def add(name: str, train: Callable[[], Outcome]) -> None:
            if name in alone:
                found[name] = alone[name]
                return
            make_deterministic(seed)
            found[name] = train()
            if count is ALL and not found[name].seeded:
                alone[name] = found[name]

        for name, transfer in self._contestants.items():
            comparison = self._comparison(rows, transfer)
            add(name, lambda comparison=comparison: references.transferred(comparison, seed))  # type: ignore[misc]
            history = found[name].history
            epochs = max(epochs, history.max_epochs if history else 1)
        whole = self._comparison(rows, {"method": "frozen"})
        if "raw" in self._chosen:
            plain = {name: self._plain[name][getattr(rows, name)] for name in ("train", "eval")}
            plain["test"] = self._plain["test"]
            add("raw_linear_head", lambda: references.raw_linear_head(whole, plain))
        if "scratch" in self._chosen:
            epochs = max(epochs, self._epochs(rows, self._whole.settings.train.epochs))
            add("scratch", lambda: references.from_scratch(whole, seed, epochs, self._published))
        return found

    def point(self, count: Labels, rows: _Rows, scores: Mapping[str, list[np.ndarray]]) -> dict[str, Any]:
        """What came of one number of labels."""
        stacked = {name: np.stack(found) for name, found in scores.items()}
        gains: dict[str, dict[str, Any]] = {name: {} for name in self._contestants}
        for name, found in gains.items():
            for rival in self.reference_names:
                measured = gap.measure(
                    stacked[rival], stacked[name], len(self.reference_names), self._whole.target.score_range
                )
                found[rival] = {"mean": -measured.mean, "low": -measured.high, "high": -measured.low}
        classes = len(self._whole.target.names) if self._whole.target.one_value else None
        total = len(self._labelled["train"])
        return {
            "labels": count,
            "examples": len(rows.train),
            "each": len(rows.train) / classes if classes else 100 * len(rows.train) / total,
            "chosen_on": len(rows.eval),
            "results": {name: summary(found.mean(axis=1)) for name, found in stacked.items()},
            "gains": gains,
            "verdicts": {name: verdict(list(found.values())) for name, found in gains.items() if found},
        }

    def _comparison(self, rows: _Rows, transfer: Mapping[str, Any]) -> Comparison:
        """The task with the drawn examples, and with so many epochs that they make the least number of steps."""
        settings = self._whole.settings
        given = parse_options(transfer).model_dump(mode="json")
        epochs = self._epochs(rows, settings.train.epochs)
        # A recipe that sets the epochs itself does not list them.
        updates = {name: self._epochs(rows, given[name]) for name in ("epochs", "head_epochs") if given.get(name)}
        training = settings.train.model_copy(update={"epochs": epochs, "patience": epochs})
        return dataclasses.replace(
            self._whole,
            settings=settings.model_copy(update={"transfer": {**given, **updates}, "train": training}),
            train=_some(self._whole.train, self._labelled["train"], rows.train),
            eval=_some(self._whole.eval, self._labelled["eval"], rows.eval),
        )

    def _epochs(self, rows: _Rows, configured: int) -> int:
        each = math.ceil(len(rows.train) / self._whole.settings.train.batch_size)
        return max(configured, math.ceil(self._steps / each))


def summary(per_seed: np.ndarray) -> dict[str, Any]:
    """Figures over seeds as JSON types; `interval` is that of Student's t for the mean, 95 %, None with one seed.

    Args:
        per_seed: float [seeds].
    """
    import scipy.stats

    count, mean = len(per_seed), float(per_seed.mean())
    interval = None
    if count > 1:
        reach = float(scipy.stats.t.ppf(0.975, count - 1) * per_seed.std(ddof=1) / math.sqrt(count))
        interval = [mean - reach, mean + reach]
    return {
        "per_seed": per_seed.tolist(),
        "mean": mean,
        "median": float(np.median(per_seed)),
        "min": float(per_seed.min()),
        "max": float(per_seed.max()),
        "interval": interval,
    }


def verdict(gains: Sequence[Mapping[str, float]]) -> str:
    """`helps` where the interval of the gain is above 0 against every reference, `hurts` where below against any."""
    if all(gain["low"] > 0 for gain in gains):
        return HELPS
    return HURTS if any(gain["high"] < 0 for gain in gains) else UNDECIDED


def said(name: str, points: Sequence[Mapping[str, Any]], unit: str) -> str:
    """One sentence on where a method is better than no transfer, and where not."""
    words = {
        HELPS: "is better than every model without transfer",
        HURTS: "is worse than a model without transfer",
        UNDECIDED: "cannot be told from the best model without transfer",
    }
    parts = []
    for kind, told in words.items():
        found = [point for point in points if point["verdicts"].get(name) == kind]
        if found:
            gains = [min(gain["mean"] for gain in point["gains"][name].values()) for point in found]
            low, high = min(gains), max(gains)
            size = f"{low:+.3f}" if len(found) == 1 else f"{low:+.3f} to {high:+.3f}"
            parts.append(f"{told} with {listed(found, unit)} ({size})")
    return f"{name} {'; it '.join(parts)}."


def listed(points: Sequence[Mapping[str, Any]], unit: str) -> str:
    """Numbers of labels in words."""
    whole = "100" if unit.startswith("percent") else "all"
    names = [whole if point["labels"] is ALL else str(point["labels"]) for point in points]
    together = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{together} {unit}"


def sureness(seeds: int) -> str:
    """What so few seeds say."""
    if seeds == 1:
        return "One seed: another draw of labels may give another picture."
    # Exchangeable draws: each of n + 1 is as likely the lowest, or the highest, of them all.
    outside = 2 / (seeds + 1)
    return (
        f"{seeds} seeds: bars run from the lowest to the highest of them; the next draw of labels would fall outside "
        f"with a probability of {outside:.0%}. Of all examples there is one draw only. Gains are judged by intervals "
        f"over seeds and examples at once ({gap.FALSE_ALARMS:.0%} false alarms at either end, each point for itself)."
    )


def check(
    contestants: Mapping[str, Mapping[str, Any]],
    labels: Sequence[Labels],
    seeds: Sequence[int],
    chosen: Sequence[str],
    steps: int,
    choose: str,
) -> None:
    """Refuses what no curve can be drawn of, before any data is read; arguments as of `measure`.

    Raises:
        GraftError: see `measure`.
    """
    if not contestants or not labels or not seeds:
        raise GraftError("a curve needs at least one method, one number of labels and one seed")
    if len(set(labels)) < len(labels):
        raise GraftError("--labels: a number stands twice; allowed: each once")
    for count in labels:
        if count is not ALL and count < 1:
            raise GraftError(f"--labels: received {count}; allowed: whole numbers from 1, or all")
    if not set(chosen) <= set(REFERENCES):
        raise GraftError(f"--references: received {', '.join(chosen)}; allowed: some of {', '.join(REFERENCES)}")
    if steps < 1:
        raise GraftError(f"--steps: received {steps}; allowed: from 1")
    if choose not in _CHOOSE:
        raise GraftError(f"--choose: received {choose!r}; allowed: {', '.join(_CHOOSE)}")
    for name, transfer in contestants.items():
        if adapts(parse_options(transfer)):
            raise GraftError(
                f"--methods: {name!r} learns without labels of the target; a curve of labels says nothing of it"
            )


def _places(split: Split) -> np.ndarray:
    """int [m], places of the labelled examples of the target domain."""
    if split.domains is None:
        return np.arange(len(split))
    return np.flatnonzero(split.domains == TARGET_DOMAIN.encode())


def _some(split: Split, labelled: np.ndarray, chosen: np.ndarray) -> Split:
    """The split with some of its labelled examples only; those of other domains and without labels stay."""
    if len(chosen) == len(labelled):
        return split
    kept = np.ones(len(split), bool)
    kept[labelled] = False
    kept[labelled[chosen]] = True
    return split.picked(np.flatnonzero(kept))


def _of_each(order: np.ndarray, labels: np.ndarray, count: Labels) -> np.ndarray:
    """Rising places of the first so many of each class, in a given order."""
    found = [order[labels[order] == one][:count] for one in np.unique(labels)]
    return np.sort(np.concatenate(found))


def _share(order: np.ndarray, percent: Labels, least: int = 0) -> np.ndarray:
    count = len(order) if percent is ALL else max(least, math.floor(len(order) * min(percent, 100) / 100))
    return np.sort(order[:count])
