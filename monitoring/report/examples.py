"""Example inputs before and now: some of the reference's run, some that the log keeps of the last window."""

import dataclasses
import datetime
import hashlib
import heapq
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Mapping

from graft.models.errors import GraftError, one_line
from graft.models.inputs.base import Input
from graft.monitoring.drift.results import Window
from graft.monitoring.drift.rows import contents_of
from graft.monitoring.drift.watched import Watched
from graft.monitoring.report.findings import Findings
from graft.monitoring.request_log import log_file
from graft.monitoring.request_log.reader import Reading, files, read_file
from graft.monitoring.request_log.record import ForeignRecord, Record

EACH = 8
_MOST_RECORDS = 20_000
_MOST_FILES = 16
_BEHIND_S = 3600.0
"""A file is begun when its first request is written, which is after its time."""
_MOST_READ = 1000
_REFERENCE_STAGE, _EXAMPLES = "ingest", "examples"


@dataclasses.dataclass
class Shown:
    """Previews, see `Input.preview`, and why there are none.

    Attributes:
        before, now: previews; one that cannot be drawn is a text that says so.
        no_before, no_now: why there are none; empty if there are.
        kind: what several are called: `images`.
        faults: what could not be read of the log.
    """

    before: list[Mapping[str, str]] = dataclasses.field(default_factory=list)
    now: list[Mapping[str, str]] = dataclasses.field(default_factory=list)
    no_before: str = ""
    no_now: str = ""
    kind: str = "inputs"
    faults: list[str] = dataclasses.field(default_factory=list)


def examples(found: Findings, root: pathlib.Path) -> Shown:
    """Chooses by the hash of an id or a content, so that the same ones are shown each time.

    Args:
        found: what is reported.
        root: folder of the pipeline, with its metadata store.
    """
    shown, watched, window = Shown(), found.watched, found.last("requests")
    if watched is None or window is None:
        shown.no_before = shown.no_now = "there is no judged window of a version with a reference"
        return shown
    shown.kind = watched.input.unit
    try:
        shown.before = [preview(watched.input, content) for content in _before(watched, root)]
        shown.no_before = "" if shown.before else "the run's examples are empty"
    except (GraftError, OSError) as error:
        shown.no_before = f"the examples of the run that pushed version {watched.version} cannot be found: {error}"
    reading = Reading()
    try:
        shown.now = [preview(watched.input, content) for content in _now(found, watched, window, reading)]
        if not shown.now:
            shown.no_now = "the request log keeps no inputs of the last window (left out, hashed, or deleted since)"
    except GraftError as error:
        shown.no_now = str(error)
    shown.faults = reading.faults[:EACH]
    return shown


def preview(input: Input, content: bytes) -> Mapping[str, str]:
    """A preview, or a text that says why there is none: what was asked may be anything."""
    if reason := input.violation(content):
        return {"text": f"refused: {input.REASONS.get(reason, reason)}"}
    try:
        return input.preview(content)
    # On damaged bytes Pillow's readers raise about anything: OSError, SyntaxError, struct.error, IndexError, ...
    except Exception as error:
        return {"text": f"cannot be shown: {one_line(error)}"}


def _now(found: Findings, watched: Watched, window: Window, reading: Reading) -> list[bytes]:
    """Of the newest files of the log that may have requests of the window."""
    end = datetime.datetime.fromtimestamp(window.end + _BEHIND_S, datetime.UTC)
    begun = [path for path in files(found.place.log, reading) if log_file.begun(path) <= end]
    newest = itertools.islice(reversed(begun), _MOST_FILES)
    records = itertools.islice(
        itertools.chain.from_iterable(read_file(path, reading) for path in newest), _MOST_RECORDS
    )
    contents = _of_window(records, found.place.model, watched, window)
    return [content for _, content in heapq.nsmallest(EACH, contents, key=lambda one: one[0])]


def _of_window(
    records: Iterable[Record], model: str, watched: Watched, window: Window
) -> Iterator[tuple[bytes, bytes]]:
    """Hash and content of each example of the window."""
    for record in records:
        ours = record.model == model and record.version == watched.version
        if not ours or not window.begin <= record.time <= window.end:
            continue
        try:
            contents = contents_of(record, watched) or ()
        except ForeignRecord:
            continue  # the monitor has counted it
        for row, content in enumerate(contents):
            yield hashlib.sha256(f"{record.request_id} {row}".encode()).digest(), content


def _before(watched: Watched, root: pathlib.Path) -> list[bytes]:
    """Raises GraftError: the metadata store does not know the version's run, or its examples are gone."""
    from graft.models.examples import DIGEST, INPUT, read_examples, split_files
    from graft.pipeline.metadata import Metadata

    made = {execution.stage: execution for execution in Metadata(root).lineage(str(watched.version))}
    if _REFERENCE_STAGE not in made or _EXAMPLES not in made[_REFERENCE_STAGE].outputs:
        raise GraftError(f"version {watched.version} was made without stage {_REFERENCE_STAGE}")
    split = str(watched.reference.made_by.get("split", "test"))
    rows = read_examples(split_files(made[_REFERENCE_STAGE].outputs[_EXAMPLES].uri, split), (INPUT, DIGEST))
    first = itertools.islice(rows, _MOST_READ)
    return [row[INPUT] for row in heapq.nsmallest(EACH, first, key=lambda row: row[DIGEST])]
