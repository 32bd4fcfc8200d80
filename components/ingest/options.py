"""What `data:` in a config may hold, whatever the source. Imports neither TensorFlow nor Beam.

What one source needs beyond that stands beside it, in `components/ingest/sources/`.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from graft.components.ingest.splits import SPLITS, parse_split
from graft.models import examples

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Section(BaseModel):
    """A mapping of known keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitOptions(Section):
    """Fractions of the examples that go to each split where the source does not name one; train gets the rest."""

    eval: Fraction = Field(
        default=0.15, description="Fraction of the examples held out to choose weights and stop early."
    )
    test: Fraction = Field(default=0.15, description="Fraction of the examples held out for the gates and the report.")

    from_train: bool = Field(
        default=False,
        description="Split the source's own train by these fractions too, where it has no eval or no test.",
    )

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> "SplitOptions":
        if self.eval + self.test >= 1.0:
            raise ValueError(f"eval + test is {self.eval + self.test:g}; it must be below 1, the rest is for training")
        return self


class SplitColumn(Section):
    """What is read of the splits that a source names."""

    split: str | None = Field(
        default="split", description="Holds the split, where there is one; null ignores any split the source names."
    )


class ColumnOptions(SplitColumn):
    """Names of the columns (CSV, Parquet) or features (TFRecord, TFDS) to read."""

    input: str | None = Field(
        default=None,
        description="Holds the content, or its path where a `csv` cannot hold it. Default: `path` for files that a "
        "`csv` names, else the kind of input: `image`, `text`.",
    )


class DomainOptions(Section):
    """Tells the examples of the domain that the model is for from those that only help it to learn."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    column: str = Field(min_length=1, description="A column that says where an example comes from.")
    target: str = Field(
        min_length=1,
        description="Examples with this value are of the target domain, on which alone the model is judged; all others "
        "are of the source domain.",
    )


class TargetData(Section):
    """A second place of examples: those of the target domain. What `data` itself names is then the source domain."""

    source: Literal["image_folder", "csv", "parquet", "tfrecord"] = Field(description="Kind of source.")
    path: str = Field(
        min_length=1,
        description="Folder or file of the source. A folder of images without labels may hold them at any depth.",
    )
    labelled: bool = Field(
        default=False,
        description="Whether its labels are read, as those of `data`: then its eval and test examples can be judged. "
        "Else no label is looked at, not even the name of a folder.",
    )
    split: str | None = Field(
        default=None,
        description="Puts all of it into one split. Null: as the source names it; else with labels by content, and "
        "without labels into train.",
    )
    columns: dict[str, str | None] = Field(
        default={}, description="As `data.columns`, where its columns have other names."
    )

    @field_validator("split")
    @classmethod
    def _known_split(cls, value: str | None) -> str | None:
        return None if value is None else split_name(value)

    @field_validator("path")
    @classmethod
    def _local_path(cls, value: str) -> str:
        if "://" in value:
            raise ValueError(f"{value!r} is an address; give a local or mounted folder or file")
        return value


class DataOptions(Section):
    """Where the examples come from, how they are split and what is refused."""

    source: str = Field(description="Kind of source.")
    path: str = Field(
        description="Folder or file of the source. `{SPAN}` stands for an integer folder name; the newest are read."
    )
    split: SplitOptions = Field(default=SplitOptions(), description="Fractions of the held-out splits.")
    columns: SplitColumn = Field(default=SplitColumn(), description="What is read of the source's own splits.")
    fingerprint: Literal["fast", "content"] = Field(
        default="fast",
        description="What tells that the data changed: `fast` looks at name, size and times of each file, `content` "
        "reads it, so that copies and restored files are known again.",
    )
    schema_file: str | None = Field(
        default=None, alias="schema", description="A curated schema (.pbtxt) kept in git. Null: inferred from the data."
    )
    target: tuple[TargetData, ...] = Field(
        default=(),
        description="A second place of examples, or a list of them: those of the target domain, most of them without "
        "labels. For methods that adapt to a domain; empty: all examples are those of `path`.",
    )
    window: int = Field(default=1, ge=1, description="How many of the newest spans to read when `path` holds `{SPAN}`.")
    max_rejected: float = Field(
        default=0.01,
        ge=0.0,
        le=1.0,
        description="The data gate closes when a larger fraction of the examples was rejected.",
    )

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @property
    def splits_from(self) -> str:
        """How the source can name the split of an example, as advice."""
        return "name all three splits in the source"

    @property
    def split_advice(self) -> str:
        """What to do where a split lacks examples, for messages."""
        return (
            f"raise data.split.eval or .test, {self.splits_from}, set data.split.from_train to take them out of its "
            "train, or data.columns.split to null to ignore its splits"
        )

    @field_validator("target", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, dict | TargetData) else value

    @field_validator("path")
    @classmethod
    def _local_path(cls, value: str) -> str:
        if not value:
            raise ValueError("is empty; give a folder or a file")
        if "://" in value:
            raise ValueError(f"{value!r} is an address; give a local or mounted folder or file")
        return value

    def named_split(self, name: str | None) -> str | None:
        """The split that the source puts an example into, or None to split it by content.

        Args:
          name: What the source says; None or empty where it says nothing. `columns.split: null` ignores it, and
            `split.from_train` splits train once more.

        Raises:
          ValueError: The name stands for no split.
        """
        if not name or self.columns.split is None:
            return None
        split = parse_split(name)
        if split is None:
            raise ValueError(f"{name!r} is none of train, eval (val, validation), test")
        return None if split == "train" and self.split.from_train else split


class FolderOptions(DataOptions):
    """A source that says nothing of an example but its label and its split."""

    labels_from: ClassVar[str] = "labels stand beside the contents"
    """Where they come from, for messages."""

    slices: ClassVar[tuple[str, ...]] = ()
    group: ClassVar[str | None] = None
    domain: ClassVar[DomainOptions | None] = None
    weight: ClassVar[str | None] = None


class RowOptions(DataOptions):
    """A source with columns."""

    holds_bytes: ClassVar[bool] = True
    """Whether a cell can hold any content; else only text, or the path of a file."""

    columns: ColumnOptions = Field(default=ColumnOptions(), description="Names of the columns to read.")
    slices: tuple[str, ...] = Field(
        default=(),
        description="Extra columns by which the evaluation reports and gates. Where an example has no value, a list or "
        "a value of more than 1000 bytes, it is in the slice of the empty value.",
    )
    group: str | None = Field(
        default=None,
        description="A column (patient, slide, burst, product): examples with the same value are all in one split. "
        "Where it is empty, an example stands for itself.",
    )
    domain: DomainOptions | None = Field(
        default=None, description="A column that tells the source from the target domain. Null: all are one domain."
    )
    weight: str | None = Field(
        default=None,
        description="A column with the weight of each example in training, a finite number above 0. Null: all alike.",
    )

    @property
    def splits_from(self) -> str:
        """A column."""
        if self.columns.split is None:
            return "name all three splits in a column that data.columns.split names"
        return f"name all three splits in column {self.columns.split!r}"

    @model_validator(mode="after")
    def _columns_apart(self) -> "RowOptions":
        if self.domain is not None and self.target:
            raise ValueError("domain and target both tell the domains apart; leave one of them out")
        taken = [name for name in self.slices if name in examples.RESERVED]
        if taken:
            raise ValueError(f"slices {taken} are names that ingestion uses itself ({', '.join(examples.RESERVED)})")
        return self


def split_name(value: str) -> str:
    """The split that a value of the configuration names; ValueError where it names none."""
    split = parse_split(value)
    if split is None:
        raise ValueError(f"no split {value!r}; there are {', '.join(SPLITS)}")
    return split
