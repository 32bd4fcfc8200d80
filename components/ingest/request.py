"""What is asked of an ingestion: where the examples come from, what they are made of, what is to be learned."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import pydantic

from graft.components.ingest.options import DataOptions, RowOptions, TargetData
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
      adapts: Whether the method learns from a labelled source domain and a target domain without labels.
      unlabelled: Whether examples of the target domain may have no label.
      place: The place of the target domain that is read, one of `data.target` of `main`; None for the data itself.
      main: Of a place: what was asked for as a whole.

    Raises:
      GraftError: A column is read as two things, the source cannot give such a target, or domains are not told apart
        where they must be.
    """

    data: Any
    input: Input
    target: Target
    adapts: bool = False
    unlabelled: bool = False
    place: TargetData | None = None
    main: Any = None

    def __post_init__(self) -> None:
        if self.place is None:
            self._check_domains_told()
        if isinstance(self.data, RowOptions):
            self._check_columns_apart()
        elif self.place is not None and not self.place.labelled:
            pass
        elif not self.target.from_names:
            from graft.components.ingest import sources

            raise GraftError(
                f"target.kind is {self.target.kind}, but data.source {self.data.source} gives a name for each example "
                f"and no columns; use a source with columns ({', '.join(sources.with_columns())})"
            )

    def _check_domains_told(self) -> None:
        if self.adapts and not (self.data.target or self.data.domain):
            raise GraftError(
                "transfer.method adapts a labelled source domain to a target domain; received data of one domain. Give "
                "the target domain's examples with data.target, or a column that tells them with data.domain"
            )
        if self.data.target and not self.unlabelled and not all(place.labelled for place in self.data.target):
            raise GraftError(
                "data.target: received examples without labels, which this transfer.method cannot learn from; set "
                "labelled: true where they have labels, or choose a method that adapts to a domain"
            )

    def places(self) -> list["Request"]:
        """What is asked of each place of `data.target`.

        Raises:
          GraftError: A place has settings that its source does not know.
        """
        from graft.components.ingest import sources

        found = []
        for number, place in enumerate(self.data.target):
            given = {"source": place.source, "path": place.path, "split": self.data.split, "columns": place.columns}
            try:
                options = sources.parse_options(given)
            except pydantic.ValidationError as error:
                faults = (
                    f"{'.'.join([f'data.target[{number}]', *map(str, fault['loc'])])}: {fault['msg']}; "
                    f"received {fault['input']!r}"
                    for fault in error.errors(include_url=False)
                )
                raise GraftError(*faults) from error
            found.append(dataclasses.replace(self, data=options, place=place, main=self.data))
        return found

    def base(self) -> "Request | None":
        """What is asked of the source that `data.base` names beside the data itself; None where there is none."""
        base = getattr(self.data, "base", None)
        if base is None:
            return None
        return dataclasses.replace(self, data=base.model_copy(update={"target": self.data.target}))

    @property
    def two_domains(self) -> bool:
        """Whether the data tells two domains apart, or what has a label from what has none."""
        return bool(self.place is not None or self.data.target or self.data.domain or self.unlabelled)

    @property
    def told_apart_by(self) -> str:
        """What tells the domains apart, for messages."""
        if self.data.domain:
            return f"data.domain.column is {self.data.domain.column!r}, data.domain.target {self.data.domain.target!r}"
        return "data.target names the target domain"

    def labelled(
        self, row: Mapping[str, Any], domain: str | None, class_names: tuple[str, ...] | None = None
    ) -> tuple[Value, str | None]:
        """Label and domain of a row.

        Args:
          row: Values by column.
          domain: As a column says; None where none does.
          class_names: Names of the classes that the source itself brings.

        Raises:
          Refused: There is no label, where there must be one, or one that may not be used.
        """
        if self.place is not None:
            domain = examples.TARGET_DOMAIN
            if not self.place.labelled:
                return (), examples.UNLABELLED
        elif self.data.target and (self.adapts or any(place.labelled for place in self.data.target)):
            domain = examples.SOURCE_DOMAIN
        elif self.unlabelled and domain is None:
            domain = examples.TARGET_DOMAIN
        if self.unlabelled and domain == examples.TARGET_DOMAIN and all(map(_empty, map(row.get, self.target.columns))):
            return (), examples.UNLABELLED
        return self.target.parse(row, class_names), domain

    def split_of(self, named: str | None, domain: str | None) -> str | None:
        """The split that an example is put into by name; None leaves it to its content.

        Nothing is judged on what has no label, so that is learned from wherever it may be.

        Args:
          named: As the source names it.
          domain: Of the example.
        """
        if self.place is not None and self.place.split is not None:
            return self.place.split
        return named or ("train" if domain == examples.UNLABELLED else None)

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
        if self.place is not None and not self.place.labelled:
            needed = {key: name for key, name in needed.items() if key not in self.target.column_keys}
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

        What is only in the source domain says nothing about whether a split can measure a class, and what has no label
        says nothing of classes at all.
        """
        if domain == examples.UNLABELLED:
            return ("\0\0",)
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


def _empty(value: Any) -> bool:
    """Whether a cell holds nothing: none, a number that is none, an empty text or list."""
    if value is None or value != value:
        return True
    return isinstance(value, str | bytes | list | tuple) and not (
        value.strip() if isinstance(value, str | bytes) else value
    )


def make_request(
    data: DataOptions,
    input_options: Any = None,
    target_options: Any = None,
    *,
    adapts: bool = False,
    unlabelled: bool = False,
) -> Request:
    """A request from options; without those of input or target they have the defaults.

    Args:
      data: The source's options.
      input_options: What may enter.
      target_options: How labels are read.
      adapts: See `Request`.
      unlabelled: See `Request`; what adapts takes them, too.

    Raises:
      GraftError: See `Request`.
    """
    from graft.models import inputs, targets

    input_options = input_options or inputs.KINDS.options(str(inputs.KINDS.default))()
    target_options = target_options or targets.KINDS.options(str(targets.KINDS.default))()
    input, target = inputs.make_input(input_options), targets.make_target(target_options)
    return Request(data, input, target, adapts, unlabelled or adapts)
