"""What a TFDS data set says of itself: `dataset_info.json`, `features.json` and the names of its classes.

They are read as plain JSON. TFDS's own reader imports whatever module `features.json` names, decodes features that
nobody asked for, and takes a second to load.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from graft.components.ingest.sources.files import read_file
from graft.models.errors import GraftError, one_line
from graft.models.inputs.base import Refused
from graft.models.text import located

_MAX_BYTES = 2**26
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_MODULE = "tensorflow_datasets.core.features."
_READ = ("Image", "ClassLabel", "Text", "Scalar", "Tensor")
_LEAST_RECORD = 16


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file of a split.

    Attributes:
      path: The file.
      split: Name of the split.
      first: Number of its first record in the split.
      count: Records it must hold.
    """

    path: str
    split: str
    first: int
    count: int


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature of the first level.

    Attributes:
      kind: Name of its class in `tensorflow_datasets.features`, or what stands in its place.
      single: Whether it holds one number or one text.
      truth: Whether its numbers stand for true and false.
    """

    kind: str
    single: bool
    truth: bool


@dataclasses.dataclass(frozen=True)
class Info:
    """A data set that is prepared on disk.

    Attributes:
      folder: Where it lies.
      shards: Its files, by split and number.
      features: Name -> feature, first level only.
    """

    folder: str
    shards: tuple[Shard, ...]
    features: dict[str, Feature]

    def check_kinds(self, names: list[str]) -> None:
        """Raises GraftError unless these features, which are there, are of a kind that is read."""
        for name in names:
            if self.features[name].kind not in _READ:
                raise GraftError(
                    f"data.path {located(self.folder)}: feature {name!r} is of {self.features[name].kind[:100]!r}; "
                    f"read are {', '.join(_READ)} of tensorflow_datasets.features"
                )

    def class_names(self, label: str) -> tuple[str, ...] | None:
        """The names of the classes that the feature `label` indexes, None where it names none.

        Raises:
          GraftError: Their file cannot be read.
        """
        path = pathlib.Path(self.folder, f"{label}.labels.txt")
        if self.features[label].kind != "ClassLabel" or "/" in label or not path.exists():
            return None
        try:
            names = [line.strip() for line in _text(path).split("\n")]
        except ValueError as error:
            raise _unfit(self.folder, error) from error
        return tuple(name for name in names if name) or None


def read_info(folder: str) -> Info:
    """Reads what describes a data set.

    Args:
      folder: Holds `dataset_info.json` and `features.json`.

    Raises:
      GraftError: A file is missing or damaged, its records are no TFRecord, or it is too small for what it is to hold.
    """
    try:
        features = _features(_json(pathlib.Path(folder, "features.json")))
        shards = _shards(folder, _json(pathlib.Path(folder, "dataset_info.json")))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unfit(folder, error) from error
    return Info(folder, tuple(shards), features)


def _unfit(folder: str, error: Exception) -> GraftError:
    what = f"no {error}" if isinstance(error, KeyError) else one_line(error)
    return GraftError(
        f"data.path {located(folder)}: cannot be opened: {what}; dataset_info.json and features.json must be as "
        "TFDS 4 writes them"
    )


def _text(path: pathlib.Path) -> str:
    try:
        return read_file(str(path), _MAX_BYTES).decode("utf-8")
    except Refused as refused:
        raise ValueError(f"{path.name}: {refused.detail}") from refused
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _json(path: pathlib.Path) -> dict[str, Any]:
    try:
        return _mapping(json.loads(_text(path)), path.name)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{where} holds {str(value)[:100]}, not a mapping")
    return value


def _features(content: Mapping[str, Any]) -> dict[str, Feature]:
    found = _mapping(_mapping(content["featuresDict"], "featuresDict")["features"], "features")
    return {name: _feature(_mapping(feature, f"feature {name!r}")) for name, feature in found.items()}


def _feature(content: Mapping[str, Any]) -> Feature:
    name = str(content["pythonClassName"])
    kind = name.rpartition(".")[2] if name.startswith(_MODULE) else name
    tensor = _mapping(content.get("tensor", {}), "tensor")
    plain = not _mapping(tensor.get("shape", {}), "shape") and tensor.get("encoding", "none") == "none"
    single = kind in ("ClassLabel", "Text") or (kind in ("Scalar", "Tensor") and plain)
    return Feature(kind, single, tensor.get("dtype") == "bool")


def _shards(folder: str, content: Mapping[str, Any]) -> list[Shard]:
    kind = content.get("fileFormat", "tfrecord")
    if kind != "tfrecord":
        raise ValueError(f"its files are of format {str(kind)[:100]!r}; tfrecord is read")
    shards = []
    for split in content["splits"]:
        name = split["name"]
        if not isinstance(name, str) or not name:
            raise TypeError(f"a split is named {name!r}")
        first, counts = 0, [int(count) for count in split.get("shardLengths", [])]
        for number, count in enumerate(counts):
            path = _path(
                folder, split.get("filepathTemplate", _TEMPLATE), str(content["name"]), name, number, len(counts)
            )
            size = path.stat().st_size if path.is_file() else None
            if size is None:
                raise ValueError(f"{path.name}: no such file")
            if not 0 <= count <= size // _LEAST_RECORD:
                raise ValueError(f"{path.name}: {count} records, which {size} bytes cannot hold")
            shards.append(Shard(str(path), name, first, count))
            first += count
    return shards


def _path(folder: str, template: str, dataset: str, split: str, number: int, count: int) -> pathlib.Path:
    digits = max(5, len(str(count)))
    index, total = f"{number:0{digits}d}", f"{count:0{digits}d}"
    values = {"DATASET": dataset, "SPLIT": split, "FILEFORMAT": "tfrecord", "SHARD_INDEX": index, "NUM_SHARDS": total}
    values["SHARD_X_OF_Y"] = f"{index}-of-{total}"
    # Not by str.format, which evaluates what stands in the braces.
    name = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], template)
    path = pathlib.PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"a file is named {name[:100]!r}, which does not lie there")
    return pathlib.Path(folder, name)
