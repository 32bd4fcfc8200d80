"""The `Rejected` artifact: what was not used and why, and counts of what was."""

import collections
import dataclasses
import json
import logging
import resource

import tensorflow as tf

from graft.components.ingest import shards
from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.splits import SPLIT_ADVICE, SPLITS
from graft.models.errors import GraftError
from graft.models.natural import natural_key
from graft.models.stored import reading

log = logging.getLogger(__name__)

REJECTED_FILE = "rejected.jsonl"
SUMMARY_FILE = "summary.json"


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of one ingestion.

    Attributes:
      used: split -> class -> number of images.
      rejected: reason code -> number of images.
      duplicates: Images used whose bytes were already there (same label, same split).
      bytes: Encoded bytes that passed the checks.
      seconds: Wall time.
      peak_rss: Largest resident memory of the process so far, bytes.
      limits: The limits of `DataOptions` that images were held against.
      span: The newest span, or None.
    """

    used: dict[str, dict[str, int]]
    rejected: dict[str, int]
    duplicates: int
    bytes: int
    seconds: float
    peak_rss: int
    limits: dict[str, float]
    span: int | None = None

    @property
    def used_count(self) -> int:
        """Images used, over all splits."""
        return sum(sum(labels.values()) for labels in self.used.values())

    @property
    def rejected_count(self) -> int:
        """Images rejected, for any reason."""
        return sum(self.rejected.values())

    @property
    def total(self) -> int:
        """Images seen."""
        return self.used_count + self.rejected_count

    @property
    def rejected_fraction(self) -> float:
        """Rejected images as a fraction of those seen; 0 when none were."""
        return self.rejected_count / self.total if self.total else 0.0

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.total / self.seconds if self.seconds else 0.0

    @property
    def unmeasured(self) -> dict[str, list[str]]:
        """Class -> the splits that hold no image of it, for the classes that miss one."""
        missing = {label: [split for split in SPLITS if label not in self.used[split]] for label in self.classes}
        return {label: splits for label, splits in missing.items() if splits}

    @property
    def classes(self) -> list[str]:
        """Names of the classes that have a usable image, in natural order."""
        found = {label for labels in self.used.values() for label, count in labels.items() if count}
        return sorted(found, key=natural_key)


def write_rejected(
    options: DataOptions, folder: str, rejected_uri: str, *, span: int | None, seconds: float
) -> Summary:
    """Gathers the workers' notes into `rejected.jsonl` and `summary.json`.

    Args:
      options: Their limits are recorded.
      folder: The working folder with the notes.
      rejected_uri: Where to write.
      span: The newest span that was read.
      seconds: Wall time so far.
    """
    used: dict[str, collections.Counter[str]] = {split: collections.Counter() for split in SPLITS}
    rejected: collections.Counter[str] = collections.Counter()
    size = duplicates = 0
    tf.io.gfile.makedirs(rejected_uri)
    with tf.io.gfile.GFile(f"{rejected_uri}/{REJECTED_FILE}", "w") as file:
        file.write("")  # makes the file, if nothing follows
        for note in shards.read_notes(folder, "chunk-"):
            size += note["bytes"]
            _write_lines(file, note["rejected"], rejected)
        for note in shards.read_notes(folder, "bucket-"):
            for split, labels in note["used"].items():
                used[split].update(labels)
            duplicates += note["duplicates"]
            _write_lines(file, note["rejected"], rejected)
    summary = Summary(
        used={split: dict(sorted(labels.items())) for split, labels in used.items()},
        rejected=dict(sorted(rejected.items())),
        duplicates=duplicates,
        bytes=size,
        seconds=seconds,
        peak_rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        limits={name: getattr(options, name) for name in ("max_pixels", "max_bytes")},
        span=span,
    )
    with tf.io.gfile.GFile(f"{rejected_uri}/{SUMMARY_FILE}", "w") as file:
        figures = ("total", "used_count", "rejected_count", "rejected_fraction", "rate", "unmeasured")
        derived = {name: getattr(summary, name) for name in figures}
        file.write(json.dumps(dataclasses.asdict(summary) | derived, indent=2) + "\n")
    return summary


def _write_lines(file, rows: list[list[str]], counts: collections.Counter) -> None:
    for name, label, reason, detail in rows:
        counts[reason] += 1
        file.write(json.dumps({"file": name, "label": label, "reason": reason, "detail": detail}) + "\n")


def read_summary(rejected_uri: str) -> Summary:
    """Reads what `write_rejected` wrote; GraftError where the file is damaged."""
    path = f"{rejected_uri}/{SUMMARY_FILE}"
    with reading(path, "ingest"):
        with tf.io.gfile.GFile(path, "r") as file:
            values = json.loads(file.read())
        return Summary(**{field.name: values[field.name] for field in dataclasses.fields(Summary)})


def read_rejected(rejected_uri: str) -> list[dict[str, str]]:
    """Reads `rejected.jsonl`: file, label, reason and detail of each image that was not used."""
    path = f"{rejected_uri}/{REJECTED_FILE}"
    with reading(path, "ingest"), tf.io.gfile.GFile(path, "r") as file:
        return [json.loads(line) for line in file]


def check_classes(summary: Summary, options: DataOptions) -> None:
    """Raises GraftError unless there are two classes, an image in each split, and each class can be learned.

    A class that eval or test misses is learned but not measured: a line in the log, not an error.
    """
    where = f"data.path {options.path!r}"
    reasons = ", ".join(
        f"{count} {reason} ({Reason(reason).explanation})" for reason, count in summary.rejected.items()
    )
    refused = f" {summary.rejected_count} images were rejected: {reasons}." if reasons else ""
    if not summary.used_count:
        raise GraftError(f"{where}: no usable image.{refused}")
    if len(summary.classes) < 2:
        raise GraftError(f"{where}: one class only ({summary.classes[0]!r}); at least 2 are needed.{refused}")
    totals = {split: sum(summary.used[split].values()) for split in SPLITS}
    if not all(totals.values()):
        found = ", ".join(f"{split} {count}" for split, count in totals.items())
        raise GraftError(
            f"{where}: train, eval and test need images ({found}). Add images, or {SPLIT_ADVICE}.{refused}"
        )
    unlearned = [label for label, missing in summary.unmeasured.items() if "train" in missing]
    if unlearned:
        counts = {label: [f"{split} {summary.used[split].get(label, 0)}" for split in SPLITS] for label in unlearned}
        found = "; ".join(f"{label!r} has no image in train ({', '.join(counts[label])})" for label in unlearned[:10])
        raise GraftError(
            f"{where}: what is not in train cannot be learned: {found}. Add images of it there or leave it out; "
            f"or {SPLIT_ADVICE}.{refused}"
        )
    if summary.unmeasured:
        found = "; ".join(f"{label!r} in {' and '.join(missing)}" for label, missing in summary.unmeasured.items())
        log.warning("%s: too few images to measure every class; no image of %s", where, found)
