"""The pointer file of a model: which version is served."""

import dataclasses
import datetime
import json
import pathlib

from graft.models import durable
from graft.models.errors import GraftError

NAME = "CURRENT"
MAX_BYTES = 1 << 16
"""Largest file that is read as a pointer."""


class StoreError(GraftError):
    """A request the store refuses, or a fault in its files."""


class Unreachable(StoreError):
    """A store gives no answer that more questions would change: no way there, no right, no bucket."""


class PointerError(StoreError):
    """The CURRENT file of a model is missing, unreadable or names a version that is not there."""


class NoPointerError(PointerError):
    """There is no CURRENT file, though the model has versions."""


@dataclasses.dataclass(frozen=True)
class Pointer:
    """Which version of a model is served.

    Attributes:
        version: the served version.
        pinned: a push stores its version but does not serve it, until `unpin`.
        previous: the version served before, None for the first.
        time: when the pointer moved, ISO 8601 in UTC.
    """

    version: int
    pinned: bool
    previous: int | None
    time: str

    def encode(self) -> bytes:
        """The file's content."""
        return json.dumps(dataclasses.asdict(self), indent=1).encode()


def read(path: pathlib.Path) -> bytes:
    """The content of a pointer's file. Raises FileNotFoundError if there is none, PointerError if it cannot be read."""
    try:
        return durable.read_small(path, MAX_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PointerError(f"{path}: {error.strerror}") from error


def parse(content: bytes, place: str) -> Pointer:
    """The pointer that `content` is. Raises PointerError, which names `place`, if it is none."""
    try:
        read = json.loads(content)
        pointer = Pointer(read["version"], read["pinned"], read["previous"], read["time"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PointerError(f"{place}: not a pointer ({error!r})") from error
    kinds = {"version": int, "pinned": bool, "previous": int | None, "time": str}
    for field, kind in kinds.items():
        value = getattr(pointer, field)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise PointerError(f"{place}: not a pointer ({field} is {getattr(pointer, field)!r})")
    return pointer


def now() -> str:
    """The time as manifests and pointers write it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
