"""Quality of a served model by labels that came late: their requests are found again in the log, and scored.

Labels come when they come, so they have windows of their own: one is judged when it has `rows` labels or, `hours` after
its first one came, with `least`. The window's scores are held against the reference's; the test is exact for right and
wrong answers as for errors of any distribution, and looks for worse scores only.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from graft.models.errors import GraftError
from graft.models.inputs.base import Refused
from graft.models.signals.histogram import Numbers
from graft.monitoring.drift import results
from graft.monitoring.drift.judging import Compared, Memory, has_drifted, judged
from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.drift.rows import answers_of
from graft.monitoring.drift.statistics import Form, mean_interval, p_value, share_interval
from graft.monitoring.drift.watched import Watched
from graft.monitoring.request_log.label_files import Label
from graft.monitoring.request_log.labelled_rows import by_column
from graft.monitoring.request_log.record import Record

MISS = 0.05
"""How often the interval of a mean may miss the true one."""


@dataclasses.dataclass
class Scored:
    """A window of labels.

    Attributes:
        counts: scores by the bins of the reference's.
        opened: when its first label was taken, seconds since 1970.
        begin, end: times of the requests.
        requests: those that have a label in it.
        rows: labels.
        total, squares: sums of the scores and of their squares.
        whole: how many scores are 0 or 1.
    """

    counts: list[int]
    opened: float
    begin: float = math.inf
    end: float = -math.inf
    requests: int = 0
    rows: int = 0
    total: float = 0.0
    squares: float = 0.0
    whole: int = 0

    def add(self, time: float, scores: np.ndarray, bins: Numbers) -> None:
        """Counts the labels of one request."""
        self.begin, self.end = min(self.begin, time), max(self.end, time)
        self.requests += 1
        self.rows += len(scores)
        self.total += float(scores.sum())
        self.squares += float((scores**2).sum())
        self.whole += int(np.isin(scores, (0.0, 1.0)).sum())
        for score in scores.tolist():
            self.counts[bins.bin(score)] += 1

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` made."""
        return cls(**value)


def score_bins(watched: Watched) -> tuple[Numbers, tuple[int, ...]] | None:
    """The bins of the reference's scores and their counts; None of a reference that has none."""
    kept = watched.reference.quality.get("scores")
    return (Numbers("score", "", tuple(kept["edges"])), tuple(kept["counts"])) if kept else None


def scores(
    record: Record, labels: Mapping[int, Label], watched: Watched, found: collections.Counter[str]
) -> np.ndarray | None:
    """Scores of a request's labelled rows, float [n]; None where the log does not have its answer.

    Args:
        record: answered.
        labels: by row.
        watched: its version.
        found: counts `beyond`, labels for rows that there are not, and `unusable`, labels that the target has not.
    """
    answers, target = answers_of(record, watched), watched.target
    if answers is None:
        found["unanswered"] += len(labels)
        return None
    scored = []
    for row, label in sorted(labels.items()):
        if row >= len(answers):
            found["beyond"] += 1
            continue
        try:
            encoded = target.encode([target.parse(by_column(label, target.columns))])
        except (Refused, GraftError):
            found["unusable"] += 1
            continue
        scored.append(target.scores(encoded, answers[row : row + 1]))
    return np.concatenate([np.zeros(0), *scored])


def is_full(window: Scored, options: DriftOptions, now: float) -> bool:
    """Whether it is to be judged."""
    old = now - window.opened >= options.window.hours * 3600
    return window.rows >= options.window.rows or (old and window.rows >= options.window.least)


def of_labels(
    window: Scored, model: str, watched: Watched, memory: Memory, options: DriftOptions, now: float
) -> results.Window:
    """Judges a window of labels; arguments as of `judging.of_requests`."""
    tests = judged(list(_compared(window, watched, options)), memory, options.false_alarms)
    return results.Window(
        kind="labels",
        model=model,
        version=watched.version,
        number=memory.looks,
        begin=window.begin,
        end=window.end,
        closed=now,
        reason="labels",
        requests=window.requests,
        rows=window.rows,
        counts={"score": tuple(window.counts)},
        tests=tests,
        quality=interval(window, watched.reference.quality["limits"]),
        drifted=has_drifted(tests),
        in_row=dict(sorted(memory.in_row.items())),
        reference_time=watched.pushed,
    )


def _compared(window: Scored, watched: Watched, options: DriftOptions) -> Iterator[Compared]:
    bins = score_bins(watched)
    if bins is not None and watched.reference.quality["mean"] is not None:
        fall = max(0.0, watched.reference.quality["mean"] - window.total / window.rows)
        p = p_value(bins[1], window.counts, Form.FALLING)
        yield Compared("score", "quality", "reference", window.rows, fall, options.least_loss, p)


def interval(window: Scored, limits: Sequence[float] | None) -> results.Mean:
    """The mean score with an interval that holds for any distribution where scores have limits.

    Clopper-Pearson where all are 0 or 1, which is exact; else the empirical Bernstein bound. Without limits there is
    no such bound: Student's, which is approximate. It is shown and decides nothing.
    """
    if window.whole == window.rows:
        found = share_interval(round(window.total), window.rows, MISS)
    elif limits is not None:
        found = mean_interval(window.total, window.squares, window.rows, limits[0], limits[1], MISS)
    else:
        from scipy.stats import t

        mean = window.total / window.rows
        variance = max(0.0, window.squares / window.rows - mean**2) / max(window.rows - 1, 1)
        reach = float(t.ppf(1 - MISS / 2, max(window.rows - 1, 1)) * math.sqrt(variance))
        return results.Mean(mean=mean, low=mean - reach, high=mean + reach, miss=MISS, rows=window.rows)
    return results.Mean(mean=found.mean, low=found.low, high=found.high, miss=MISS, rows=window.rows)
