"""The `Rejected` artifact: what was not used and why, and counts of what was."""

import collections
import dataclasses
import json
import logging
import pathlib
import resource
from collections.abc import Iterable, Mapping
from typing import Any

from graft.components.ingest import shards
from graft.components.ingest.domains import check_domains, check_target_classes, judged_strata
from graft.components.ingest.request import Request
from graft.components.ingest.splits import SPLITS
from graft.models.errors import GraftError
from graft.models.natural import natural_key
from graft.models.stored import reading
from graft.models.text import located

log = logging.getLogger(__name__)

REJECTED_FILE = "rejected.jsonl"
SUMMARY_FILE = "summary.json"


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of one ingestion.

    Attributes:
      unit: What the examples are called, in the plural.
      used: split -> class -> number of examples; one of several classes counts in each, one of none under "".
      counts: split -> number of examples.
      domains: split -> domain -> number of examples; empty where there are no domains.
      rejected: reason code -> number of examples.
      reasons: code -> one line for people, of those in `rejected` and `left_out`.
      duplicates: Examples whose bytes were already there: those with the same label and split are used, those without a
        label beside one that has one are not.
      bytes: Bytes of the contents that passed the checks.
      seconds: Wall time.
      peak_rss: Largest resident memory of the process so far, bytes.
      limits: What of the input's settings contents were held against.
      span: The newest span, or None.
      judged: As `used`, of the domains only that are learned from (train) or judged on, see
        `components.ingest.domains.judged_strata`; None where there are no domains.
      strata: split -> domain -> class -> number of examples; empty where there are no domains.
      left_out: code -> number of examples that a source holds and did not give; not held against the data.
    """

    unit: str
    used: dict[str, dict[str, int]]
    counts: dict[str, int]
    domains: dict[str, dict[str, int]]
    rejected: dict[str, int]
    reasons: dict[str, str]
    duplicates: int
    bytes: int
    seconds: float
    peak_rss: int
    limits: dict[str, float]
    span: int | None = None
    judged: dict[str, dict[str, int]] | None = None
    strata: dict[str, dict[str, dict[str, int]]] = dataclasses.field(default_factory=dict)
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def used_count(self) -> int:
        """Examples used, over all splits."""
        return sum(self.counts.values())

    @property
    def rejected_count(self) -> int:
        """Examples rejected, for any reason."""
        return sum(self.rejected.values())

    @property
    def total(self) -> int:
        """Examples seen."""
        return self.used_count + self.rejected_count

    @property
    def rejected_fraction(self) -> float:
        """Rejected examples as a fraction of those seen; 0 when none were."""
        return self.rejected_count / self.total if self.total else 0.0

    @property
    def rejections(self) -> str:
        """What was rejected, for people; empty where nothing was."""
        return ", ".join(f"{count} {code} ({self.reasons.get(code, code)})" for code, count in self.rejected.items())

    @property
    def rate(self) -> float:
        """Examples per second."""
        return self.total / self.seconds if self.seconds else 0.0

    @property
    def unmeasured(self) -> dict[str, list[str]]:
        """Class -> the splits that hold no example of it to learn from or be judged on, for classes that miss one."""
        used = self.judged or self.used
        missing = {label: [split for split in SPLITS if label not in used[split]] for label in self.classes}
        return {label: splits for label, splits in missing.items() if splits}

    @property
    def classes(self) -> list[str]:
        """Names of the classes that have a usable example, in natural order."""
        found = {label for labels in self.used.values() for label, count in labels.items() if count and label}
        return sorted(found, key=natural_key)


class Counts:
    """Adds up what ingestion notes of chunks and buckets."""

    def __init__(self, request: Request):
        self._request = request
        self._used: dict[str, collections.Counter[str]] = {split: collections.Counter() for split in SPLITS}
        self._strata: dict[str, dict[str, collections.Counter[str]]] = {split: {} for split in SPLITS}
        self._domains: dict[str, collections.Counter[str]] = {split: collections.Counter() for split in SPLITS}
        self._rejected: collections.Counter[str] = collections.Counter()
        self._bytes = self._duplicates = 0

    def add_chunk(self, note: Mapping[str, Any]) -> None:
        """`rejected` (file, label, reason, detail) and `bytes` of a chunk."""
        self._bytes += note["bytes"]
        self._rejected.update(reason for _, _, reason, _ in note["rejected"])

    def add_bucket(self, note: Mapping[str, Any]) -> None:
        """What `resolving.Tally.note` gives."""
        for split, by_domain in note["counts"].items():
            self._domains[split].update(by_domain)
        for split, by_domain in note["strata"].items():
            for domain, counts in by_domain.items():
                self._used[split].update(counts)
                self._strata[split].setdefault(domain, collections.Counter()).update(counts)
        self._duplicates += note["duplicates"]
        self._rejected.update(reason for _, _, reason, _ in note["rejected"])

    def summary(
        self, *, span: int | None, seconds: float, left_out: Iterable[Mapping[str, tuple[int, str]]] = ()
    ) -> Summary:
        """The counts so far.

        Args:
          span: The newest span that was read.
          seconds: Wall time so far.
          left_out: Of each source, see `sources.base.Source.left_out`.
        """
        request, two = self._request, self._request.two_domains
        missing: collections.Counter[str] = collections.Counter()
        meanings: dict[str, str] = {}
        for found in left_out:
            for code, (count, meaning) in found.items():
                missing[code] += count
                meanings[code] = meaning
        strata = {
            split: {domain: dict(sorted(counts.items())) for domain, counts in sorted(found.items())}
            for split, found in self._strata.items()
        }
        return Summary(
            unit=request.input.unit,
            used={split: dict(sorted(labels.items())) for split, labels in self._used.items()},
            counts={split: by_domain.total() for split, by_domain in self._domains.items()},
            domains={split: dict(sorted(found.items())) for split, found in self._domains.items()} if two else {},
            rejected=dict(sorted(self._rejected.items())),
            reasons={code: request.explanations.get(code, code) for code in sorted(self._rejected)}
            | dict(sorted(meanings.items())),
            duplicates=self._duplicates,
            bytes=self._bytes,
            seconds=seconds,
            peak_rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            limits={name: value for name, value in request.input.options if name.startswith("max_")},
            span=span,
            judged=judged_strata(self._strata, request) if two else None,
            strata=strata if two else {},
            left_out=dict(sorted(missing.items())),
        )


def write_rejected(
    request: Request,
    folder: str,
    rejected_uri: str,
    *,
    span: int | None,
    seconds: float,
    left_out: Iterable[Mapping[str, tuple[int, str]]] = (),
) -> Summary:
    """Gathers the workers' notes into `rejected.jsonl` and `summary.json`.

    Args:
      request: Explains the reasons.
      folder: The working folder with the notes.
      rejected_uri: Where to write.
      span: The newest span that was read.
      seconds: Wall time so far.
      left_out: Of each source, see `sources.base.Source.left_out`.
    """
    counts = Counts(request)
    output = pathlib.Path(rejected_uri)
    output.mkdir(parents=True, exist_ok=True)
    with (output / REJECTED_FILE).open("w", encoding="utf-8") as file:
        for note in shards.read_notes(folder, "chunk-"):
            counts.add_chunk(note)
            _write_lines(file, note["rejected"])
        for note in shards.read_notes(folder, "bucket-"):
            counts.add_bucket(note)
            _write_lines(file, note["rejected"])
    summary = counts.summary(span=span, seconds=seconds, left_out=left_out)
    figures = ("total", "used_count", "rejected_count", "rejected_fraction", "rate", "unmeasured")
    derived = {name: getattr(summary, name) for name in figures}
    content = json.dumps(dataclasses.asdict(summary) | derived, indent=2) + "\n"
    (output / SUMMARY_FILE).write_text(content, encoding="utf-8")
    return summary


def _write_lines(file, rows: list[list[str]]) -> None:
    for name, label, reason, detail in rows:
        file.write(json.dumps({"file": name, "label": label, "reason": reason, "detail": detail}) + "\n")


def read_summary(rejected_uri: str) -> Summary:
    """Reads what `write_rejected` wrote; GraftError where the file is damaged."""
    path = pathlib.Path(rejected_uri) / SUMMARY_FILE
    with reading(path, "ingest"):
        values = json.loads(path.read_text(encoding="utf-8"))
        # Version 0.1 read images of one class and wrote no more than these.
        values.setdefault("unit", "images")
        values.setdefault("counts", {split: sum(labels.values()) for split, labels in values["used"].items()})
        values.setdefault("domains", {})
        values.setdefault("reasons", {})
        values.setdefault("judged", None)
        values.setdefault("strata", {})
        values.setdefault("left_out", {})
        return Summary(**{field.name: values[field.name] for field in dataclasses.fields(Summary)})


def read_rejected(rejected_uri: str) -> list[dict[str, str]]:
    """Reads `rejected.jsonl`: file, label, reason and detail of each example that was not used."""
    path = pathlib.Path(rejected_uri) / REJECTED_FILE
    with reading(path, "ingest"), path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def check_counts(summary: Summary, request: Request) -> None:
    """Raises GraftError unless there is an example in each split, of each domain where it is needed, and a target.

    What a target can learn but not measure is a line in the log, not an error.

    Args:
      summary: What was used.
      request: What was asked for.
    """
    where, unit = f"data.path {located(request.data.path)}", request.input.unit
    refused = f" {summary.rejected_count} {unit} were rejected: {summary.rejections}." if summary.rejected else ""
    if not summary.used_count:
        raise GraftError(f"{where}: no usable {request.input.one}.{refused}")
    check_target_classes(summary.strata, request)
    finding = request.target.check_counts(summary.judged or summary.used, unit)
    if finding.problem and not finding.other_split:
        raise GraftError(f"{where}: {finding.problem}.{refused}")
    if request.two_domains:
        check_domains(summary.domains, request, refused)
    if not all(summary.counts.values()):
        found = ", ".join(f"{split} {count}" for split, count in summary.counts.items())
        raise GraftError(
            f"{where}: train, eval and test need {unit} ({found}). Add {unit}, or {request.data.split_advice}.{refused}"
        )
    if finding.problem:
        raise GraftError(f"{where}: {finding.problem}; or {request.data.split_advice}.{refused}")
    if finding.warning:
        log.warning("%s: %s", where, finding.warning)
