"""A random sample of a window's examples: where each stands in the log, not what it holds.

Each example has a number, drawn by a hash of its request's id and its row; a window keeps the smallest ones. So the
sample does not depend on the order of files or on who reads them, and costs the same for a million rows. Contents are
read from the log when the window is judged: what retention, `leave_out` or `hash` took away is nowhere else.
"""

from typing import NamedTuple

import numpy as np

from graft.monitoring.drift.rows import NO_INPUTS, OK, Rows


class Place(NamedTuple):
    """An example.

    Attributes:
        number: uint64, drawn.
        file: number of its file in `state.State`.
        offset: where its record begins there, bytes.
        row: of the request, from 0.
    """

    number: int
    file: int
    offset: int
    row: int


def drawn(rows: Rows, most: int) -> list[Place]:
    """The examples with the `most` smallest numbers, of answered requests whose inputs were logged."""
    chosen = np.flatnonzero((rows.statuses == OK) & (rows.unlogged & NO_INPUTS == 0) & (rows.examples > 0))
    if not most or not len(chosen):
        return []
    counts = rows.examples[chosen]
    requests = np.repeat(chosen, counts)
    within = np.arange(len(requests)) - np.repeat(np.cumsum(counts) - counts, counts)
    ids = np.ascontiguousarray(rows.keys[:, :8]).view("<u8")[:, 0]
    numbers = _mixed(ids[requests] + within.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    kept = np.argsort(numbers, kind="stable")[:most]
    return [Place(int(numbers[one]), rows.log_file, int(rows.offsets[requests[one]]), int(within[one])) for one in kept]


def smallest(one: list[Place], other: list[Place], most: int) -> list[Place]:
    """The places with the `most` smallest numbers of two lists that have no example in common, in order."""
    return sorted([*one, *other])[:most] if other else one[:most]


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64, uint64 [n] (Steele, Lea and Flood, OOPSLA 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
