"""`graft run --dry-run`: what a run would find, without running a stage or writing a file."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable
from typing import Any

from graft.components.data_gate.rules import rejected_gate
from graft.components.ingest.preflight import SourceReport, check_source
from graft.components.ingest.rehearsal import Rehearsal, rehearse
from graft.models.gates import Gate
from graft.models.run_warning import RunWarning
from graft.models.text import say
from graft.pipeline import floors, prepare, run, settling, stages, trackers
from graft.pipeline.config import Config
from graft.pipeline.output import EXIT_GATE, answer, fitted
from graft.pipeline.result import NO_QUALITY_GATE
from graft.pipeline.run import check_class_names

_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Found:
    """What a dry run found.

    Attributes:
        listed: what a listing tells.
        rehearsal: what ingestion would do; None where the data set is too large to go through.
        gate: of the rejected examples, as the data gate would judge them; None without a rehearsal.
        warnings: what a person should know before a run.
        seconds: it took.
        input: how the section was settled; None where there was nothing to choose.
    """

    listed: SourceReport
    rehearsal: Rehearsal | None
    gate: Gate | None
    warnings: list[RunWarning]
    seconds: float
    input: dict[str, Any] | None = None

    @property
    def classes(self) -> dict[str, int]:
        """Class -> examples that would be used, or where these are not known, that are listed."""
        if self.rehearsal is None:
            return self.listed.classes
        used = self.rehearsal.summary.used
        return {name: sum(used[split].get(name, 0) for split in used) for name in self.rehearsal.summary.classes}

    @property
    def splits(self) -> dict[str, int]:
        """Split -> examples."""
        return self.listed.splits if self.rehearsal is None else self.rehearsal.summary.counts

    @property
    def unmeasured(self) -> dict[str, list[str]]:
        """Class -> splits without it."""
        return self.listed.unmeasured if self.rehearsal is None else self.rehearsal.summary.unmeasured

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        value = {
            "status": "checked" if self.gate is None or self.gate.passed else "gate_closed",
            "classes": self.classes,
            "splits": self.splits,
            "unmeasured": self.unmeasured,
            "exact": self.rehearsal is not None,
            "warnings": [dataclasses.asdict(warning) for warning in self.warnings],
            "seconds": round(self.seconds, 2),
            "input": self.input,
        }
        if self.rehearsal is not None:
            names = ("file", "label", "reason", "detail")
            value |= {
                "rejected": self.rehearsal.summary.rejected,
                "rejected_files": [dict(zip(names, row, strict=True)) for row in self.rehearsal.rejected],
                "duplicates": self.rehearsal.summary.duplicates,
                "unpacked": self.rehearsal.verified,
            }
        return value


def look(config: Config, from_stage: str | None = None, tell: Callable[[str], None] = lambda _: None) -> Found:
    """Checks settings, places and backbone, and goes through the data as ingestion would.

    Args:
        config: of the pipeline.
        from_stage: of `--from`.
        tell: is told what takes long.

    Raises:
        GraftError: a run would end with it.
    """
    start = time.monotonic()
    prepare.check_paths(config)
    prepare.check_places(config)
    stages.check_from(config, from_stage)
    trackers.opened(config).check()
    request = config.request()
    listed = check_source(request)
    tell(f"{config.name}: reading the data")
    rehearsal = rehearse(request, sample=True) if listed.complete else None
    settlement = settling.settle(config, tell, remember=False, judge=False, rehearsed=rehearsal)
    config = settlement.config
    names = listed.classes if rehearsal is None else dict.fromkeys(rehearsal.summary.classes, 0)
    if listed.complete:
        check_class_names(config, names)
    prepare.check_teacher(config, names if listed.complete else ())
    run.check_backbone(config, tell, remember=False)
    gate = None if rehearsal is None else rejected_gate(rehearsal.summary, config.data.max_rejected)
    warnings = [*settlement.warnings, *_warnings(config, listed, rehearsal)]
    return Found(listed, rehearsal, gate, warnings, time.monotonic() - start, settlement.to_json())


def _warnings(config: Config, listed: SourceReport, rehearsal: Rehearsal | None) -> list[RunWarning]:
    unit, found = config.request().input.unit, []
    if rehearsal is None:
        strata, examples = {"": listed.classes}, listed.splits
        text = f"there are too many {unit} to go through: the counts are expected ones, and no {unit} were opened"
        found.append(RunWarning("not_rehearsed", text))
    else:
        summary = rehearsal.summary
        strata, examples = summary.judged or summary.used, summary.counts
        if rehearsal.verified < rehearsal.admitted:
            text = f"{rehearsal.verified} of {rehearsal.admitted} {unit} were unpacked; of the others, a run will say"
            found.append(RunWarning("not_all_unpacked", text))
    limits = floors.proposed(config, strata, examples)
    if limits is not None:
        text = f"no quality gate: any model would pass. For this data set at the least {floors.shown(limits)}"
        found.append(RunWarning(NO_QUALITY_GATE, text, grave=True))
    return found


def show(args: argparse.Namespace, found: Found, config: Config) -> int:
    """Prints what was found, and returns the exit code: 1 where the data gate would close."""
    unit, closed = config.request().input.unit, found.gate is not None and not found.gate.passed
    about = "" if found.rehearsal is not None else "about "
    classes = ", ".join(f"{name} {count}" for name, count in found.classes.items())
    splits = ", ".join(f"{name} {about}{count}" for name, count in found.splits.items())
    few = "".join(f" No {name} in {' and '.join(missing)}." for name, missing in found.unmeasured.items())
    verdict = "not sound" if closed else "sound"
    told = f" Classes: {classes}." if classes else ""
    lines = [f"{args.config}: {verdict}.{told} Splits: {splits}.{few} Nothing was run ({found.seconds:.1f} s)."]
    if found.input is not None and found.input["text"]:
        lines.append(f"input.{found.input['text']}")
    if found.rehearsal is not None:
        lines += _rejected(found.rehearsal, unit)
    answer(args, found.to_json(), *fitted(lines))
    if not args.json:
        for warning in found.warnings:
            say(*fitted([warning.line]), bold=warning.grave)
    if closed:
        say(f"graft: data_gate: a run would close the gate: {found.gate}", file=sys.stderr)
    return EXIT_GATE if closed else 0


def _rejected(rehearsal: Rehearsal, unit: str) -> list[str]:
    """What ingestion would leave out, for people."""
    summary, lines = rehearsal.summary, []
    if summary.duplicates:
        lines.append(f"{summary.duplicates} of the {unit} are copies of others; copies share a split.")
    if summary.left_out:
        lines.append("left out: " + ", ".join(f"{n} {summary.reasons.get(c, c)}" for c, n in summary.left_out.items()))
    if rehearsal.rejected:
        lines.append(f"{len(rehearsal.rejected)} {unit} would be rejected: {summary.rejections}")
        lines += [f"  {file}: {reason}, {detail}" for file, _, reason, detail in rehearsal.rejected[:_SHOWN]]
    if len(rehearsal.rejected) > _SHOWN:
        lines.append(f"  and {len(rehearsal.rejected) - _SHOWN} more; --json has all")
    return lines
