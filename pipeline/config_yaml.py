"""YAML within bounds: a few kilobytes of it can stand for terabytes, or nest deeper than Python can follow."""

import dataclasses
import os
import stat
from typing import Any

import yaml

MAX_BYTES = 2**20
"""Bytes of a file; a list of 10,000 class names takes a third of it."""

MAX_DEPTH = 50
MAX_NODES = 100_000
"""Values, lists and mappings, those that an alias repeats counted each time."""

MAX_SCALAR = 2**16
"""Characters of one value: reading some kinds of numbers takes time that grows with the square."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML's loader would keep the last, and a floor above it would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value[:100]!r} stands twice in one mapping", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_text(path: str | os.PathLike) -> str:
    """The text of a configuration file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, too large, or no UTF-8.
    """
    # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        status = os.fstat(file.fileno())
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(0, "Is a directory", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has {status.st_size} bytes; a configuration has at most {MAX_BYTES}")
    return content.decode("utf-8")


def parse(text: str) -> Any:
    """What a text stands for.

    Raises:
        yaml.YAMLError: it is no YAML, a key stands twice in a mapping, or it goes beyond a limit of this module.
        ValueError: a value is none, for instance a date.
    """
    _check(text)
    return yaml.load(text, _Loader)


@dataclasses.dataclass
class _Size:
    """What a node and all below it count to, aliases followed."""

    nodes: int = 1
    depth: int = 1


def _check(text: str) -> None:
    """Goes through the events, which the parser gives without recursion and without repeating what an alias names."""
    open_nodes: list[tuple[str | None, _Size]] = []
    anchors: dict[str, _Size] = {}
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            name = event.anchor or ""
            if name in {anchor for anchor, _ in open_nodes}:
                raise _fault(event, f"the alias *{name[:100]} stands within what it names")
            size = anchors.get(name, _Size())  # an unknown one is told when it is loaded
        elif isinstance(event, yaml.ScalarEvent):
            _check_scalar(event)
            size = _Size()
            if event.anchor:
                anchors[event.anchor] = size
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, _Size()))
            if len(open_nodes) > MAX_DEPTH:
                raise _fault(event, f"nested more than {MAX_DEPTH} deep")
            continue
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            if anchor:
                anchors[anchor] = size
        else:
            continue
        if open_nodes:
            above = open_nodes[-1][1]
            above.nodes += size.nodes
            above.depth = max(above.depth, size.depth + 1)
            if above.nodes > MAX_NODES:
                raise _fault(event, f"more than {MAX_NODES} values, those that aliases repeat counted each time")
            if len(open_nodes) - 1 + above.depth > MAX_DEPTH:
                raise _fault(event, f"nested more than {MAX_DEPTH} deep")


def _check_scalar(event: yaml.ScalarEvent) -> None:
    if len(event.value) > MAX_SCALAR:
        raise _fault(event, f"a value of {len(event.value)} characters; at most {MAX_SCALAR} are read")
    unfit = next((letter for letter in event.value if letter == "\0" or "\ud800" <= letter <= "\udfff"), None)
    if unfit is not None:
        raise _fault(event, f"a value holds {unfit!r}, which no name or path may hold")


def _fault(event: yaml.Event, what: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, what, event.start_mark)  # type: ignore[arg-type]
