"""What the monitor's promise is worth: false alarms without drift, and how soon drifts of known size are seen.

    python -m benchmarks.drift_power [--lives 200] [--windows 20] [--json]

A life is a model version with a reference of its own and windows of traffic one after the other, judged by the code of
`graft monitor`: every signal against the reference and against the window before, Holm's correction, the spending over
looks. The ten signals are eight numbers, correlated by 0.5, one of counts and one category of four values. A drift
moves one of the numbers and no other signal, after ten windows without any. False alarms are counted where nothing
drifts: lives with any alarm at all, however small the change.

Feature vectors are simulated apart from these: 64 columns of a normal distribution, of which the windows' mean moves in
one direction.
"""

import argparse
import json
import sys

import numpy as np

from benchmarks import spread
from graft.models.signals.domain import told_apart
from graft.models.signals.histogram import Categories, Numbers, Signal
from graft.models.signals.reference import Reference
from graft.models.signals.vectors import COLUMNS, ROWS
from graft.monitoring.drift import judging, results
from graft.monitoring.drift.judging import Memory
from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.drift.statistics import share_interval, spent
from graft.monitoring.drift.watched import Watched
from graft.monitoring.drift.windows import Full, Window

NUMBERS, REFERENCE_ROWS, LONGEST = 8, 3000, 20
BEFORE = 10
"""Windows without drift that a version has had when it comes."""


def drawn(rng: np.random.Generator, rows: int, shift: float) -> dict[str, list]:
    """Values of the signals; the first number is moved by `shift` of its standard deviations."""
    values = np.sqrt(0.5) * (rng.normal(size=(rows, 1)) + rng.normal(size=(rows, NUMBERS)))
    values[:, 0] += shift
    found: dict[str, list] = {f"number {place}": values[:, place].tolist() for place in range(NUMBERS)}
    found["count"] = rng.poisson(2, rows).tolist()
    return found | {"class": np.array(list("abcd"))[np.minimum(rng.geometric(0.5, rows) - 1, 3)].tolist()}


class Life:
    """A version that is watched.

    Args:
        rng: of its reference and traffic.
        options: what is an alarm.
    """

    def __init__(self, rng: np.random.Generator, options: DriftOptions):
        self._rng, self._options, self._memory = rng, options, Memory()
        values = drawn(rng, REFERENCE_ROWS, 0)
        self._signals: dict[str, Signal] = {
            name: Categories(name, tuple("abcd")) if name == "class" else Numbers.fit(name, "", held)
            for name, held in values.items()
        }
        self._watched = Watched(
            1,
            Reference(
                signals=self._signals,
                counts={name: signal.counts(values[name]) for name, signal in self._signals.items()},
                group=dict.fromkeys(values, "input"),
                rows=REFERENCE_ROWS,
                quality={"by": None, "mean": None},
                input={},
                target={},
            ),
            None,
        )

    def window(self, rows: int, shift: float = 0.0) -> results.Window:
        """The next window of so many rows."""
        values = drawn(self._rng, rows, shift)
        counts = {name: _counts(signal, values[name]) for name, signal in self._signals.items()}
        window = Window(0, 0, counts, size=rows, requests=rows, rows=rows)
        window.codes[judging.OK] = rows
        window.latency[0] = rows
        return judging.of_requests(Full(window, "rows"), "m", self._watched, self._memory, self._options, 0.0)

    def skip(self, rows: int) -> None:
        """As if it had been watched for `BEFORE` windows; only the last of them is made."""
        self._memory.looks = BEFORE - 1
        self.window(rows)


def false_alarms(lives: int, windows: int, rows: int, seed: int, promised: float = 0.05) -> int:
    """Of so many lives without drift those that have an alarm, of whatever size."""
    options = DriftOptions(false_alarms=promised, least_effect=0, least_errors=0)
    found = 0
    for life in range(lives):
        one = Life(np.random.default_rng([seed, rows, life]), options)
        found += any(one.window(rows).alarms for _ in range(windows))
    return found


def delays(lives: int, rows: int, shift: float, seed: int) -> list[tuple[int, int]]:
    """Windows from the beginning of a drift to its alarm, both included, of each life; `LONGEST` + 1 where none came.

    Returns:
        For each life that of a monitor that takes every change for one (`least_effect: 0`) and that of the default.
    """
    least, found = DriftOptions().least_effect, []
    for life in range(lives):
        one, any_size, large = Life(np.random.default_rng([seed, rows, life]), DriftOptions(least_effect=0)), 0, 0
        one.skip(rows)
        for number in range(1, LONGEST + 1):
            alarms = [test for test in one.window(rows, shift).alarms if test.against == "reference"]
            any_size = any_size or number * bool(alarms)
            large = large or number * any(test.effect >= least for test in alarms)
            if large:
                break
        found.append((any_size or LONGEST + 1, large or LONGEST + 1))
    return found


def _counts(signal: Signal, values: list) -> np.ndarray:
    """As `signal.counts`, faster for many numbers."""
    if isinstance(signal, Numbers):
        return np.bincount(np.searchsorted(signal.edges[1:-1], values), minlength=signal.size)
    return np.array(signal.counts(values))


def told(lives: int, rows: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """AUC and p-values float [lives] of `rows` feature vectors that moved by `shift` standard deviations."""
    found = []
    for life in range(lives):
        rng = np.random.default_rng([seed, rows, life])
        reference, window = rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=(rows, COLUMNS))
        found.append(told_apart(reference, window + shift / np.sqrt(COLUMNS)))
    return np.array([one.auc for one in found]), np.array([one.p_value for one in found])


def measure_vectors(lives: int) -> dict:
    """Of one window: false alarms at 0.05, power where it is the eleventh look of a version with twenty comparisons."""
    least, level = DriftOptions().vectors.least_auc, spent(0.05, BEFORE + 1) / 20
    result: dict = {"level": level, "false_alarms": [], "power": []}
    for rows in (200, 500):
        hits = int((told(lives, rows, 0.0, seed=3)[1] <= 0.05).sum())
        interval = share_interval(hits, lives, 0.05)
        result["false_alarms"].append(
            {"rows": rows, "share": hits / lives, "low": round(interval.low, 4), "high": round(interval.high, 4)}
        )
        for shift in (0.5, 0.75, 1.0, 1.5, 2.0):
            auc, p = told(max(1, lives // 5), rows, shift, seed=4)
            seen = p <= level
            row = {"rows": rows, "shift": shift, "auc": spread(auc.round(3).tolist())}
            row |= {"any": round(float(seen.mean()), 2), "large": round(float((seen & (auc >= least)).mean()), 2)}
            result["power"].append(row)
    return result


def measure(lives: int, windows: int) -> dict:
    """Figures by size of window and of drift."""
    result: dict = {"lives": lives, "windows": windows, "promised": 0.05, "false_alarms": [], "power": []}
    for rows in (200, 1000):
        hits = false_alarms(lives, windows, rows, seed=1)
        interval = share_interval(hits, lives, 0.05)
        result["false_alarms"].append(
            {"rows": rows, "share": hits / lives, "low": round(interval.low, 4), "high": round(interval.high, 4)}
        )
    for rows in (200, 1000, 5000):
        for shift in (0.1, 0.2, 0.3, 0.5, 1.0):
            found = np.array(delays(max(1, lives // 5), rows, shift, seed=2))
            row: dict = {"rows": rows, "shift": shift}
            for name, delay in zip(("any", "large"), found.T, strict=True):
                seen = delay[delay <= LONGEST]
                row |= {
                    f"{name}_first": round(float((delay == 1).mean()), 2),
                    f"{name}_ever": round(len(seen) / len(delay), 2),
                    f"{name}_delay": spread(seen.tolist()) if len(seen) else None,
                }
            result["power"].append(row)
    return result | {"vectors": measure_vectors(lives)}


def main(arguments: list[str] | None = None) -> int:
    """Prints the tables; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=200)
    parser.add_argument("--windows", type=int, default=20, help="of a life without drift")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of tables")
    options = parser.parse_args(arguments)
    if options.lives < 1 or options.windows < 1:
        print("--lives and --windows must be at least 1", file=sys.stderr)
        return 1
    result = measure(options.lives, options.windows)
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"| rows a window | lives of {options.windows} windows with a false alarm | 95 % interval |\n|---|---|---|")
    for row in result["false_alarms"]:
        print(f"| {row['rows']:,} | {row['share']:.2f} | {row['low']:.3f} to {row['high']:.3f} |")
    print("\n| rows a window | shift | first window | within 20 | delay | first window | within 20 | delay |")
    print("|---|---|---|---|---|---|---|---|")
    for row in result["power"]:
        cells = [f"{row['rows']:,}", f"{row['shift']}"]
        for name in ("any", "large"):
            delay = row[f"{name}_delay"]
            windows = " / ".join(f"{delay[which]:g}" for which in ("min", "median", "max")) if delay else "none"
            cells += [f"{row[f'{name}_first']:.2f}", f"{row[f'{name}_ever']:.2f}", windows]
        print(f"| {' | '.join(cells)} |")
    print("\n| feature vectors of a window | windows with p at most 0.05 | 95 % interval |\n|---|---|---|")
    for row in result["vectors"]["false_alarms"]:
        print(f"| {row['rows']:,} | {row['share']:.3f} | {row['low']:.3f} to {row['high']:.3f} |")
    print("\n| feature vectors | shift | AUC | significant | alarm |\n|---|---|---|---|---|")
    for row in result["vectors"]["power"]:
        auc = " / ".join(f"{row['auc'][which]:.2f}" for which in ("min", "median", "max"))
        print(f"| {row['rows']:,} | {row['shift']} | {auc} | {row['any']:.2f} | {row['large']:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
