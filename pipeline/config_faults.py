"""What is wrong with a configuration, in one line for each key: what came, what is allowed."""

import difflib
import functools
import re
import typing
from typing import Any

import pydantic

from graft.models.registry import UNKNOWN_KIND

_SHOWN = 200
_MOST = 50  # a nearest key costs milliseconds, and nobody reads more
_TYPE_NAMES = {"bool", "float", "int", "str"}


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel], raw: Any, prefix: str = "") -> list[str]:
    """The faults of a validation as lines `key: what is allowed; what was received`.

    Args:
        error: what pydantic raised.
        model: the schema.
        raw: the mapping that was checked.
        prefix: key of the section that was checked, with a dot at its end; empty for a whole configuration.
    """
    messages: dict[tuple, list[str]] = {}
    received: dict[tuple, Any] = {}
    faults = error.errors()
    for fault in faults[:_MOST]:
        key = _key(fault["loc"], raw, _tags(model))
        if fault["type"] == UNKNOWN_KIND:
            fault, key = _of_kind(fault), (*key, fault["ctx"]["field"])
        messages.setdefault(key, []).append(_message(fault, key, model, raw))
        received[key] = fault.get("input")
    lines = []
    for key, texts in messages.items():
        # Each member of a union complains; the one that looked deeper into the value is the one that was meant.
        if any(other[: len(key)] == key and len(other) > len(key) for other in messages):
            continue
        name = prefix + ".".join(str(part)[:_SHOWN] for part in key)
        text = " or ".join(dict.fromkeys(texts))
        if text.startswith(("unknown key", "missing")):
            lines.append(f"{name}: {text}")
        elif key:
            lines.append(f"{name}: {text}; received {shown(received[key])} ({type(received[key]).__name__})")
        else:
            lines.append(prefix.rstrip(".") + (": " if prefix else "") + text)
    return lines + ([f"{len(faults) - _MOST} faults more"] if len(faults) > _MOST else [])


def shown(value: Any) -> str:
    """A value as it stands in a message: at most `_SHOWN` characters of it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def _of_kind(fault: Any) -> Any:
    """The fault of a section of an unknown kind as one of the key that names the kind."""
    allowed, section = fault["ctx"]["allowed"].split(", "), fault["input"]
    received = section.get(fault["ctx"]["field"]) if isinstance(section, dict) else section
    near = difflib.get_close_matches(str(received), allowed, n=1)
    hint = f"did you mean {near[0]!r}? allowed: " if near else "must be one of "
    return {**fault, "input": received, "msg": hint + ", ".join(allowed)}


@functools.cache
def _tags(model: type[pydantic.BaseModel]) -> frozenset[str]:
    """Names by which pydantic tells the members of the model's discriminated unions apart."""
    found: set[str] = set()
    for nested in {model, *(m for field in model.model_fields.values() for m in _models_in(field.annotation))}:
        for field in nested.model_fields.values():
            found |= {tag.tag for tag in _annotations(field.annotation) if isinstance(tag, pydantic.Tag)}
    return frozenset(found)


def _annotations(annotation: Any) -> typing.Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for argument in typing.get_args(annotation):
        yield from _annotations(argument)


def _key(location: tuple, raw: Any, tags: frozenset[str]) -> tuple:
    """The location without the parts by which pydantic names the member of a union."""
    key = []
    for part in location:
        try:
            raw = raw[part]
        except (LookupError, TypeError):  # the name of a member, or a key that is missing
            if isinstance(part, str) and (not part.isidentifier() or part in _TYPE_NAMES or part in tags):
                continue
        key.append(part)
    return tuple(key)


def _message(fault: Any, key: tuple, model: type[pydantic.BaseModel], raw: Any) -> str:
    if fault["type"] == "extra_forbidden":
        allowed = _allowed_keys(key[:-1], model, raw)
        near = difflib.get_close_matches(str(key[-1]), allowed, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown key (value {shown(fault.get('input'))}); {hint}allowed: {', '.join(allowed) or 'none'}"
    if fault["type"] == "missing":
        return "missing; it has no default"
    message = fault["msg"].removeprefix("Value error, ")
    message = re.sub(r"valid dictionary( or instance of \w+)?", "mapping of keys", message)
    return message[0].lower() + message[1:]


def _allowed_keys(key: tuple, model: type[pydantic.BaseModel], raw: Any) -> list[str]:
    """Keys of the section at `key`; parts that are keys of a mapping or places in a list are passed over."""
    for part in key:
        raw = raw[part]
        if part in model.model_fields:
            members = list(_models_in(model.model_fields[part].annotation))
            model = next((member for member in members if _is_of(raw, member)), members[0] if members else model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_of(section: Any, member: type[pydantic.BaseModel]) -> bool:
    """Whether a section names this member of a discriminated union."""
    kinds = {name: field for name, field in member.model_fields.items() if field.default in (*_literals(field),)}
    return isinstance(section, dict) and any(section.get(name) == field.default for name, field in kinds.items())


def _literals(field: Any) -> tuple:
    """What a field may hold that may hold one thing only."""
    values = typing.get_args(field.annotation) if typing.get_origin(field.annotation) is typing.Literal else ()
    return values if len(values) == 1 else ()


def _models_in(annotation: Any) -> typing.Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
