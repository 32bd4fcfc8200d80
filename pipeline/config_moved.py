"""Keys that have another place now: an older configuration is still read, and a line in the log names each."""

import logging
from typing import Any

log = logging.getLogger(__name__)

MOVED = {
    "backbone.image_size": "input.image_size",
    "backbone.value_range": "input.value_range",
    "backbone.check_range": "input.check_range",
    "train.augment": "input.augment",
    "train.class_weights": "target.class_weights",
    "train.label_smoothing": "target.label_smoothing",
    "data.max_pixels": "input.max_pixels",
    "data.max_bytes": "input.max_bytes",
    "data.class_names": "target.class_names",
    "data.columns.label": "target.column",
    "data.columns.image": "data.columns.input",
}
"""Key of version 0.1 -> key."""


def move(raw: dict[str, Any], source: str) -> tuple[dict[str, Any], list[str]]:
    """The configuration with every moved key at its place; `raw` is left as it is.

    Args:
        raw: as read from YAML.
        source: named in the log.

    Returns:
        the configuration, and a fault for each key that stands at its old and at its new place.
    """
    raw = _copied(raw)
    faults = []
    for old, new in MOVED.items():
        *parents, last = old.split(".")
        section = _section(raw, parents)
        if section is None or last not in section:
            continue
        *new_parents, new_last = new.split(".")
        target = _section(raw, new_parents, make=True)
        if target is None:
            continue  # what stands there is no section, which the schema will say
        if new_last in target:
            faults.append(f"{old}: is {new} now, and both are given; leave out {old}")
            del section[last]
            continue
        log.warning("%s: %s is %s now; it is read as that", source, old, new)
        target[new_last] = section.pop(last)
    return raw, faults


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def _section(raw: dict[str, Any], keys: list[str], make: bool = False) -> dict[str, Any] | None:
    for key in keys:
        found = raw.setdefault(key, {}) if make else raw.get(key)
        if not isinstance(found, dict):
            return None
        raw = found
    return raw
