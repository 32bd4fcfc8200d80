"""What is known of the value range that a backbone takes, without loading it. Imports no Keras."""

import dataclasses
import json
import pathlib
import urllib.parse
import zipfile
from typing import Any

from graft.models import application_inputs, handles

CANDIDATES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""Ranges that networks were trained on, the most usual of published modules first."""
_BYTES = (0.0, 255.0)
_HUBS = {"tfhub.dev": "/google/", "www.kaggle.com": "/models/google/", "kaggle.com": "/models/google/"}
_MOST_CONFIG = 64 << 20


@dataclasses.dataclass(frozen=True)
class KnownRange:
    """A range and where it is from; see `inputs.base.Known`."""

    value_range: tuple[float, float]
    how: str
    reason: str


def known_range(handle: str) -> KnownRange | None:
    """The table of keras.applications, then what the module itself or the package that brings it says.

    A `.keras` file whose first layer scales bytes takes bytes. Google's image modules on TensorFlow Hub and Kaggle take
    [0, 1] ("Common signatures for images", www.tensorflow.org/hub/common_signatures/images). Other publishers do not
    keep to that.

    Raises:
        GraftError: the handle begins with the name of a package that is not installed, or is broken.
    """
    if application_inputs.is_application(handle):
        found = application_inputs.value_range(handle)
        return None if found is None else KnownRange(found, "table", "the table of keras.applications has it")
    told = handles.facts(handle)
    if told is not None and told.value_range is not None:
        return KnownRange(told.value_range, "metadata", f"the package that brings {handle.partition(':')[0]!r} says so")
    if handle.endswith(".keras") and _rescales(pathlib.Path(handle)):
        return KnownRange(_BYTES, "metadata", "the first layer of the .keras file rescales bytes")
    address = urllib.parse.urlsplit(handle)
    publisher = _HUBS.get(address.hostname or "")
    if publisher is not None and address.path.startswith(publisher):
        return KnownRange((0.0, 1.0), "metadata", f"image modules of Google on {address.hostname} take it")
    return None


def _rescales(path: pathlib.Path) -> bool:
    """Whether the first layer after the inputs is a Rescaling from bytes; a broken file is refused when loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _MOST_CONFIG:
                return False
            config = json.loads(archive.read("config.json"))
        layers = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]
        return bool(layers) and layers[0]["class_name"] == "Rescaling" and _from_bytes(layers[0]["config"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, NotImplementedError, zipfile.BadZipFile):
        return False


def _from_bytes(config: dict[str, Any]) -> bool:
    scale = config["scale"]
    return isinstance(scale, int | float) and 0 < scale < 1 / 64
