"""The quick check of `--dry-run`: what can be told of the data without reading a content."""

import collections
import dataclasses
import itertools

from graft.components.ingest.domains import check_domains, check_target_classes
from graft.components.ingest.request import Request
from graft.components.ingest.spans import open_sources
from graft.components.ingest.splits import SPLITS
from graft.models import examples
from graft.models.errors import GraftError
from graft.models.natural import natural_key
from graft.models.text import located

MOST_ENTRIES = 100_000
"""Examples looked at; a larger source is judged by its first ones, without holding their counts against it."""

_Counts = dict[str, collections.Counter[str | None]]
"""Stratum -> split that the source names, or None -> number of examples."""


@dataclasses.dataclass(frozen=True)
class SourceReport:
    """What the quick check found.

    Attributes:
      paths: The paths that will be read, oldest span first.
      classes: Class -> number of examples; empty for a target without classes.
      splits: Split -> number of examples to expect.
      complete: Whether all examples were counted.
      unmeasured: Class -> splits that its examples, or the names of their splits, leave without it for certain. With
        `data.group` ingestion may find more.
    """

    paths: tuple[str, ...]
    classes: dict[str, int]
    splits: dict[str, int]
    complete: bool
    unmeasured: dict[str, list[str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class _Found:
    """What was counted: by stratum, the same without the source domain and of it alone, and by domain."""

    strata: _Counts = dataclasses.field(default_factory=dict)
    judged: _Counts = dataclasses.field(default_factory=dict)
    taught: _Counts = dataclasses.field(default_factory=dict)
    named: collections.Counter[str | None] = dataclasses.field(default_factory=collections.Counter)
    domains: _Counts = dataclasses.field(default_factory=dict)
    fault: str = ""


def check_source(request: Request) -> SourceReport:
    """Checks that there is something to train on.

    Args:
      request: What is asked for.

    Returns:
      The classes and the expected splits.

    Raises:
      GraftError: The path is missing, unreadable or empty, the target cannot be learned from what there is, a domain is
        missing, or a split stays empty.
    """
    opened = open_sources(request)
    # What has labels first: of a larger source only so many are looked at.
    ordered = sorted((source for _, source in opened), key=lambda source: source.request.place is not None)
    entries = itertools.chain.from_iterable(source.entries() for source in ordered)
    found = _count(itertools.islice(entries, MOST_ENTRIES), request)
    complete = next(entries, None) is None
    unit, one = request.input.unit, request.input.one
    where = f"data.path {located(request.data.path)} (source {request.data.source})"
    if not found.named:
        raise GraftError(f"{where}: no labelled {one}; {request.labels_from}{found.fault}")
    fractions = request.data.split
    reached = {stratum: _reached(request, counts) for stratum, counts in sorted(found.strata.items())}
    places = {split: _places(found, request, split) for split in SPLITS}
    there = {
        split: {stratum: _reached(request, counts) for stratum, counts in places[split].items()} for split in SPLITS
    }
    expected = {
        split: {name: named[split] or int(split in there[split][name]) for name, named in places[split].items()}
        for split in SPLITS
    }
    finding = request.target.check_counts(expected, unit)
    taught = {"train": {examples.SOURCE_DOMAIN: _totals(found.taught), examples.TARGET_DOMAIN: _totals(found.judged)}}
    if complete:
        check_target_classes(taught, request)
    if finding.problem and not finding.other_split:
        raise GraftError(f"{where}: {finding.problem}; {request.labels_from}{found.fault}")
    if complete:
        if finding.problem:
            raise GraftError(f"{where}: {finding.problem}; or {request.data.split_advice}")
        for split in SPLITS:
            if not any(split in there for there in reached.values()):
                raise GraftError(
                    f"{where}: no {one} for split {split}: of {found.named.total()} {unit} "
                    f"{found.named[None]} are split by content (eval {fractions.eval:g}, test {fractions.test:g}), "
                    f"the others by name ({', '.join(f'{name} {found.named[name]}' for name in SPLITS)}); "
                    f"a split is sure of a class with at least 3 {unit}; {request.data.split_advice}"
                )
        if request.two_domains:
            check_domains(_expected_domains(request, found), request)
    classes = {name: counts.total() for name, counts in found.strata.items() if name}
    missing = {
        label: [split for split in SPLITS if split not in there[split].get(label, ())] for label in sorted(classes)
    }
    return SourceReport(
        tuple(source.path for _, source in opened),
        {label: classes[label] for label in sorted(classes, key=natural_key)},
        _expected(request, found, reached),
        complete,
        {label: gone for label, gone in missing.items() if gone and complete},
    )


def _count(entries, request: Request) -> _Found:
    found = _Found()
    for about in entries:
        if about.refused is not None:  # ingestion will reject it, with its reason
            if about.value:
                found.fault = f"; {about.refused[1]}"
            continue
        found.named[about.split] += 1
        found.domains.setdefault(about.domain or "", collections.Counter())[about.split] += 1
        if about.domain == examples.UNLABELLED:
            continue
        for stratum in request.target.strata(about.value) or ("",):
            found.strata.setdefault(stratum, collections.Counter())[about.split] += 1
            of_domain = found.taught if about.domain == examples.SOURCE_DOMAIN else found.judged
            of_domain.setdefault(stratum, collections.Counter())[about.split] += 1
    return found


def _reached(request: Request, counts: collections.Counter[str | None]) -> list[str]:
    """The splits that a class is sure to reach, as `plan.make_plan` shares it out: train first, then test."""
    fractions = {"train": 1.0, "test": request.data.split.test, "eval": request.data.split.eval}
    free = counts[None]
    there = [split for split in SPLITS if counts[split]]
    for split, fraction in fractions.items():
        if split not in there and fraction > 0 and free:
            there.append(split)
            free -= 1
    return there


def _places(found: _Found, request: Request, split: str) -> _Counts:
    """The counts of what a split learns from or is judged on; see `domains.judged_strata`."""
    if request.adapts:
        return found.judged if split == "test" and found.judged else found.taught
    return found.strata if split == "train" else found.judged


def _totals(counts: _Counts) -> dict[str, int]:
    return {stratum: found.total() for stratum, found in counts.items()}


def _expected_domains(request: Request, found: _Found) -> dict[str, dict[str, int]]:
    """What each split is sure of, by domain; all others are counted in train."""
    expected: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
    for domain, counts in found.domains.items():
        reached = _reached(request, counts)
        for split in SPLITS:
            expected[split][domain] = counts[split] or int(split in reached)
        expected["train"][domain] += counts.total() - sum(expected[split][domain] for split in SPLITS)
    return expected


def _expected(request: Request, found: _Found, reached: dict[str, list[str]]) -> dict[str, int]:
    """Expected examples of each split: those that the source names, and of the others a fraction, or one a class."""
    named, strata = found.named, found.strata
    held = {
        split: max(
            round(named[None] * fraction),
            sum(split in there and not strata[label][split] for label, there in reached.items()),
        )
        for split, fraction in (("eval", request.data.split.eval), ("test", request.data.split.test))
    }
    return {split: named[split] + held.get(split, named[None] - sum(held.values())) for split in SPLITS}
