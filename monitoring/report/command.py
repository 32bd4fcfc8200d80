"""`graft monitor report`: the page of what a monitor found."""

import argparse
import pathlib
import time
from typing import Any

from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.monitoring.drift.command import asked
from graft.monitoring.report import page, words
from graft.monitoring.report.examples import examples
from graft.monitoring.report.findings import Findings, find
from graft.monitoring.report.verdict import Verdict, verdict
from graft.monitoring.retrain.audit import FOLDER as RETRAIN
from graft.pipeline import config as configs
from graft.pipeline.output import answer

DEFAULT = "drift_report.html"
_now = time.time


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status, 0 whatever the page says."""
    place, options = asked(args)
    root = configs.load(args.config).run_root
    found = find(place, options, _now(), args.version, root / RETRAIN)
    state = verdict(found)
    text = page.render(found, state, examples(found, root))
    path: pathlib.Path = args.output or place.folder / DEFAULT
    try:
        write_atomic(path, text.encode(errors="backslashreplace"))
    except OSError as error:
        raise GraftError(f"--output {path}: {error.strerror}; its folder must be there and writable") from error
    answer(args, summary(found, state, path), state.sentence, f"report: {path}")
    return 0


def summary(found: Findings, state: Verdict, path: pathlib.Path) -> dict[str, Any]:
    """What the page says, as JSON types."""
    requests, labels = found.last("requests"), found.last("labels")
    return {
        "status": "written",
        "state": state.state,
        "sentence": state.sentence,
        "since": None if state.since is None else words.moment(state.since),
        "model": found.place.model,
        "version": found.version,
        "served": found.pointer.version if found.pointer else None,
        "report": str(path),
        "windows": found.dropped + len(found.windows),
        "moved": [test.model_dump(mode="json") for test in found.tests if test.alarm],
        "quality": labels.quality.model_dump(mode="json") if labels and labels.quality else None,
        "estimate": requests.estimate.model_dump(mode="json") if requests and requests.estimate else None,
        "unread": [{"count": count, "what": what} for count, what in page.unread(found)],
        "faults": found.faults,
    }
