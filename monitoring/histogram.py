"""A cumulative histogram in Prometheus' form."""

import bisect
import itertools
from collections.abc import Iterable, Sequence

from graft.monitoring.exposition import line

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """Counts values by upper bound; its owner has the lock.

    Args:
        bounds: rising, without infinity.
    """

    def __init__(self, bounds: Sequence[float]):
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value

    def copy(self) -> "Histogram":
        """Another one with the same counts."""
        return self.plus(Histogram(self.bounds))

    def plus(self, other: "Histogram") -> "Histogram":
        """The sum of two with the same bounds."""
        added = Histogram(self.bounds)
        added.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        added.total = self.total + other.total
        return added

    def lines(self, name: str, labels: Labels) -> Iterable[str]:
        """Its samples: `NAME_bucket`, `NAME_sum`, `NAME_count`."""
        bounds = (*(f"{bound:.6g}" for bound in self.bounds), "+Inf")
        for bound, count in zip(bounds, itertools.accumulate(self.counts), strict=True):
            yield line(f"{name}_bucket", (*labels, ("le", bound)), count)
        yield line(f"{name}_sum", labels, self.total)
        yield line(f"{name}_count", labels, sum(self.counts))
