"""The pointer file of a model: which version is served."""

import dataclasses
import datetime
import json
import pathlib

from graft.models import durable
from graft.models.errors import GraftError

NAME = "CURRENT"
_MAX_BYTES = 1 << 16


class StoreError(GraftError):
    """A request the store refuses, or a fault in its files."""


class PointerError(StoreError):
    """The CURRENT file of a model is missing, unreadable or names a version that is not there."""


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


def read(path: pathlib.Path) -> Pointer:
    """Raises FileNotFoundError if there is no file, PointerError if it cannot be read or is no pointer."""
    try:
        content = json.loads(durable.read_small(path, _MAX_BYTES))
        pointer = Pointer(content["version"], content["pinned"], content["previous"], content["time"])
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PointerError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PointerError(f"{path}: not a pointer ({error!r})") from error
    kinds = {"version": int, "pinned": bool, "previous": int | None, "time": str}
    for field, kind in kinds.items():
        value = getattr(pointer, field)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise PointerError(f"{path}: not a pointer ({field} is {getattr(pointer, field)!r})")
    return pointer


def now() -> str:
    """The time as manifests and pointers write it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
