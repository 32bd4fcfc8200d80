"""What a `.keras` file holds, looked at before Keras makes objects of it.

Keras makes whatever class the file names: its own layers, some of which load programs from other files, and every class
that this process has registered. Its safe mode refuses Python code, lookup layers over files, and HDF5 files that lead
elsewhere; what it lets through is refused here.
"""

import json
import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import keras

from graft.models.errors import GraftError

_PLAIN = {
    *("keras", "keras.activations", "keras.constraints", "keras.dtype_policies", "keras.initializers", "keras.layers"),
    *("keras.losses", "keras.metrics", "keras.models", "keras.optimizers", "keras.optimizers.schedules"),
    *("keras.quantizers", "keras.random", "keras.regularizers", "keras.src.models.functional"),
    *("keras.src.models.sequential", "keras.src.random.seed_generator"),
}
_OPERATIONS = "keras.src.ops."
_PLAIN_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
_PROGRAMS = {"FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"}
_READ_FILES = {"IntegerLookup", "StringLookup", "TextVectorization"}
_OURS = {"graft>ReverseChannels"}
_NAME = re.compile(r"\w+")
_PLACE = re.compile(r"[\w.>]+")
_MAX_CONFIG_BYTES = 64 << 20
_BOMB_BYTES, _BOMB_RATIO = 64 << 20, 20
"""Keras stores weights uncompressed. An archive larger than the one that unpacks to more than the other times its size
was made to fill the memory."""


def require_plain_layers(path: pathlib.Path) -> None:
    """Refuses a `.keras` file that holds more than layers of Keras.

    Raises:
        GraftError: it does (see `find_fault`), or it cannot be read.
    """
    fault = find_fault(path)
    if fault:
        raise GraftError(
            f"backbone {str(path)!r} holds {fault}; allowed: layers of Keras that only compute. Set backbone.trust: "
            "true only if you trust who made it, and pin it by backbone.sha256"
        )


def find_fault(path: pathlib.Path) -> str | None:
    """What a `.keras` file holds besides layers of Keras.

    That is a class that is none of Keras' plain ones, a path that leads out of the file, or content that unpacks to far
    more than its size.

    Raises:
        GraftError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            fault = _archive_fault(archive, path.stat().st_size)
            config = None if fault else json.loads(archive.read("config.json"))
    # zipfile raises many kinds for a damaged file, json RecursionError for a deep one.
    except Exception as error:
        raise GraftError(
            f"backbone {str(path)!r} cannot be loaded: it is no `.keras` file or damaged: {error}"
        ) from error
    return fault or next(_config_faults(config), None)


def _archive_fault(archive: zipfile.ZipFile, size: int) -> str | None:
    members = archive.infolist()
    names = [member.filename for member in members]
    for name in names:
        if pathlib.PurePosixPath(name).is_absolute() or ".." in re.split(r"[/\\]", name):
            return f"{name[:200]!r}, a path that leads out of it"
    if len(set(names)) < len(names):
        return "a name twice"
    unpacked = sum(member.file_size for member in members)
    if unpacked > _BOMB_BYTES and unpacked > _BOMB_RATIO * size:
        return f"{size} bytes that unpack to {unpacked}"
    if "config.json" in names and archive.getinfo("config.json").file_size > _MAX_CONFIG_BYTES:
        return f"a config.json of more than {_MAX_CONFIG_BYTES} bytes"
    return None


def _config_faults(config: Any) -> Iterator[str]:
    registered = keras.saving.get_custom_objects().keys() - _OURS
    if isinstance(config, dict):
        config = {**config, "compile_config": None}  # a backbone is loaded without it
    queue = [config]
    while queue:
        value = queue.pop()
        if isinstance(value, list):
            queue.extend(value)
        elif isinstance(value, str) and value in registered:
            yield f"the class {value!r}, which is not Keras' own"
        elif isinstance(value, dict):
            queue.extend(value.values())
            if "class_name" in value and not _is_plain(value):
                kind, module = value["class_name"], str(value.get("registered_name") or value.get("module"))[:100]
                yield f"the class {str(kind)[:100]!r} ({module if _PLACE.fullmatch(module) else repr(module)})"


def _is_plain(described: dict[str, Any]) -> bool:
    """Whether the description of an object is that of a class of Keras which only computes."""
    kind, module, registered = (described.get(key) for key in ("class_name", "module", "registered_name"))
    if registered in _OURS:
        return True
    # A registered name counts before module and class.
    if not isinstance(kind, str) or not _NAME.fullmatch(kind) or registered not in (None, kind):
        return False
    if kind in _PROGRAMS | _READ_FILES:
        return False
    if kind in _PLAIN_VALUES:
        return True
    if kind == "function":
        # Keras looks for a registered class of that name, whatever its package.
        ours = {name.rpartition(">")[2] for name in keras.saving.get_custom_objects()}
        return module == "builtins" and isinstance(described.get("config"), str) and described["config"] not in ours
    return isinstance(module, str) and (module in _PLAIN or module.startswith(_OPERATIONS))
