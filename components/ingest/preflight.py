"""The quick check of `--dry-run`: what can be told of the data without reading an image."""

import collections
import contextlib
import dataclasses
import itertools

from components.ingest.options import DataOptions, label_fault
from components.ingest.spans import open_sources
from components.ingest.splits import SPLIT_ADVICE, SPLITS
from models.errors import GraftError

MIN_IMAGES = len(SPLITS)
"""Least images of a class: one a split."""

MOST_ENTRIES = 100_000
"""Images looked at; a larger source is judged by its first ones, without holding their counts against it."""


@dataclasses.dataclass(frozen=True)
class SourceReport:
    """What the quick check found.

    Attributes:
      paths: The paths that will be read, oldest span first.
      classes: Class -> number of images.
      splits: Split -> number of images to expect.
      complete: Whether all images were counted.
    """

    paths: tuple[str, ...]
    classes: dict[str, int]
    splits: dict[str, int]
    complete: bool


def check_source(options: DataOptions) -> SourceReport:
    """Checks that there is something to train on.

    Args:
      options: The data options.

    Returns:
      The classes and the expected splits.

    Raises:
      GraftError: The path is missing, unreadable or empty, holds one class only, a class has fewer images than there
        are splits, or a split stays empty.
    """
    opened = open_sources(options)
    entries = itertools.chain.from_iterable(source.entries() for _, source in opened)
    classes: collections.Counter = collections.Counter()
    named: collections.Counter = collections.Counter()
    refused = ""
    for entry in itertools.islice(entries, MOST_ENTRIES):
        if fault := label_fault(entry.label):  # ingestion will reject it, too
            refused = f"; {fault}"
        elif entry.label and (options.class_names is None or entry.label in options.class_names):
            with contextlib.suppress(ValueError):  # ingestion will reject it, with its reason
                named[options.named_split(entry.split)] += 1
                classes[entry.label] += 1
    complete = next(entries, None) is None
    where = f"data.path {options.path!r} (source {options.source})"
    if not classes:
        raise GraftError(f"{where}: no labelled image; {_allowed(options)}{refused}")
    if len(classes) < 2:
        raise GraftError(
            f"{where}: one class only ({next(iter(classes))!r}); at least 2 are needed; {_allowed(options)}{refused}"
        )
    small = {label: count for label, count in sorted(classes.items()) if count < MIN_IMAGES}
    if small and complete:
        found = ", ".join(f"{label!r} has {count}" for label, count in list(small.items())[:10])
        raise GraftError(f"{where}: each class needs at least {MIN_IMAGES} images, one a split; {found}")
    splits = _expected(options, named)
    if complete:
        for split in SPLITS:
            if not splits[split]:
                raise GraftError(
                    f"{where}: no image for split {split}: of {sum(classes.values())} images "
                    f"{named[None]} are split by content (eval {options.split.eval:g}, test {options.split.test:g}), "
                    f"the others by name ({', '.join(f'{name} {named[name]}' for name in SPLITS)}); "
                    f"{SPLIT_ADVICE}"
                )
    return SourceReport(tuple(source.path for _, source in opened), dict(sorted(classes.items())), splits, complete)


def _expected(options: DataOptions, named: collections.Counter) -> dict[str, int]:
    """Expected number of images a split: those that the source names, and the fractions of the others."""
    held = {"eval": round(named[None] * options.split.eval), "test": round(named[None] * options.split.test)}
    return {split: named[split] + held.get(split, named[None] - sum(held.values())) for split in SPLITS}


def _allowed(options: DataOptions) -> str:
    if options.class_names is not None:
        return f"data.class_names allows {', '.join(options.class_names[:20])}"
    if options.source == "image_folder":
        return "each class is a folder with its images"
    return f"labels are read from {options.columns.label!r}"
