"""How signals lay in reference data: stored beside a model, which is then watched against it."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from graft.models import durable
from graft.models.errors import GraftError, one_line
from graft.models.signals.histogram import Categories, Numbers, Signal
from graft.models.signals.vectors import Vectors

if TYPE_CHECKING:
    from graft.models.inputs.base import Input, Watcher
    from graft.models.targets.base import Target

FILE = "graft_reference.json"
PLACE = f"assets.extra/{FILE}"
"""Where it lies in the folder of a model's version."""

SCHEMA = 1
MAX_BYTES = 64 << 20
"""Largest file that is read."""

Group = Literal["input", "prediction"]


@dataclasses.dataclass(frozen=True)
class Reference:
    """Signals of a model's reference examples and of its answers to them.

    Attributes:
        signals: by name.
        counts: of the bins of each signal.
        group: whether a signal is of the input or of the prediction.
        rows: number of examples.
        quality: how good the answers were, see `models.signals.quality`.
        input: settings of the input, see `models.inputs.parse_options`.
        target: see `models.targets.restore`.
        learned: what the input's watcher needs to know of reference data, see `models.inputs.base.Input.learned`.
        facts: of admitted contents, by name: `type`, and `least` and `most`, or `values`.
        made_by: what made it: `model`, the sha256 of the export; `split`, of which the examples are.
        vectors: feature vectors of some of the examples; None where they were not kept.
        schema: of the file.
    """

    signals: Mapping[str, Signal]
    counts: Mapping[str, tuple[int, ...]]
    group: Mapping[str, Group]
    rows: int
    quality: Mapping[str, Any]
    input: Mapping[str, Any]
    target: Mapping[str, Any]
    learned: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    made_by: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    vectors: Vectors | None = None
    schema: int = SCHEMA

    def __post_init__(self):
        """Raises ValueError where the parts do not fit together."""
        if not self.signals.keys() == self.counts.keys() == self.group.keys():
            raise ValueError("signals, counts and group do not have the same names")
        for name, signal in self.signals.items():
            counts = self.counts[name]
            if signal.name != name or len(counts) != signal.size or sum(counts) != self.rows:
                raise ValueError(f"counts of {name!r} are not {self.rows} rows in {signal.size} bins")

    def restored_input(self) -> "Input":
        """The input that it is of."""
        from graft.models.inputs import make_input, parse_options

        return make_input(parse_options(self.input))

    def restored_target(self) -> "Target":
        """The target that it is of."""
        from graft.models.targets import restore

        return restore(self.target)

    def watcher(self) -> "Watcher":
        """Gives the signals of a content, as they were read from the reference's."""
        return self.restored_input().watcher(self.learned)

    def encode(self) -> bytes:
        """The file: equal references give equal bytes."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        content["signals"] = {name: _as_json(signal) for name, signal in self.signals.items()}
        content["vectors"] = self.vectors.to_json() if self.vectors else None
        text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()

    def save(self, path: str | pathlib.Path) -> None:
        """Writes or replaces the file in one step. Raises OSError."""
        durable.write_atomic(pathlib.Path(path), self.encode())

    @classmethod
    def load(cls, path: str | pathlib.Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            GraftError: there is no such file, or it is damaged, foreign or of a newer Graft.
        """
        path = pathlib.Path(path)
        try:
            written = durable.read_small(path, MAX_BYTES)
        except FileNotFoundError as error:
            raise GraftError(
                f"{path}: missing; a version that an older Graft pushed has no reference: run its pipeline again"
            ) from error
        except OSError as error:
            raise GraftError(f"{path}: cannot be read ({error.strerror or one_line(error)})") from error
        return cls.parse(written, str(path))

    @classmethod
    def parse(cls, written: bytes, place: str) -> Self:
        """The reference that bytes hold. Raises GraftError, which names `place`."""
        try:
            content = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise GraftError(f"{place}: damaged: not JSON ({one_line(error)})") from error
        schema = content.get("schema") if isinstance(content, dict) else None
        if type(schema) is not int or "signals" not in content:
            raise GraftError(f"{place}: no reference of Graft; allowed: a JSON object with `schema` and `signals`")
        if schema != SCHEMA:
            raise GraftError(
                f"{place}: schema {schema}, which a {'newer' if schema > SCHEMA else 'foreign'} Graft wrote; "
                f"this one reads schema {SCHEMA}"
            )
        try:
            held = dict(_File.model_validate(content))
            held["schema"] = held.pop("written_as")
            held["signals"] = {name: signal.made(name) for name, signal in held["signals"].items()}
            held["vectors"] = Vectors.from_json(dict(held["vectors"])) if held["vectors"] else None
            return cls(**held)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, fault["loc"]))
            raise GraftError(f"{place}: damaged: {where}: {fault['msg']}") from error
        except ValueError as error:
            raise GraftError(f"{place}: damaged: {one_line(error)}") from error


def _as_json(signal: Signal) -> dict[str, Any]:
    if isinstance(signal, Numbers):
        return {"kind": signal.kind, "unit": signal.unit, "edges": list(signal.edges)}
    return {"kind": signal.kind, "values": list(signal.values)}


class _Signal(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["number", "category"]
    unit: str = ""
    edges: list[float] = []
    values: list[str] = []

    def made(self, name: str) -> Signal:
        if self.kind == "number":
            return Numbers(name, self.unit, tuple(self.edges))
        return Categories(name, tuple(self.values))


class _Vectors(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    width: int
    rows: int
    data: str


class _File(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid")

    signals: dict[str, _Signal]
    counts: dict[str, tuple[NonNegativeInt, ...]]
    group: dict[str, Group]
    rows: NonNegativeInt
    quality: dict[str, Any]
    input: dict[str, Any]
    target: dict[str, Any]
    learned: dict[str, Any]
    facts: dict[str, Any]
    made_by: dict[str, Any]
    vectors: _Vectors | None = None
    written_as: int = Field(alias="schema")
