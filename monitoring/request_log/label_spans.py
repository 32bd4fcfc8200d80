"""Labels of a log with the time they arrived, read without writing; times as a configuration and a span hold them."""

import datetime
import json
import math
import pathlib
from typing import TYPE_CHECKING, NamedTuple

from graft.monitoring.database import read_only

if TYPE_CHECKING:
    from graft.monitoring.request_log.label_files import Label


class Arrived(NamedTuple):
    """A label, and when it was brought, seconds since 1970."""

    label: "Label"
    time: float


def arrived(folder: pathlib.Path, model: str, until: float = math.inf) -> dict[str, dict[int, Arrived]]:
    """The labels of a model by request id and row; empty where none was ever brought.

    Args:
        folder: of the log.
        model: whose.
        until: labels that came later are not there; seconds since 1970.

    Raises:
        GraftError: the database cannot be read.
    """
    # Imported here: it brings gRPC, and a configuration is read without.
    from graft.monitoring.request_log.labels import NAME

    path = folder / NAME
    if not path.is_file():
        return {}
    found: dict[str, dict[int, Arrived]] = {}
    statement = "SELECT request_id, row, label, time FROM labels WHERE model = ? AND time <= ?"
    with read_only(path, "the labels of a request log") as database:
        for request_id, row, label, time in database.execute(statement, (model, until)):
            found.setdefault(request_id, {})[row] = Arrived(json.loads(label), time)
    return found


def seconds(text: str) -> float:
    """Of an ISO 8601 date or time, since 1970; UTC unless it says otherwise. Raises ValueError."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; allowed: ISO 8601, 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()


def as_time(time: float) -> str:
    """ISO 8601 in UTC of seconds since 1970, rounded up to the millisecond, so that what came then came no later."""
    moment = datetime.datetime.fromtimestamp(math.ceil(time * 1000) / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span_of(time: float) -> str:
    """The same as a name, which sorts by age: `20260131T120000000Z`."""
    return "".join(c for c in as_time(time) if c.isalnum())
