"""What the global steps of ingestion know of an example: all but its content, which stays in the working shards."""

import hashlib
import marshal
from collections.abc import Iterable
from typing import NamedTuple

from graft.models.targets.base import Value

BUCKETS = 32
"""Parts of the digest space that are looked at one at a time; bounds the memory of the global steps."""


class Record(NamedTuple):
    """One example that passed the checks.

    Attributes:
      digest: sha256 of the content as the source gave it, 32 bytes.
      value: What the target made of its label.
      group: Value of the column `data.group`; empty where the example stands for itself.
      named: The split that the source names, or None.
      domain: See `models.examples`; None where there are none.
      size: Bytes of the content as it is stored.
      chunk: Names the working shard.
      offset: Where the framed record begins there, bytes.
      length: Of the framed record, bytes.
      file: Name shown to people.
    """

    digest: bytes
    value: Value
    group: str
    named: str | None
    domain: str | None
    size: int
    chunk: str
    offset: int
    length: int
    file: str

    @property
    def unit(self) -> bytes:
        """What may never straddle splits: sha256 of the group, or the digest of an example that stands for itself."""
        return hashlib.sha256(self.group.encode()).digest() if self.group else self.digest

    @property
    def label(self) -> str:
        """The value in words."""
        return label_text(self.value)


def pack(records: Iterable[tuple]) -> bytes:
    """Records or sightings for the way through Beam, which would take each field by itself."""
    return marshal.dumps([tuple(record) for record in records])


def unpack(packed: bytes) -> list[tuple]:
    """The fields of what `pack` packed, in order."""
    return marshal.loads(packed)


def label_text(value: Value) -> str:
    """A label for people: a class; several in order; numbers."""
    return ", ".join(f"{part:g}" if isinstance(part, float) else part for part in value)


def bucket_of(key: bytes) -> int:
    """The bucket of a digest or a unit; keys in order lie in buckets in order."""
    return key[0] * BUCKETS // 256
