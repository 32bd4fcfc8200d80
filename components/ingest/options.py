"""What `data:` in a config may hold. Imports neither TensorFlow nor Beam, so that a config is checked at once."""

import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from graft.components.ingest.sources import REGISTRY
from graft.components.ingest.splits import SPLITS, parse_split
from graft.models import examples

RESERVED_FEATURES = (
    *examples.RESERVED,
    *("width", "height", "format"),
)
"""Names of features that ingestion and predictions have of their own; no extra column may carry one of them."""

UNFIT_FOR_LABELS = {
    "Cc": "a control character",
    "Cs": "half of a surrogate pair",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}
"""Unicode categories that no class name may hold: vocabulary and label list are files of one name a line."""

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitOptions(_Options):
    """Fractions of the images that go to each split where the source does not name one; train gets the rest."""

    eval: Fraction = Field(
        default=0.15, description="Fraction of the images held out to choose weights and stop early."
    )
    test: Fraction = Field(default=0.15, description="Fraction of the images held out for the gates and the report.")

    from_train: bool = Field(
        default=False,
        description="Split the source's own train by these fractions too, where it has no eval or no test.",
    )

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> "SplitOptions":
        if self.eval + self.test >= 1.0:
            raise ValueError(f"eval + test is {self.eval + self.test:g}; it must be below 1, the rest is for training")
        return self


class ColumnOptions(_Options):
    """Names of the columns (CSV, Parquet) or features (TFRecord, TFDS) to read."""

    image: str | None = Field(
        default=None,
        description="Holds the encoded image, or its path for `csv`. Default: `path` for `csv`, else `image`.",
    )
    label: str = Field(
        default="label", description="Holds the class: a name, or an integer that indexes `class_names`."
    )
    split: str | None = Field(
        default="split", description="Holds the split, where there is one; null ignores any split the source names."
    )


class IdxPair(_Options):
    """One pair of IDX files, as MNIST and Fashion-MNIST are published, plain or gzipped."""

    images: str = Field(description="The images file, relative to `path`.")
    labels: str = Field(description="The labels file, relative to `path`.")
    split: str | None = Field(
        default=None, description="Puts the whole pair into one split; null splits it by content."
    )

    @field_validator("split")
    @classmethod
    def _known_split(cls, value: str | None) -> str | None:
        return None if value is None else _split(value)


class DataOptions(_Options):
    """Where the images come from, how they are split and what is refused."""

    source: str = Field(description=f"Kind of source: {', '.join(REGISTRY)}.")
    path: str = Field(
        description="Folder or file of the source. `{SPAN}` stands for an integer folder name; the newest are read."
    )
    name: str | None = Field(
        default=None, description="Name of the data set (`tfds` only), as `name` or `name/config`."
    )
    split: SplitOptions = Field(default=SplitOptions(), description="Fractions of the held-out splits.")
    columns: ColumnOptions = Field(default=ColumnOptions(), description="Names of the columns to read.")
    pairs: tuple[IdxPair, ...] = Field(default=(), description="Pairs of image and label files (`idx` only).")
    class_names: tuple[str, ...] | None = Field(
        default=None,
        description="The classes allowed, in the order that integer labels index. Null: whatever is found.",
    )
    slices: tuple[str, ...] = Field(
        default=(),
        description="Extra columns by which the evaluation reports and gates. Where an image has no value, a list or "
        "a value of more than 1000 bytes, it is in the slice of the empty value.",
    )
    group: str | None = Field(
        default=None,
        description="A column (patient, slide, burst, product): images with the same value are all in one split. Where "
        "it is empty, an image stands for itself.",
    )
    fingerprint: Literal["fast", "content"] = Field(
        default="fast",
        description="What tells that the data changed: `fast` looks at name, size and times of each file, `content` "
        "reads it, so that copies and restored files are known again.",
    )
    schema_file: str | None = Field(
        default=None, alias="schema", description="A curated schema (.pbtxt) kept in git. Null: inferred from the data."
    )
    window: int = Field(default=1, ge=1, description="How many of the newest spans to read when `path` holds `{SPAN}`.")
    max_rejected: float = Field(
        default=0.01,
        ge=0.0,
        le=1.0,
        description="The data gate closes when a larger fraction of the images was rejected.",
    )
    max_pixels: int = Field(
        default=50_000_000,
        ge=1,
        le=2**26,
        description="Images of more pixels (all frames together) are rejected before decoding.",
    )
    max_bytes: int = Field(
        default=50_000_000, ge=1, description="Encoded images of more bytes are rejected before reading."
    )

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        if value not in REGISTRY:
            raise ValueError(f"no source {value!r}; there are {', '.join(REGISTRY)}")
        return value

    @field_validator("path")
    @classmethod
    def _local_path(cls, value: str) -> str:
        if not value:
            raise ValueError("is empty; give a folder or a file")
        if "://" in value:
            raise ValueError(f"{value!r} is an address; give a local or mounted folder or file")
        return value

    @field_validator("class_names")
    @classmethod
    def _distinct_classes(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (len(set(value)) < 2 or len(set(value)) != len(value)):
            raise ValueError(f"{list(value)} must hold at least 2 names, each once")
        for name in value or ():
            if fault := label_fault(name):
                raise ValueError(fault)
        return value

    @model_validator(mode="after")
    def _fits_source(self) -> "DataOptions":
        if (self.source == "tfds") != (self.name is not None):
            raise ValueError(
                f"`name` belongs to source tfds, which needs it; source is {self.source}, name {self.name}"
            )
        if (self.source == "idx") != bool(self.pairs):
            raise ValueError(f"`pairs` belongs to source idx, which needs it; source is {self.source}")
        if self.slices and self.source in ("image_folder", "idx"):
            raise ValueError(f"source {self.source} has no columns, so there are no slices {list(self.slices)}")
        if self.group is not None and self.source in ("image_folder", "idx"):
            raise ValueError(f"source {self.source} has no columns, so there is no group {self.group!r}")
        taken = [name for name in self.slices if name in RESERVED_FEATURES]
        if taken:
            raise ValueError(f"slices {taken} are names that ingestion uses itself ({', '.join(RESERVED_FEATURES)})")
        read = {"image": self.image_column, "label": self.columns.label, "split": self.columns.split}
        taken = [f"{name!r} (columns.{key})" for name in self.slices for key in read if read[key] == name]
        if taken:
            raise ValueError(f"slices holds {', '.join(taken)}; a slice is a column that is read as nothing else")
        taken = [f"columns.{key}" for key in read if read[key] == self.group]
        if self.group is not None and taken:
            raise ValueError(f"group is {self.group!r}, which is {taken[0]}; a group is a column of its own")
        return self

    def named_split(self, name: str | None) -> str | None:
        """The split that the source puts an image into, or None to split it by content.

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

    @property
    def image_column(self) -> str:
        """The column of the image, or of its path."""
        return self.columns.image or ("path" if self.source == "csv" else "image")


def label_fault(label: str) -> str | None:
    """What keeps a text from being a class name, in words; None for one that may be used, and for the empty text."""
    for character in label:
        if kind := UNFIT_FOR_LABELS.get(unicodedata.category(character)):
            return f"class name {label!r} holds {kind} ({character!r}); it must be one line of printable text"
    return None


def _split(value: str) -> str:
    split = parse_split(value)
    if split is None:
        raise ValueError(f"no split {value!r}; there are {', '.join(SPLITS)}")
    return split
