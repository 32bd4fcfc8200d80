"""The bins that a signal's values are counted in. Fixed once from reference data, so that counts can be added up."""

import bisect
import collections
import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

MISSING, OTHER = "missing", "other"


class _Counting:
    """What both kinds do with their bins."""

    @property
    def size(self) -> int:
        raise NotImplementedError

    def bin(self, value) -> int:
        raise NotImplementedError

    def counts(self, values: Iterable) -> tuple[int, ...]:
        """How many of the values fall into each bin."""
        found = collections.Counter(map(self.bin, values))
        return tuple(found[place] for place in range(self.size))


@dataclasses.dataclass(frozen=True)
class Numbers(_Counting):
    """Bins of a number: those between the edges, then one for what is missing.

    Attributes:
        name: of the signal.
        unit: of its values, for people; may be empty.
        edges: rising finite numbers; bin i holds what is above edge i and at most edge i + 1. The first and the last
            bin also hold what lies beyond the outer edges. Fewer than three make one bin.

    Raises:
        ValueError: the edges do not rise, or one is no finite number.
    """

    name: str
    unit: str
    edges: tuple[float, ...]

    kind: ClassVar[str] = "number"

    def __post_init__(self):
        rising = all(low < high for low, high in itertools.pairwise(self.edges))
        if not rising or not all(map(math.isfinite, self.edges)):
            raise ValueError(f"edges of {self.name!r} must be finite and rise; received {list(self.edges)[:20]}")

    @classmethod
    def fit(cls, name: str, unit: str, values: Iterable[float | None], bins: int = 10) -> Self:
        """Bins of about equally many of the values, which may come in any order.

        A value that fills a bin by itself (0 in counts, the side of pictures that are all of one size) gets a bin of
        its own, and what lies beside it is told apart from it. So there are at most `2 * bins` bins and that of what
        is missing.
        """
        known = sorted(float(value) for value in values if value is not None and not math.isnan(value))
        known = [value for value in known if math.isfinite(value)]
        if not known:
            return cls(name, unit, ())
        quantiles = {known[math.ceil(len(known) * part / bins) - 1] for part in range(1, bins)}
        cuts = set()
        for value in quantiles:
            first, end = bisect.bisect_left(known, value), bisect.bisect_right(known, value)
            cuts.add(value)
            if end - first > 1 and (end - first) * bins >= len(known):
                cuts.add(known[first - 1] if first else math.nextafter(value, -math.inf))
        inner = sorted(cuts)
        low = min(known[0], math.nextafter(inner[0], -math.inf))
        high = max(known[-1], math.nextafter(inner[-1], math.inf))
        return cls(name, unit, tuple(edge for edge in (low, *inner, high) if math.isfinite(edge)))

    @property
    def size(self) -> int:
        """Number of bins."""
        return max(len(self.edges) - 1, 1) + 1

    def bin(self, value: float | None) -> int:
        """The place of a value; None and NaN are missing."""
        if value is None or math.isnan(value):
            return self.size - 1
        return bisect.bisect_left(self.edges, value, 1, len(self.edges) - 1) - 1 if len(self.edges) > 2 else 0

    @property
    def labels(self) -> tuple[str, ...]:
        """What each bin holds, with as few digits as tell them apart."""
        for digits in range(3, 18):
            labels = (*_ranges(self.edges[1:-1], digits), MISSING)
            if len(set(labels)) == len(labels):
                break
        return labels


@dataclasses.dataclass(frozen=True)
class Categories(_Counting):
    """Bins of a category: one for each known value, one for all others, one for what is missing.

    Attributes:
        name: of the signal.
        values: those that have a bin, each once.
    """

    name: str
    values: tuple[str, ...]

    kind: ClassVar[str] = "category"

    def __post_init__(self):
        if len(set(self.values)) != len(self.values):
            raise ValueError(f"values of {self.name!r} must differ; received {list(self.values)[:20]}")
        object.__setattr__(self, "_places", {value: place for place, value in enumerate(self.values)})

    @classmethod
    def fit(cls, name: str, values: Iterable[str | None], most: int = 50) -> Self:
        """The `most` most frequent of the values; of equally frequent ones those whose names come first."""
        found = collections.Counter(value for value in values if value is not None)
        return cls(name, tuple(sorted(found, key=lambda value: (-found[value], value))[:most]))

    @property
    def size(self) -> int:
        """Number of bins."""
        return len(self.values) + 2

    def bin(self, value: str | None) -> int:
        """The place of a value; None is missing."""
        if value is None:
            return self.size - 1
        return self._places.get(value, len(self.values))  # type: ignore[attr-defined]

    @property
    def labels(self) -> tuple[str, ...]:
        """The values and `other` and `missing`, which are put in brackets where a value is called so."""
        own = (f"({name})" if name in self.values else name for name in (OTHER, MISSING))
        return (*self.values, *own)


Signal = Numbers | Categories


def _ranges(inner: Sequence[float], digits: int) -> list[str]:
    """Labels of the bins that inner edges make."""
    if not inner:
        return ["any"]
    shown = [f"{0.0 if abs(edge) < 1e-300 else edge:.{digits}g}" for edge in inner]
    between = [high if low == high else f"{low} to {high}" for low, high in itertools.pairwise(shown)]
    # Two edges that look alike stand on either side of one value.
    first = f"below {shown[0]}" if shown[:1] == shown[1:2] else f"up to {shown[0]}"
    return [first, *between, f"above {shown[-1]}"]
