"""The quick check of `--dry-run`: what can be told of the data without reading an image."""

import collections
import contextlib
import dataclasses
import itertools

from graft.components.ingest.options import DataOptions, label_fault
from graft.components.ingest.spans import open_sources
from graft.components.ingest.splits import SPLIT_ADVICE, SPLITS
from graft.models.errors import GraftError
from graft.models.natural import natural_key

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
      unmeasured: Class -> splits that its images, or the names of their splits, leave without it for certain. With
        `data.group` ingestion may find more.
    """

    paths: tuple[str, ...]
    classes: dict[str, int]
    splits: dict[str, int]
    complete: bool
    unmeasured: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def check_source(options: DataOptions) -> SourceReport:
    """Checks that there is something to train on.

    Args:
      options: The data options.

    Returns:
      The classes and the expected splits.

    Raises:
      GraftError: The path is missing, unreadable or empty, holds one class only, a class is in no image for training,
        or a split stays empty.
    """
    opened = open_sources(options)
    entries = itertools.chain.from_iterable(source.entries() for _, source in opened)
    classes: dict[str, collections.Counter[str | None]] = {}
    refused = ""
    for entry in itertools.islice(entries, MOST_ENTRIES):
        if fault := label_fault(entry.label):  # ingestion will reject it, too
            refused = f"; {fault}"
        elif entry.label and (options.class_names is None or entry.label in options.class_names):
            with contextlib.suppress(ValueError):  # ingestion will reject it, with its reason
                classes.setdefault(entry.label, collections.Counter())[options.named_split(entry.split)] += 1
    complete = next(entries, None) is None
    where = f"data.path {options.path!r} (source {options.source})"
    if not classes:
        raise GraftError(f"{where}: no labelled image; {_allowed(options)}{refused}")
    if len(classes) < 2:
        raise GraftError(
            f"{where}: one class only ({next(iter(classes))!r}); at least 2 are needed; {_allowed(options)}{refused}"
        )
    named = sum(classes.values(), collections.Counter())
    reached = {label: _reached(options, counts) for label, counts in sorted(classes.items())}
    if complete:
        unlearned = [label for label, there in reached.items() if "train" not in there]
        if unlearned:
            found = "; ".join(
                f"{label!r} has no image in train ({', '.join(f'{split} {classes[label][split]}' for split in SPLITS)})"
                for label in unlearned[:10]
            )
            raise GraftError(f"{where}: what is not in train cannot be learned: {found}; {SPLIT_ADVICE}")
        for split in SPLITS:
            if not any(split in there for there in reached.values()):
                raise GraftError(
                    f"{where}: no image for split {split}: of {named.total()} images "
                    f"{named[None]} are split by content (eval {options.split.eval:g}, test {options.split.test:g}), "
                    f"the others by name ({', '.join(f'{name} {named[name]}' for name in SPLITS)}); "
                    f"a split is sure of a class with at least 3 images; {SPLIT_ADVICE}"
                )
    splits = _expected(options, classes, reached)
    missing = {label: [split for split in SPLITS if split not in there] for label, there in reached.items()}
    return SourceReport(
        tuple(source.path for _, source in opened),
        {label: classes[label].total() for label in sorted(classes, key=natural_key)},
        splits,
        complete,
        {label: gone for label, gone in missing.items() if gone and complete},
    )


def _reached(options: DataOptions, counts: collections.Counter[str | None]) -> list[str]:
    """The splits that a class is sure to reach, as `plan.make_plan` shares it out: train first, then test."""
    fractions = {"train": 1.0, "test": options.split.test, "eval": options.split.eval}
    free = counts[None]
    there = [split for split in SPLITS if counts[split]]
    for split, fraction in fractions.items():
        if split not in there and fraction > 0 and free:
            there.append(split)
            free -= 1
    return there


def _expected(
    options: DataOptions, classes: dict[str, collections.Counter[str | None]], reached: dict[str, list[str]]
) -> dict[str, int]:
    """Expected images of each split: those that the source names, and of the others a fraction, or one a class."""
    named = sum(classes.values(), collections.Counter())
    held = {
        split: max(
            round(named[None] * fraction),
            sum(split in there and not classes[label][split] for label, there in reached.items()),
        )
        for split, fraction in (("eval", options.split.eval), ("test", options.split.test))
    }
    return {split: named[split] + held.get(split, named[None] - sum(held.values())) for split in SPLITS}


def _allowed(options: DataOptions) -> str:
    if options.class_names is not None:
        return f"data.class_names allows {', '.join(options.class_names[:20])}"
    if options.source == "image_folder":
        return "each class is a folder with its images"
    return f"labels are read from {options.columns.label!r}"
