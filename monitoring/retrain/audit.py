"""What was decided, started and ended, and why: a JSON line each in `audit.jsonl`, which is only added to.

A retraining that was killed leaves a start without an end; whoever has the lock next completes the record.
"""

import contextlib
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Literal

from pydantic import BaseModel, ConfigDict

from graft.models import durable
from graft.models.errors import GraftError
from graft.monitoring.json_lines import parsed
from graft.pipeline import holder, result_file
from graft.pipeline.running import Busy

FOLDER = "retrain"
"""In the folder of the pipeline."""
NAME = "audit.jsonl"
_MOST_RUN_BYTES = 1 << 26

Kind = Literal["started", "submitted", "finished", "killed", "refused", "held", "error", "paused", "resumed"]

now = time.time


class Event(BaseModel):
    """One line.

    Attributes:
        time: seconds since 1970 when it was written.
        kind: `refused` is a start that came to nothing because another run was under way, `held` one that something
            asked for and something else forbade.
        model: its name.
        reason: in words.
        run: id of the run, of a start and of its end; the name of one that is submitted.
        orchestrator: that the run is submitted to; None for one in the process of the command.
        id: of a submitted run there.
        span: of the labels, of a start.
        learned_until: when the newest label of the run arrived, seconds since 1970.
        status: of the run, as `run.json` has it.
        version: that it pushed.
        ended: of `finished` and `killed`, when the run ended as far as that is known, seconds since 1970.
        figures: what the decision was made from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: float
    kind: Kind
    model: str
    reason: str = ""
    run: str | None = None
    orchestrator: str | None = None
    id: str | None = None
    span: str | None = None
    learned_until: float | None = None
    status: str | None = None
    version: int | None = None
    ended: float | None = None
    figures: Mapping[str, Any] = {}

    @property
    def words(self) -> str:
        """For people, without its time."""
        why = f": {self.reason}" if self.reason else ""
        match self.kind:
            case "started":
                where = f" on {self.orchestrator}" if self.orchestrator else ""
                return f"retraining started as run {self.run}{where}{why}"
            case "submitted":
                return f"retraining submitted to {self.orchestrator}: run {self.run} has the id {self.id}{why}"
            case "error":
                return f"retraining could not be decided or submitted{why}"
            case "finished":
                pushed = f", version {self.version} pushed" if self.version is not None else ""
                return f"retraining ended: run {self.run} {(self.status or '').replace('_', ' ')}{pushed}{why}"
            case "killed":
                return f"retraining was killed: run {self.run}{why}"
            case "refused":
                return f"retraining did not begin{why}"
            case "held":
                return f"retraining held back{why}"
        return f"retraining {self.kind}{why}"


def read(folder: pathlib.Path) -> list[Event]:
    """All events, oldest first; none where there is no such file. A line that is being written is not there yet.

    Raises:
        GraftError: a line is damaged, or the file cannot be read.
    """
    path = folder / NAME
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise GraftError(f"{path}: {error.strerror}") from error
    what = "an event as `graft retrain` writes it"
    return [parsed(Event, line, f"{path}:{number}", what) for number, line in enumerate(lines[:-1], 1)]


def append(folder: pathlib.Path, event: Event) -> None:
    """Adds an event, on disk when this returns; the torn line of one who was killed is cut off. Raises GraftError."""
    path = folder / NAME
    line = json.dumps(event.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False, allow_nan=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with durable.locked(folder / "audit.lock"), path.open("a+b") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise GraftError(f"{path}: {error.strerror}; its folder must be writable, on a disk with room") from error


def unended(events: Sequence[Event]) -> list[Event]:
    """The starts of which no end is on record."""
    found: dict[str | None, Event] = {}
    for event in events:
        if event.kind == "started":
            found[event.run] = event
        elif event.kind in ("finished", "killed", "refused"):
            found.pop(event.run, None)
    return list(found.values())


def complete(folder: pathlib.Path, root: pathlib.Path, events: Sequence[Event], now: float) -> list[Event]:
    """Writes the ends that are missing, and returns them; only for who has the lock, when no run can be under way.

    What was submitted elsewhere may well be, and is left out.

    Args:
        folder: of the audit.
        root: of the pipeline, whose runs say how they ended.
        events: what `read` gave.
        now: seconds since 1970.
    """
    found = [_end_of(start, root, now) for start in unended(events) if start.orchestrator is None]
    for event in found:
        append(folder, event)
    return found


@contextlib.contextmanager
def one_at_a_time(folder: pathlib.Path) -> Iterator[None]:
    """Holds the lock on retraining; it is gone with the process, however that ends.

    Raises:
        Busy: another process holds it.
        GraftError: the folder cannot be written to.
    """

    def held(file: IO[str]) -> None:
        raise Busy(f"{folder}: a retraining of this pipeline is under way ({holder.told(file.read())}); let it end")

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GraftError(f"{folder}: {error.strerror}; it must be a folder that can be written to") from error
    with durable.locked(folder / "lock", held) as file:
        holder.note(file)
        yield


def _end_of(start: Event, root: pathlib.Path, now: float) -> Event:
    of_start = {"time": now, "model": start.model, "run": start.run, "span": start.span}
    of_start["learned_until"] = start.learned_until
    try:
        told = json.loads(durable.read_small(root / "runs" / str(start.run) / result_file.FILE_NAME, _MOST_RUN_BYTES))
        return Event(
            kind="finished",
            status=str(told["status"]),
            reason=str(told["reason"]),
            version=told["model_version"],
            ended=float(told["ended"]),
            **of_start,
        )
    except (OSError, ValueError, LookupError, TypeError):  # it wrote none, or not all of it
        return Event(kind="killed", reason="it left no result", ended=start.time, **of_start)
