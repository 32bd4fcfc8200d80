"""What a Keras network is, whatever its layers are called.

Keras numbers the names that nobody chose by how many layers the process has made, so they differ between two loads.
"""

import hashlib
import json
from typing import Any

import keras


def model_identity(model: keras.Model) -> str:
    """sha256 in hex over a network's layers, their settings and connections, and its weights, but not its names."""
    structure = json.loads(model.to_json())
    names: dict[str, str] = {}
    _collect_names(structure, names)
    total = hashlib.sha256(json.dumps(_renamed(structure, names), sort_keys=True).encode())
    for weight in model.get_weights():
        total.update(f"{weight.dtype}{weight.shape}".encode() + weight.tobytes())
    return total.hexdigest()


def _collect_names(value: Any, names: dict[str, str]) -> None:
    """Gives each layer's name the number of its first appearance, which the structure decides."""
    if isinstance(value, dict):
        if _is_named(value):
            names.setdefault(value["config"]["name"], f"#{len(names)}")
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            _collect_names(part, names)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """`value` with numbers for names, wherever Keras writes them."""
    if isinstance(value, list):
        return [_renamed(part, names) for part in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, part in value.items():
        if key == "config" and _is_named(value):
            result[key] = _renamed(part, names) | {"name": names[part["name"]]}
        elif key == "name" and _is_named(value):
            result[key] = names[value["config"]["name"]]
        elif key in ("keras_history", "input_layers", "output_layers"):
            result[key] = _references(part, names)
        else:
            result[key] = _renamed(part, names)
    return result


def _references(value: Any, names: dict[str, str]) -> Any:
    """Names of layers in `[name, node, tensor]` and lists of it."""
    if isinstance(value, list):
        return [_references(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def _is_named(value: dict) -> bool:
    """Whether this is the entry of a layer or operation; a DTypePolicy has a name too, which says what it is."""
    config = value.get("config")
    return (
        isinstance(config, dict)
        and isinstance(config.get("name"), str)
        and not str(value.get("class_name")).endswith("DTypePolicy")
    )
