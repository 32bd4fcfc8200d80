"""What the keys of a model store on S3 mean, and what may stand in the place of a version's manifest."""

import dataclasses
import datetime
import json
import uuid
from collections.abc import Iterable
from typing import Any

from graft.serving import manifest, pointer
from graft.serving.s3_bucket import Entry
from graft.serving.versions import is_model_name, version_number


@dataclasses.dataclass(frozen=True)
class Record:
    """What stands in the place of a version's manifest."""

    content: bytes
    entry: Entry

    @property
    def is_version(self) -> bool:
        """Whether it is a manifest, sound or not, and neither a claim nor a note of a deletion."""
        return note(self.content) is None


def note(content: bytes) -> dict[str, Any] | None:
    """A claim (`claim`) or the note of a deletion (`deleted`), None if it is neither."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and ("claim" in found or "deleted" in found) else None


def new_note(kind: str) -> bytes:
    return json.dumps({kind: uuid.uuid4().hex, "time": pointer.now()}).encode()


def manifest_key(model: str, version: int) -> str:
    return f"{model}/{version}/{manifest.NAME}"


def number_of(name: str) -> int | None:
    """The version that a part of a key stands for; 007 is none, for its key would be another than that of 7."""
    number = version_number(name)
    return number if number is not None and str(number) == name else None


def by_model(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        name, _, rest = entry.key.partition("/")
        if rest and is_model_name(name):
            found.setdefault(name, []).append(entry)
    return dict(sorted(found.items()))


def below(entries: Iterable[Entry], start: str) -> list[Entry]:
    return [entry for entry in entries if entry.key.startswith(start)]


def newest(entries: Iterable[Entry]) -> datetime.datetime:
    return max(entry.modified for entry in entries)
