"""A source of examples: logged requests whose labels came late, and with `base` the data that the model was made from.

Entry point `request_log` of the group `graft.sources`.
"""

import dataclasses
import datetime
import functools
import itertools
import operator
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from graft.components.ingest import sources
from graft.components.ingest.options import DataOptions, RowOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.request import Request
from graft.components.ingest.sources import base
from graft.components.ingest.sources.base import About, Chunk, Item
from graft.components.ingest.sources.columns import read_row
from graft.monitoring.request_log import label_spans

if TYPE_CHECKING:
    from graft.monitoring.request_log.labelled_rows import Found, Row

NAME = "request_log"

_OF_THE_WHOLE = {"target": "target", "max_rejected": "max_rejected", "schema_file": "schema"}
"""Fields of a source that are of all data, and so stand in `data` itself; with their keys."""


class Options(RowOptions):
    """Logged requests whose labels have come; the other columns of a label may be slices, group, domain and weight."""

    labels_from: ClassVar[str] = "labels are those that `graft label` joined"

    source: Literal["request_log"] = Field("request_log", description="A request log with labels that came late.")
    model: str = Field(min_length=1, description="Name of the model whose requests are read.")
    since: str | None = Field(None, description="Requests before that time are left out, ISO 8601; UTC unless it says.")
    until: str | None = Field(None, description="So are those from that time on.")
    labelled_until: str | None = Field(
        None, description="Labels that came after that time count as not there, so that the same rows are read again."
    )
    known_labels: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Classes that a label may name; others are left out, counted and named. Null: any that the target "
        "knows, so without `target.class_names` a mistyped label is a class of its own.",
    )
    most: int | None = Field(None, ge=1, description="Rows at most, the newest by the time of their request.")
    base: sources.REGISTRY.union(but=(NAME,), or_null=True) = Field(  # type: ignore[valid-type]
        None,
        description="Another source that is read too, such as the data that the model was made from: what is learned "
        "from requests alone forgets the rest. `split` is common to both; where only `base` has it, that one.",
    )

    @property
    def split_advice(self) -> str:
        """What brings more rows."""
        base = "" if self.base else ", or give data.base, the data that the model was made from"
        return f"label more requests (`graft label`), read more of them (data.since, data.most){base}"

    @model_validator(mode="before")
    @classmethod
    def _split_of_base(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("base"), dict) and "split" in given["base"]:
            return {"split": given["base"]["split"], **given}
        return given

    @field_validator("since", "until", "labelled_until", mode="before")
    @classmethod
    def _time(cls, value: Any) -> Any:
        if isinstance(value, datetime.date):  # YAML makes one of 2026-01-31
            value = value.isoformat()
        if isinstance(value, str):
            label_spans.seconds(value)
        return value

    @field_validator("path")
    @classmethod
    def _no_span(cls, value: str) -> str:
        if "{SPAN}" in value:
            raise ValueError("holds {SPAN}; allowed: the folder of a request log, with since and until for its times")
        return value

    @model_validator(mode="after")
    def _one_after_the_other(self) -> "Options":
        if self.since and self.until and label_spans.seconds(self.since) >= label_spans.seconds(self.until):
            raise ValueError(f"since is {self.since}; it must be before until, {self.until}")
        return self

    @model_validator(mode="after")
    def _base_fits(self) -> "Options":
        if self.base is None:
            return self
        for field, key in _OF_THE_WHOLE.items():
            if getattr(self.base, field) != DataOptions.model_fields[field].get_default(call_default_factory=True):
                raise ValueError(f"base.{key} is given; it is one of all the data, so allowed: {key} beside base")
        if self.base.split != self.split:
            raise ValueError("base.split and split differ; allowed: one, else copies would be in two splits")
        if sorted(self.base.slices) != sorted(self.slices):
            raise ValueError(f"slices is {list(self.slices)}, base.slices {list(self.base.slices)}; they must be alike")
        for key in ("group", "domain", "weight"):
            if (getattr(self, key) is None) != (getattr(self.base, key) is None):
                raise ValueError(f"{key} is given for one of data and data.base; allowed: for both, or for none")
        return self


@dataclasses.dataclass(frozen=True)
class LogChunk(Chunk):
    """Rows of one file of the log."""

    path: str
    rows: tuple["Row", ...]
    request: Request
    prefix: str

    @property
    def size(self) -> int:
        return len(self.rows)

    def read(self) -> Iterator[Item]:
        from graft.monitoring.request_log import labelled_rows
        from graft.monitoring.request_log.reader import Reading, read_file

        wanted: dict[str, list[Row]] = {}
        for row in self.rows:
            wanted.setdefault(row.request_id, []).append(row)
        name = input_name(self.request)
        for record in read_file(pathlib.Path(self.path), Reading()):
            rows = wanted.get(record.request_id)
            if rows is None or record.model != self.request.data.model or not record.answered:
                continue
            found, fault = labelled_rows.contents(record, name)
            # Another record of that id may stand before: the time tells.
            if fault or record.time != rows[0].time or rows[-1].row >= len(found):
                continue
            yield from (self._item(row, found[row.row]) for row in wanted.pop(record.request_id))
        for row in itertools.chain.from_iterable(wanted.values()):
            item = self._item(row, b"")
            item.reason, item.detail = Reason.UNREADABLE, f"{self.path} does not hold it any more"
            yield item

    def _item(self, row: "Row", content: bytes) -> Item:
        return Item(f"{self.prefix}{row.request_id}#{row.row}", about(row, self.request), content)


class Source(base.Source):
    """The rows are known by request id, input and label, so it does not matter in which files of the log they lie."""

    def files(self) -> Iterator[str]:
        yield from {row.file: None for row in self._found.rows}

    def digests(self) -> Iterator[bytes]:
        return (row.digest for row in self._found.rows)

    def left_out(self) -> Mapping[str, tuple[int, str]]:
        return {code: (count, self._found.meaning(code)) for code, count in self._found.left_out.items()}

    def entries(self) -> Iterator[About]:
        return (about(row, self.request) for row in self._found.rows)

    def chunks(self) -> Iterator[Chunk]:
        of_file = operator.attrgetter("file")
        for path, rows in itertools.groupby(sorted(self._found.rows, key=of_file), of_file):
            yield LogChunk(path, tuple(sorted(rows)), self.request, self.prefix)

    @functools.cached_property
    def _found(self) -> "Found":
        return rows_of(self.request)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_found"}  # read again where it is needed


def rows_of(request: Request) -> "Found":
    """The rows that a request for this source means, and what is left out. Raises GraftError."""
    # Imported here: it brings gRPC, and a configuration is read without.
    from graft.monitoring.request_log import labelled_rows

    data: Options = request.data
    times = {name: getattr(data, name) for name in ("since", "until", "labelled_until")}
    given = {name: label_spans.seconds(text) for name, text in times.items() if text is not None}
    folder = pathlib.Path(data.path)
    return labelled_rows.find(
        folder, data.model, input_name(request), request.target, known=data.known_labels, most=data.most, **given
    )


def input_name(request: Request) -> str:
    """The input of the signature that holds the contents."""
    return request.data.columns.input or request.input.signature_name


def about(row: "Row", request: Request) -> About:
    """What is said of a row. Where its label has no column for it, a request is of the target domain and weighs 1."""
    from graft.monitoring.request_log.labelled_rows import by_column

    data: Options = request.data
    given: dict[str, Any] = {} if data.weight is None else {data.weight: 1.0}
    given |= {} if data.domain is None else {data.domain.column: data.domain.target}
    given |= by_column(row.label, request.target.columns)
    return read_row(given, request, extra={name: given[name] for name in data.slices if name in given})
