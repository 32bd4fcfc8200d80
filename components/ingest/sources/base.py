"""What a source is: it lists cheap references in chunks, and workers read the chunks."""

import abc
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from graft.components.ingest.reasons import Reason
from graft.components.ingest.request import Request
from graft.components.ingest.sources import REGISTRY
from graft.models.inputs.base import Refused
from graft.models.targets.base import Value

MIN_CHUNK = 64
MAX_CHUNK = 1000
_CHUNKS_WANTED = 16


class About(NamedTuple):  # not a dataclass: those pickle ten times slower, and there may be one for each example
    """What a source says of an example beside its content.

    Attributes:
      value: What the target made of it; of one that is refused, texts to show.
      split: The split that the source names, one of `splits.SPLITS`, or None to split by content.
      columns: Extra columns as text.
      group: Value of the column `data.group`, empty where the example stands for itself; None where none is named.
      domain: `models.examples.SOURCE_DOMAIN` or `TARGET_DOMAIN`; None where there are none.
      weight: Of the example; None where there is none.
      refused: Code and detail of why it is not used; None where it may be.
    """

    value: Value = ()
    split: str | None = None
    columns: dict[str, str] | None = None
    group: str | None = None
    domain: str | None = None
    weight: float | None = None
    refused: tuple[str, str] | None = None


NOTHING = About()


@dataclasses.dataclass(slots=True)
class Item:
    """One example as the source gives it, not yet checked.

    Attributes:
      file: Name shown to people: path relative to the source, or container and row (`train.tfrecord#12`).
      about: What the source says of it.
      content: Its bytes; without meaning when there is a reason.
      reason: Why the content could not be read; None when it was.
      detail: More about `reason`.
    """

    file: str
    about: About = NOTHING
    content: bytes = b""
    reason: Reason | None = None
    detail: str = ""


class Chunk(abc.ABC):
    """A picklable piece of a source, read by one worker."""

    @property
    def size(self) -> int:
        """Number of examples, for the progress line; 0 where only reading tells."""
        return 0

    @abc.abstractmethod
    def read(self) -> Iterator[Item]:
        """Reads the examples one after the other; a content that cannot be read is an item with a reason.

        Raises:
          GraftError: The container itself (CSV, TFRecord, Parquet) is damaged.
        """


class Source(abc.ABC):
    """Lists what there is to read under one path."""

    def __init__(self, request: Request, path: str, prefix: str = ""):
        self.request = request
        self.options = request.data
        self.path = path
        self.prefix = prefix

    @abc.abstractmethod
    def files(self) -> Iterator[str]:
        """Paths of all files that the source reads, for the fingerprint; in any order."""

    def digests(self) -> Iterator[bytes] | None:
        """Identities of the examples, for the fingerprint in place of the files; in any order.

        For sources whose examples may lie in other files without being others. None: the files tell.
        """
        return None

    def left_out(self) -> Mapping[str, tuple[int, str]]:
        """What the source holds and does not give: code -> how many, and why in one line. Not held against the data."""
        return {}

    @abc.abstractmethod
    def entries(self) -> Iterator[About]:
        """What is said of each example, read without its content; value and split suffice."""

    @abc.abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """The chunks, in an order that depends on the data only.

        Raises:
          GraftError: The path is missing, empty or not of this kind.
        """


def load(request: Request, path: str, prefix: str = "") -> Source:
    """The source that `request.data.source` names, reading `path`.

    Args:
      request: What is asked for.
      path: What to read: `request.data.path`, or one of its spans.
      prefix: Goes before the name of each file, to tell spans apart.
    """
    return REGISTRY.module(request.data.source).Source(request, path, prefix)


def named(label: str | int, split: str | None, request: Request, class_names: tuple[str, ...] | None = None) -> About:
    """What a source without columns says: a class, and a split or none.

    Args:
      label: The name of the class, or a number that indexes `target.class_names`.
      split: As the source names it.
      request: What is asked for.
      class_names: Names that the source itself brings.
    """
    row = dict.fromkeys(request.target.columns, label)
    about = About((str(label),))
    try:
        value, domain = request.labelled(row, None, class_names)
        about = about._replace(value=value, domain=domain)
        return of_place(about._replace(split=request.split_of(request.data.named_split(split), domain)), request)
    except Refused as refused:
        return about._replace(refused=(refused.reason, refused.detail))
    except ValueError as error:
        return about._replace(refused=(Reason.BAD_SPLIT, str(error)))


def of_place(about: About, request: Request) -> About:
    """What all examples of a run have, for one of `data.target` that may lack it: a weight, a group, the slices."""
    if request.place is None:
        return about
    main = request.main
    return about._replace(
        columns=dict.fromkeys(main.slices, "") | (about.columns or {}) or None,
        group=None if main.group is None else about.group or "",
        weight=None if main.weight is None else 1.0,
    )


def chunk_size(count: int) -> int:
    """Examples a chunk when there are `count`: enough to share out, few enough for Beam's cost per element."""
    return min(MAX_CHUNK, max(MIN_CHUNK, -(-count // _CHUNKS_WANTED)))


def as_text(name: str) -> str:
    """A file name as valid Unicode: bytes that are not UTF-8 become backslash escapes."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")
