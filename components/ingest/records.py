"""What the global steps of ingestion know of an image: all but its bytes, which stay in the working shards."""

import hashlib
from typing import NamedTuple

BUCKETS = 32
"""Parts of the digest space that are looked at one at a time; bounds the memory of the global steps."""


class Record(NamedTuple):
    """One image that passed the checks.

    Attributes:
      digest: sha256 of the encoded image as the source gave it, 32 bytes.
      label: Class name.
      group: Value of the column `data.group`; empty where the image stands for itself.
      named: The split that the source names, or None.
      size: Encoded bytes.
      chunk: Names the working shard.
      offset: Where the framed record begins there, bytes.
      length: Of the framed record, bytes.
      file: Name shown to people.
    """

    digest: bytes
    label: str
    group: str
    named: str | None
    size: int
    chunk: str
    offset: int
    length: int
    file: str

    @property
    def unit(self) -> bytes:
        """What may never straddle splits: sha256 of the group, or the digest of an image that stands for itself."""
        return hashlib.sha256(self.group.encode()).digest() if self.group else self.digest


def bucket_of(key: bytes) -> int:
    """The bucket of a digest or a unit; keys in order lie in buckets in order."""
    return key[0] * BUCKETS // 256
