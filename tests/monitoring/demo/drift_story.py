"""What `graft demo drift` writes where all goes as it should, made up; nothing is trained."""

from typing import Any

from graft.monitoring.demo import verdict
from graft.monitoring.drift.statistics import share_interval

RIGHT = (95, 96, 40, 35, 90, 91)
"""Right answers of 100 by day: two usual days, two of the shift, two after the push."""


def alarm(of: int, kind: str = "requests", group: str = "input", signal: str = "brightness", version: int = 1):
    """An alarm of a day."""
    found = {"kind": kind, "version": version, "of": of, "signal": signal, "group": group}
    return found | {"effect": 0.6, "p_value": 1e-9}


def day(number: int) -> dict[str, Any]:
    """A day of the story."""
    right, changed = RIGHT[number - 1], number > 2
    share = share_interval(right, 100, 0.05)
    made = {"run_id": "r", "status": "passed", "reason": "", "model_version": 2, "report": "", "gates": []}
    return {
        "day": number,
        "changed": changed,
        "version": 2 if number > 4 else 1,
        "rows": 100,
        "right": right,
        "quality": {"mean": share.mean, "low": share.low, "high": share.high},
        "estimate": {"mean": 0.9, "low": 0.8, "high": 1.0},
        "labelled": {"mean": share.mean, "low": share.low, "high": share.high},
        "alarms": [alarm(number)] if number in (3, 4) else [],
        "decision": {"start": number == 4, "sentence": "two windows drifted" if number == 4 else "no drift"},
        "retraining": made if number == 4 else None,
    }


def story() -> dict[str, Any]:
    """All of it, with its verdict."""
    value = {
        "folder": "/demo",
        "config": "/demo/digits.yaml",
        "seed": 0,
        "course": {"usual": 2, "drift": 2, "after": 2, "rows": 100},
        "change": "turned",
        "miss": 0.05,
        "first": {"model_version": 1, "status": "passed", "reason": ""},
        "days": [day(number) for number in range(1, 7)],
        "seconds": 12.0,
    }
    return judged(value)


def judged(value: dict[str, Any]) -> dict[str, Any]:
    """The same with a verdict made anew."""
    value["phases"] = verdict.phases(value)
    return value | {"reasons": verdict.deviations(value)}
