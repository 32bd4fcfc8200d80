"""The configuration as text, from its pydantic models: a file to start from and the reference page.

`python -m graft.pipeline.reference > docs/configuration.md` writes the page.
"""

import sys
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import annotated_types
import pydantic
import yaml
from pydantic.fields import FieldInfo

from graft.models import inputs
from graft.models.application_inputs import input_settings
from graft.models.targets import KINDS
from graft.pipeline.config import parse, schema

_COMMENT_WIDTH = 100
_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "any value"}


def starter_config(
    name: str, data: str, backbone: str, limits: Mapping[str, Any] | None = None, schema_file: str | None = None
) -> str:
    """A configuration with every default written out, each key with its meaning as a comment.

    Args:
        name: of the pipeline.
        data: folder of class folders.
        backbone: handle of the backbone.
        limits: under `gates`, as `pipeline.floors` proposes them.
        schema_file: path of a JSON Schema from the file's folder, which a comment names for editors; None: no comment.

    Returns:
        YAML that `pipeline.config.load` takes, equal to the defaults but for the limits, and for the image size of a
        network of `keras.applications`.

    Raises:
        ConfigError: the name or the path is none that a configuration may hold.
    """
    given: dict[str, Any] = {"name": name, "data": {"source": "image_folder", "path": data}}
    known = input_settings(backbone)
    settles = inputs.make_input(inputs.parse_options(known)).SETTLES  # auto knows that
    shape = {key: value for key, value in known.items() if key != settles}
    given |= {"input": shape, "backbone": {"handle": backbone}, "gates": dict(limits or {})}
    config = parse(given, f"configuration {name!r}")
    head = [
        *([f"# yaml-language-server: $schema={schema_file}"] if schema_file else []),
        "# Written by `graft init`. Every key is there with its default; all but name, data and backbone may go.",
        "# Relative paths start at the working directory; ${NAME} stands for the environment variable.",
        *(
            ["# The floors under gates are a proposal: what a model without skill may reach on this data."]
            * bool(limits)
        ),
    ]
    return "\n".join([*head, *_yaml_lines(type(config), config.model_dump(mode="json", by_alias=True), 0)]) + "\n"


def config_reference() -> str:
    """The reference page: Markdown with a table for each section of the configuration."""
    parts = [
        "# Configuration reference",
        "<!-- Made by `python -m graft.pipeline.reference > docs/configuration.md`; edit the descriptions in the "
        "code. -->",
        "A pipeline is one YAML file. Relative paths start at the working directory, and `${NAME}` expands to the "
        "environment variable. Unknown keys are refused, with the nearest known one. On the command line "
        "`--set key.sub=value` overrides a key; the value is read as YAML. `graft init configs/NAME.yaml` writes a "
        "file with every default and these descriptions, `graft config check` checks files, and editors complete and "
        "check keys by [a schema](tools.md#in-an-editor).",
    ]
    known = set()
    for key, heading, model in _sections("", schema(str(KINDS.default))):
        if (heading, model) in known:  # the same section below several kinds
            continue
        known.add((heading, model))
        level = "###" if ": " in heading else "##"
        parts += [
            f"{level} {heading or 'Top level'}",
            _sentence(model),
            *([_table(key, model)] if _fields(model) else []),
        ]
        if key in ("gates", "gates.slices.NAME"):
            parts += _gates(key)
    return "\n\n".join(parts) + "\n"


def _gates(key: str) -> Iterator[str]:
    """A part for the limits of each other kind of target; those of the default one stand in the section itself."""
    for name in KINDS:
        if name != KINDS.default:
            module = KINDS.module(name)
            yield f"### {key}: target: kind: {name}"
            yield _table(key, module.Gates if key == "gates" else module.SliceGates)


def _sections(
    key: str, model: type[pydantic.BaseModel], heading: str = ""
) -> Iterator[tuple[str, str, type[pydantic.BaseModel]]]:
    """Every section from the top: key (`data.split`, `data.pairs[]`, `gates.slices.NAME`), heading, model."""
    yield key, heading or key, model
    for name, field in _fields(model):
        below = f"{key}.{name}".lstrip(".")
        if kinds := _kinds(field.annotation):
            yield from _by_kind(below, field, kinds)
        elif _or_null(field.annotation):  # the same kinds once more, which are told where they must be given
            continue
        else:
            for suffix, nested in _nested(field.annotation):
                yield from _sections(below + suffix, nested)


def _by_kind(
    key: str, field: FieldInfo, kinds: dict[str, type[pydantic.BaseModel]]
) -> Iterator[tuple[str, str, type[pydantic.BaseModel]]]:
    """The sections of a discriminated union: what all kinds share, then what each has beside that."""
    tag = _discriminator(field.annotation)
    members = list(kinds.values())
    shared = [
        name
        for name, first in members[0].model_fields.items()
        if name != tag and all(_same(first, member.model_fields.get(name)) for member in members)
    ]
    default = ... if field.is_required() else getattr(field.default, tag)
    names: Any = pydantic.Field(
        default, description="The kind of this section; a kind may have keys of its own, below."
    )
    fields: dict[str, Any] = {tag: (typing.Literal[tuple(kinds)], names)}
    fields |= {name: (members[0].model_fields[name].annotation, members[0].model_fields[name]) for name in shared}
    about = field.description or _sentence(members[0])
    yield from _sections(key, pydantic.create_model("Shared", __doc__=about, **fields), key)
    # Methods of one family have many keys in common, which are told once.
    families: dict[type[pydantic.BaseModel], list[str]] = {}
    for name, member in kinds.items() if key == "transfer" else ():
        families.setdefault(member.__mro__[1], []).append(name)
    families = {
        family: names
        for family, names in families.items()
        if len(names) > 1 and family.model_fields.keys() - {*shared, tag}
    }
    for family, names in families.items():
        fields = {n: (f.annotation, f) for n, f in family.model_fields.items() if n not in (*shared, tag)}
        made = pydantic.create_model("Family", __doc__=_sentence(family), **fields)
        yield from _sections(key, made, f"{key}: {tag}: {', '.join(names)}")
    for name, member in kinds.items():
        told = member.__mro__[1].model_fields if member.__mro__[1] in families else {}
        fields = {
            n: (f.annotation, f)
            for n, f in member.model_fields.items()
            if n not in (*shared, tag) and not _same(f, told.get(n))
        }
        doc = _first_paragraph(sys.modules[member.__module__].__doc__) if key == "transfer" else _sentence(member)
        if fields or told:
            yield from _sections(key, pydantic.create_model(name, __doc__=doc, **fields), f"{key}: {tag}: {name}")


def _same(one: FieldInfo, other: FieldInfo | None) -> bool:
    return other is not None and (one.annotation, one.description) == (other.annotation, other.description)


def _fields(model: type[pydantic.BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The keys as they are written in YAML, and their fields."""
    return [(field.alias or name, field) for name, field in model.model_fields.items()]


def _kinds(annotation: Any) -> dict[str, type[pydantic.BaseModel]]:
    """The members of a discriminated union by name; empty for another type, and where null is one of them."""
    return {} if _or_null(annotation) else _tagged(annotation)


def _tagged(annotation: Any) -> dict[str, Any]:
    members = typing.get_args(annotation) if typing.get_origin(annotation) in (typing.Union, types.UnionType) else ()
    tags = {tag.tag: typing.get_args(member)[0] for member in members for tag in _metadata(member, pydantic.Tag)}
    return tags if len(tags) == len(members) else {}


def _or_null(annotation: Any) -> bool:
    """Whether it is a discriminated union that allows null."""
    return type(None) in _tagged(annotation).values()


def _discriminator(union: Any) -> str:
    """The key that tells the kinds of a discriminated union apart: their first field."""
    return next(name for member in _tagged(union).values() for name in member.model_fields)


def _metadata(annotation: Any, wanted: type) -> list[Any]:
    return [extra for extra in getattr(annotation, "__metadata__", ()) if isinstance(extra, wanted)]


def _nested(annotation: Any) -> Iterator[tuple[str, type[pydantic.BaseModel]]]:
    """The models that a value may hold, each with what follows the key: nothing, `[]` in a list, `.NAME` in a map."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if _is_model(annotation):
        yield "", annotation
    elif origin in (list, tuple, dict):
        suffix = ".NAME" if origin is dict else "[]"
        yield from ((suffix + below, model) for below, model in _nested(arguments[1 if origin is dict else 0]))
    elif origin is not typing.Literal:
        for argument in arguments:
            yield from _nested(argument)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)


def _table(key: str, model: type[pydantic.BaseModel]) -> str:
    rows = ["| key | type, allowed | default | meaning |", "|---|---|---|---|"]
    for name, field in _fields(model):
        full = f"{key}.{name}".lstrip(".")
        kinds = _kinds(field.annotation)
        suffixes = [suffix for suffix, _ in _nested(field.annotation)]
        if _or_null(field.annotation):
            kind, suffixes = f"section like `{key}`, by `{_discriminator(field.annotation)}`, or null", []
        elif kinds:
            kind, suffixes = f"section, by `{_discriminator(field.annotation)}`", [""]
        else:
            kind = _kind(field.annotation, field.metadata)
        kind = "; ".join([kind, *(f"see [{full}{suffix}](#{_anchor(full + suffix)})" for suffix in suffixes)])
        default = "required" if field.is_required() else _default(field)
        rows.append("| " + " | ".join(_cell(text) for text in (f"`{full}`", kind, default, _meaning(field))) + " |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    if _is_model(field.annotation):
        return "its defaults"
    if _kinds(field.annotation):
        key = _discriminator(field.annotation)
        return f"`{key}: {getattr(field.default, key)}`"
    value = field.get_default(call_default_factory=True)
    return f"`{_value(pydantic.TypeAdapter(Any).dump_python(value, mode='json'))}`"


def _meaning(field: FieldInfo) -> str:
    if typing.get_origin(field.annotation) is typing.Literal and not field.description:
        return "Which kind this section is of."  # the discriminator of a union
    return field.description or _sentence(next(model for _, model in _nested(field.annotation)))


def _sentence(model: type[pydantic.BaseModel]) -> str:
    return _first_paragraph(model.__doc__)


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = (c for c in heading.lower() if c.isalnum() or c in "-_ ")
    return "".join(kept).replace(" ", "-")


def _kind(annotation: Any, metadata: typing.Iterable[Any] = ()) -> str:
    """The type and its limits in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = [part for extra in annotation.__metadata__ for part in getattr(extra, "metadata", [extra])]
        return _kind(arguments[0], [*limits, *metadata])
    if origin in (typing.Union, types.UnionType):
        members = [argument for argument in arguments if argument is not type(None)]
        return ", or ".join(
            [*(_kind(member, metadata) for member in members), *["null"] * (len(members) < len(arguments))]
        )
    if origin is typing.Literal:
        kind = " or ".join(f"`{value}`" for value in arguments)
    elif origin is dict:
        kind = f"mapping from name to {_kind(arguments[1])}"
    elif origin is tuple and arguments[-1] is not Ellipsis:
        kind = f"[{', '.join(_kind(argument) for argument in arguments)}]"
    elif origin in (list, tuple):
        kind = f"list, each: {_kind(arguments[0])}"
    else:
        kind = "section" if _is_model(annotation) else _NAMES[annotation]
    words = ("not empty" if kind == "text" and hasattr(limit, "min_length") else _limit(limit) for limit in metadata)
    return ", ".join([kind, *filter(None, words)])


def _limit(constraint: Any) -> str:
    match constraint:
        case annotated_types.Ge(ge=limit):
            return f"at least {limit}"
        case annotated_types.Gt(gt=limit):
            return f"above {limit}"
        case annotated_types.Le(le=limit):
            return f"at most {limit}"
        case annotated_types.Lt(lt=limit):
            return f"below {limit}"
        case annotated_types.MinLen(min_length=limit):
            return f"at least {limit} of them"
    pattern = getattr(constraint, "pattern", None)
    return f"matching `{pattern}`" if pattern else ""


def _yaml_lines(model: type[pydantic.BaseModel], values: dict[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in _fields(model):
        if not depth:
            yield ""
        yield from textwrap.wrap(
            _meaning(field), _COMMENT_WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        kinds = _kinds(field.annotation)
        section = kinds[values[name][_discriminator(field.annotation)]] if kinds else field.annotation
        if _is_model(section):
            yield f"{indent}{name}:"
            yield from _yaml_lines(section, values[name], depth + 1)  # type: ignore[arg-type]
        else:
            yield f"{indent}{name}: {_value(values[name])}"


def _value(value: Any) -> str:
    """A value on one line of YAML."""
    plain = yaml.safe_dump(value, default_flow_style=True, width=sys.maxsize, allow_unicode=True)
    plain = plain.removesuffix("\n").removesuffix("\n...")
    if "\n" in plain:  # a text with line breaks
        plain = yaml.safe_dump(value, default_style='"', width=sys.maxsize).removesuffix("\n")
    return plain


if __name__ == "__main__":
    sys.stdout.write(config_reference())
