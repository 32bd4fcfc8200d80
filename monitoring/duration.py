"""Durations as people write them, and times."""

import argparse
import datetime
import re

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def duration(text: str) -> float:
    """Seconds of `90`, `60s`, `5m`, `24h`, `7d`. Raises argparse.ArgumentTypeError."""
    match = _FORM.fullmatch(text)
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; allowed: a number more than 0 with s, m, h or d")
    return float(match[1]) * _UNITS[match[2]]


def seconds(time: object) -> float | None:
    """Of an ISO 8601 time since 1970; None of anything else."""
    try:
        return datetime.datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return None
