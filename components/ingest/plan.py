"""Where units go against their hash: names that disagree, and classes so small that a split would miss them.

A unit is what may never straddle splits: a content with its copies, or a group. The hash decides, without looking at
anything else; here are the exceptions, which need all units to be seen. They are few, so every worker holds them.
"""

import collections
import dataclasses
import heapq
import itertools
from collections.abc import Iterable

from graft.components.ingest.options import SplitOptions
from graft.components.ingest.splits import PRECEDENCE, assign_split

_SPARE_KEPT = 16
"""Units kept for each class and split. Two can be needed; more let a group be passed over that others need."""

# One example's part in its unit: unit, one of its classes, split that the source names.
Sighting = tuple[bytes, str, str | None]

# A unit that may be moved: its key and its classes.
Spare = tuple[bytes, tuple[str, ...]]


@dataclasses.dataclass
class Census:
    """What is known of some units.

    Attributes:
      settled: Unit -> split, where its examples name several splits, or only some of them name one.
      counts: Class -> split -> number of units.
      spare: (class, split) -> the units with the lowest keys there that no name holds, ordered.
    """

    settled: dict[bytes, str] = dataclasses.field(default_factory=dict)
    counts: dict[str, collections.Counter[str]] = dataclasses.field(default_factory=dict)
    spare: dict[tuple[str, str], list[Spare]] = dataclasses.field(default_factory=dict)


def take_census(sightings: Iterable[Sighting], fractions: SplitOptions) -> Census:
    """Counts units.

    Args:
      sightings: All examples of each of these units, in any order.
      fractions: Of the splits.
    """
    census = Census(counts=collections.defaultdict(collections.Counter), spare=collections.defaultdict(list))
    for unit, seen in itertools.groupby(sorted(set(sightings), key=_by_unit), _by_unit):
        _, found, named = zip(*seen, strict=True)
        labels, names = set(found), set(named)
        # Held-out splits win over training: keeping the training examples of such a group would leak.
        split = next((split for split in PRECEDENCE if split in names), None)
        if split is not None and len(names) > 1:
            census.settled[unit] = split
        place = split or assign_split(unit, eval_fraction=fractions.eval, test_fraction=fractions.test)
        for label in labels:
            census.counts[label][place] += 1
            if split is None and len(census.spare[label, place]) < _SPARE_KEPT:
                census.spare[label, place].append((unit, tuple(sorted(labels))))
    return merge([census])


def _by_unit(sighting: Sighting) -> bytes:
    return sighting[0]


def merge(parts: Iterable[Census]) -> Census:
    """Joins censuses of different units. A class that no split misses needs no spare units."""
    census = Census()
    spare: dict[tuple[str, str], list[list[Spare]]] = collections.defaultdict(list)
    for part in parts:
        census.settled |= part.settled
        for label, counts in part.counts.items():
            census.counts.setdefault(label, collections.Counter()).update(counts)
        for place, units in part.spare.items():
            spare[place].append(units)
    for (label, split), lists in spare.items():
        if any(not census.counts[label][other] for other in PRECEDENCE):
            census.spare[label, split] = heapq.nsmallest(_SPARE_KEPT, (unit for units in lists for unit in units))
    return census


def make_plan(census: Census, fractions: SplitOptions) -> dict[bytes, str]:
    """Decides the exceptions.

    A class of at least three units that no name holds ends up in every split whose fraction is not 0: a split that
    misses it gets the unit with the lowest key from the split that has most of it. A class of fewer is in train first,
    for what is not learned cannot be measured, and then in test, for the gates. With groups, no class loses its last
    unit in a split to another one, except to let that be learned.

    Args:
      census: Of all units.
      fractions: Of the splits.

    Returns:
      Unit -> split for each unit that neither its hash nor its examples' names put into a split by themselves.
    """
    plan = dict(census.settled)
    counts = {label: collections.Counter(found) for label, found in sorted(census.counts.items())}
    wanted = {"train": True, "test": fractions.test > 0, "eval": fractions.eval > 0}
    for split in (split for split in wanted if wanted[split]):
        for label, found in counts.items():
            if found[split]:
                continue
            for donor in sorted(wanted, key=lambda donor: (-found[donor], PRECEDENCE.index(donor))):
                last = split == "train" or (split, donor) == ("test", "eval")  # may go, too
                spare = (
                    (unit, labels)
                    for unit, labels in census.spare.get((label, donor), ())
                    if unit not in plan
                    and (last or found[donor] > 1)
                    and (split == "train" or all(counts[other][donor] > 1 for other in labels if other != label))
                )
                unit, labels = next(spare, (None, ()))
                if unit is not None:
                    plan[unit] = split
                    for other in labels:
                        counts[other][donor] -= 1
                        counts[other][split] += 1
                    break
    return plan
