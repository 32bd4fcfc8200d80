"""What is asked of an ingestion: where the examples come from, what they are made of, what is to be learned."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from graft.components.ingest.options import DataOptions, RowOptions
from graft.components.ingest.reasons import EXPLANATIONS
from graft.models import examples
from graft.models.errors import GraftError
from graft.models.inputs.base import Input
from graft.models.targets.base import Target, Value

_SHOWN = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """One ingestion.

    Attributes:
      data: The source's options.
      input: What may enter.
      target: Reads the labels.

    Raises:
      GraftError: A column is read as two things, or the source cannot give such a target.
    """

    data: Any
    input: Input
    target: Target

    def __post_init__(self) -> None:
        if isinstance(self.data, RowOptions):
            self._check_columns_apart()
        elif not self.target.from_names:
            raise GraftError(
                f"target.kind is {self.target.kind}, but data.source {self.data.source} gives a name for each example "
                "and no columns; use a source with columns (csv, parquet, tfrecord, tfds)"
            )

    def _check_columns_apart(self) -> None:
        data, taken = self.data, [*examples.RESERVED, *self.input.FACTS]
        reserved = [name for name in data.slices if name in taken]
        if reserved:
            raise GraftError(f"data.slices {reserved} are names that ingestion uses itself ({', '.join(taken)})")
        read = self.read_columns
        taken = [f"{name!r} ({key})" for name in data.slices for key in read if read[key] == name]
        if taken:
            raise GraftError(f"data.slices holds {', '.join(taken)}; a slice is a column that is read as nothing else")
        own = {"data.group": data.group, "data.weight": data.weight, "data.domain.column": self.domain_column}
        for name, column in own.items():
            keys = [key for key in read if read[key] == column]
            if column is not None and keys:
                raise GraftError(
                    f"{name} is {column!r}, which is {keys[0]}; a {name.split('.')[1]} is a column of its own"
                )

    @property
    def input_column(self) -> str:
        """The column of the content, or of its path."""
        named = self.data.columns.input
        by_path = self.input.reads_paths and not self.data.holds_bytes
        return named or ("path" if by_path else self.input.column)

    @property
    def domain_column(self) -> str | None:
        """The column that tells domains apart."""
        return self.data.domain.column if self.data.domain else None

    @functools.cached_property
    def read_columns(self) -> Mapping[str, str | None]:
        """The columns that are read as input, target and split, by the key that names each."""
        return {
            "data.columns.input": self.input_column,
            **dict(zip(self.target.column_keys, self.target.columns, strict=True)),
            "data.columns.split": self.data.columns.split,
        }

    @functools.cached_property
    def needed_columns(self) -> Mapping[str, str]:
        """The columns that must be there, by key; the split's may be absent."""
        needed = {key: name for key, name in self.read_columns.items() if key != "data.columns.split"}
        own = {"data.group": self.data.group, "data.domain.column": self.domain_column, "data.weight": self.data.weight}
        needed |= {key: name for key, name in own.items() if name is not None}
        needed |= {f"data.slices[{number}]": name for number, name in enumerate(self.data.slices)}
        return needed  # type: ignore[return-value]

    @functools.cached_property
    def unwritten(self) -> frozenset[str | None]:
        """Columns that are no extra columns of an Example."""
        return frozenset([*self.read_columns.values(), *examples.RESERVED, *self.input.FACTS])

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names that the target's settings give, where it has such."""
        return getattr(self.target.options, "class_names", None)

    @property
    def explanations(self) -> Mapping[str, str]:
        """Code of a refusal -> one line for people."""
        return {**EXPLANATIONS, **self.input.REASONS, **self.target.REASONS}

    def strata(self, value: Value, domain: str | None) -> tuple[str, ...]:
        """Names under which an example is counted when it is split.

        What is only in the source domain says nothing about whether a split can measure a class.
        """
        found = self.target.strata(value) or ("",)
        return tuple(f"\0{name}" for name in found) if domain == examples.SOURCE_DOMAIN else tuple(found)

    @property
    def labels_from(self) -> str:
        """Where labels come from, for messages."""
        if self.class_names is not None:
            return f"target.class_names allows {', '.join(self.class_names[:_SHOWN])}"
        if not isinstance(self.data, RowOptions):
            return self.data.labels_from
        return "labels are read from " + ", ".join(map(repr, self.target.columns))


def make_request(data: DataOptions, input_options: Any = None, target_options: Any = None) -> Request:
    """A request from options; without those of input or target they have the defaults.

    Raises:
      GraftError: See `Request`.
    """
    from graft.models import inputs, targets

    input_options = input_options or inputs.KINDS.options(str(inputs.KINDS.default))()
    target_options = target_options or targets.KINDS.options(str(targets.KINDS.default))()
    return Request(data, inputs.make_input(input_options), targets.make_target(target_options))
