"""What an experiment is, and what is made of its results.

An experiment trains a method and what it is compared with, once a seed, and gives the score of every test example. A
seed draws which examples are labelled, their order and all weights. The test examples are the same under every seed:
the interval of a gain (`models.gap`, the one that the gates decide by) crosses seeds with test examples.

Gain: mean score of the method less that of a baseline, over test examples and seeds; its interval errs at either end
with 5 % probability at most, over all baselines of the experiment together. Verdict, by that interval:

- `helps`: above 0 against every baseline;
- `hurts`: below 0 against any baseline;
- `cannot be told from its baseline`: else.

A control is the method without what it needs (labels of the source shuffled, strength 0, ...). It `fails, as it should`
unless it helps by the same rule.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks import spread
from graft.models import gap

METHOD, CONTROL = "method", "control"
HELPS, HURTS, UNDECIDED = "helps", "hurts", "cannot be told from its baseline"


@dataclasses.dataclass(frozen=True)
class Result:
    """One contestant under one seed.

    Attributes:
        scores: float [n], of each test example: 1 for a right answer and 0 for a wrong one, or minus a squared error.
        seconds: of the processor, for the training.
        steps: of an optimizer; 0 where none took any.
        findings: what the method found out, by name.
    """

    scores: np.ndarray
    seconds: float = 0.0
    steps: int = 0
    findings: Mapping[str, float | int | str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One row of the table.

    Attributes:
        name: of the set-up, such as `E1b, 20 labels a class`.
        method: the method's name in the configuration.
        told: one sentence: what source and target are, and how settings were chosen. Nothing is chosen on test.
        run: seed -> results by name: `method`, one or more baselines by names of their own, and `control`.
        control: in a few words what `control` is.
        score: what the mean score is.
        scale: by which the table multiplies it; 100 gives points of accuracy.
        largest: difference that the scores of one example can have; None: the largest there is.
        shown: contestants that are told and are no baseline, such as what labels of the target would give.
        needs_data: whether it reads the development data.
    """

    name: str
    method: str
    told: str
    run: Callable[[int], Mapping[str, Result]]
    control: str
    score: str = "accuracy"
    scale: float = 100.0
    largest: float | None = 1.0
    shown: tuple[str, ...] = ()
    needs_data: bool = False

    @property
    def key(self) -> str:
        """Of its row."""
        return f"{self.method}: {self.name}"


def measure(experiment: Experiment, seeds: Iterable[int], tell: Callable[[str], None] = lambda line: None) -> dict:
    """Runs an experiment.

    Args:
        experiment: what to run.
        seeds: one run for each.
        tell: is told of each run.

    Returns:
        JSON types, see `row`.

    Raises:
        ValueError: the run does not give what an `Experiment` promises.
    """
    runs = []
    started = time.process_time()
    for seed in seeds:
        runs.append(dict(experiment.run(seed)))
        means = ", ".join(f"{name} {result.scores.mean():.4f}" for name, result in runs[-1].items())
        tell(f"{experiment.key}, seed {seed}: {means}")
    return {**row(experiment, runs), "total_seconds": round(time.process_time() - started, 1)}


def row(experiment: Experiment, runs: list[dict[str, Result]]) -> dict[str, Any]:
    """What an experiment's runs, one a seed, say.

    Returns:
        `experiment`, `method`, `told`, `score`, `scale`, `seeds`, `test_examples`; `scores` by contestant: min, median,
        max over seeds; `per_seed` likewise; `gain` by baseline: mean, low, high; `strongest`, the baseline with the
        highest mean; `verdict`; `control`: what it is, its gain over the strongest baseline, and whether it fails;
        `seconds` and `steps` by contestant, medians; `findings` of the method by name, one a seed.
    """
    names = list(runs[0])
    if METHOD not in names or CONTROL not in names or not {*names} - {METHOD, CONTROL, *experiment.shown}:
        raise ValueError(f"{experiment.key}: a run gives method, control and a baseline; it gave {', '.join(names)}")
    if any(list(run) != names for run in runs):
        raise ValueError(f"{experiment.key}: every seed must give the same contestants")
    scores = {name: np.stack([np.asarray(run[name].scores, np.float64) for run in runs]) for name in names}
    baselines = [name for name in names if name not in (METHOD, CONTROL, *experiment.shown)]
    strongest = max(baselines, key=lambda name: scores[name].mean())
    gains = {name: _gains(experiment, scores, name, baselines) for name in (METHOD, CONTROL)}
    verdicts = {name: verdict(found.values()) for name, found in gains.items()}
    return {
        "experiment": experiment.name,
        "method": experiment.method,
        "told": experiment.told,
        "score": experiment.score,
        "scale": experiment.scale,
        "seeds": len(runs),
        "test_examples": scores[METHOD].shape[1],
        "scores": {name: spread(rows.mean(axis=1).tolist()) for name, rows in scores.items()},
        "per_seed": {name: [round(float(one), 4) for one in rows.mean(axis=1)] for name, rows in scores.items()},
        "gain": gains[METHOD],
        "strongest": strongest,
        "verdict": verdicts[METHOD],
        "control": {
            "is": experiment.control,
            "gain": gains[CONTROL][strongest],
            "fails": verdicts[CONTROL] != HELPS,
        },
        "seconds": {name: round(float(np.median([run[name].seconds for run in runs])), 2) for name in names},
        "steps": {name: int(np.median([run[name].steps for run in runs])) for name in names},
        "findings": _findings([run[METHOD].findings for run in runs]),
    }


def verdict(gains: Iterable[Mapping[str, float]]) -> str:
    """In words, from the gains over all baselines."""
    found = list(gains)
    if all(gain["low"] > 0 for gain in found):
        return HELPS
    return HURTS if any(gain["high"] < 0 for gain in found) else UNDECIDED


def _gains(
    experiment: Experiment, scores: Mapping[str, np.ndarray], name: str, baselines: list[str]
) -> dict[str, dict[str, float]]:
    found = {}
    for baseline in baselines:
        measured = gap.measure(scores[name], scores[baseline], len(baselines), experiment.largest)
        figures = {"mean": measured.mean, "low": measured.low, "high": measured.high}
        found[baseline] = {key: round(value, 4) for key, value in figures.items()}
    return found


def _findings(runs: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [run.get(name) for run in runs] for name in dict.fromkeys(name for run in runs for name in run)}
