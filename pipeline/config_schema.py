"""The configuration as JSON Schema (draft 2020-12), for editors: from the same models that check it.

It knows the kinds and sections of all packages that are installed. What no schema can say (a slice that is no column,
settings that exclude one another) is left to `graft config check`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pydantic
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from graft.models import targets
from graft.models.registry import UNKNOWN_KIND
from graft.pipeline.config import schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FIELD, _DEFAULT, _OR_NULL = "graft:field", "graft:default", "graft:null"  # of a union at first
_REF = "#/$defs/"
_VARIABLE = {
    "type": "string",
    "pattern": r"\$\{\w+\}",
    "description": "`${NAME}` stands for the environment variable.",
}
_BY_KIND = ("Gates", "SliceFloors")
"""Definitions that the kind of target decides, `pipeline.config.schema`."""


class _Generator(GenerateJsonSchema):
    """As pydantic's, but a union of Graft's kinds keeps what tells them apart, and keys get no titles."""

    schema_dialect = DIALECT

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        made = super().tagged_union_schema(schema)
        tag = schema["discriminator"]
        if schema.get("custom_error_type") == UNKNOWN_KIND and callable(tag):
            made |= {_FIELD: schema["custom_error_context"]["field"], _DEFAULT: tag({})}
            made[_OR_NULL] = "null" in schema["choices"]
        return made


def config_schema() -> dict[str, Any]:
    """The schema of a configuration file.

    Returns:
        JSON types.

    Raises:
        GraftError: an installed package registered what cannot be used.
    """
    made = {kind: of_model(schema(kind)) for kind in targets.KINDS}
    whole = made[str(targets.KINDS.default)]
    limits = []
    for kind, one in made.items():
        for name in _BY_KIND:
            whole["$defs"][f"{name}.{kind}"] = _renamed(one["$defs"][name], kind)
        limits.append(
            {
                "if": {"properties": {"target": _is_kind(kind)}, **_needs("target", kind)},
                "then": {"properties": {"gates": {"$ref": f"{_REF}Gates.{kind}"}}},
            }
        )
    for name in _BY_KIND:
        del whole["$defs"][name]
    whole["properties"]["gates"] = {"description": whole["$defs"][f"Gates.{targets.KINDS.default}"]["description"]}
    whole["allOf"] = limits
    return {"$schema": DIALECT} | whole


def as_text(value: dict[str, Any]) -> str:
    """The schema as it stands in a file."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def of_model(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """The schema of one model, whose limits are those of one kind of target."""
    made = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    made.setdefault("$defs", {})
    for definition in (made, *made["$defs"].values()):
        definition.pop("title", None)
    for part in list(_parts(made)):
        if isinstance(part.get("default"), dict):
            del part["default"]  # that of each key below says the same
        _allow_variables(part)
    for part in list(_parts(made)):
        if _FIELD in part:
            _tell_apart(part, made["$defs"])
    made["$defs"]["Variable"] = _VARIABLE
    return made


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a schema, those below first."""
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(below)
    if isinstance(value, dict):
        yield value


def _tell_apart(union: dict[str, Any], definitions: dict[str, Any]) -> None:
    """The section is of the kind that it names, or of the default one; editors then complain of one kind only."""
    field, default = union.pop(_FIELD), union.pop(_DEFAULT)
    members = [member for member in union.pop("oneOf") if "$ref" in member]
    kinds = {definitions[one["$ref"].removeprefix(_REF)]["properties"][field]["const"]: one for one in members}
    or_null = union.pop(_OR_NULL)
    union["type"] = ["object", "null"] if or_null else "object"
    union["properties"] = {field: {"enum": list(kinds)}}
    if default not in kinds:
        union["required"] = [field]
    union["allOf"] = []
    for kind, one in kinds.items():
        given = {"required": [field]} if kind != default else {}
        # Of the default kind, an editor shall propose the keys where nothing is written yet.
        section = {"type": "object"} if given or or_null else {}
        union["allOf"].append({"if": {**section, "properties": {field: {"const": kind}}, **given}, "then": one})


def _allow_variables(part: dict[str, Any]) -> None:
    """A number, a choice or a patterned text may be given as `${NAME}` too."""
    for key, below in part.items():
        if key in ("properties", "patternProperties", "$defs") and isinstance(below, dict):
            part[key] = {name: _or_variable(value) for name, value in below.items()}
        elif key in ("items", "additionalProperties") and isinstance(below, dict):
            part[key] = _or_variable(below)
        elif key == "prefixItems":
            part[key] = [_or_variable(value) for value in below]


def _or_variable(value: Any) -> Any:
    """The same schema with the alternative, where the value is one that only some texts are."""
    variable = {"$ref": f"{_REF}Variable"}
    if not isinstance(value, dict):
        return value
    if any(map(_is_limited, value.get("anyOf", ()))):
        return value | {"anyOf": [*value["anyOf"], variable]}
    if not _is_limited(value):
        return value
    told = {key: value[key] for key in ("description", "default") if key in value}
    return {**told, "anyOf": [{key: value[key] for key in value if key not in told}, variable]}


def _is_limited(value: dict[str, Any]) -> bool:
    scalar = value.get("type") in ("integer", "number", "boolean")
    return scalar or "enum" in value or (value.get("type") == "string" and "pattern" in value)


def _renamed(value: Any, kind: str) -> Any:
    """The same schema, which points at the definitions of this kind."""
    if isinstance(value, dict):
        ours = {f"{_REF}{name}": f"{_REF}{name}.{kind}" for name in _BY_KIND}
        return {key: ours.get(below, below) if key == "$ref" else _renamed(below, kind) for key, below in value.items()}
    return [_renamed(one, kind) for one in value] if isinstance(value, list) else value


def _is_kind(kind: str) -> dict[str, Any]:
    return {"properties": {"kind": {"const": kind}}, **_needs("kind", kind)}


def _needs(key: str, kind: str) -> dict[str, Any]:
    """The default kind is that of a configuration without the section or the key, too."""
    return {} if kind == targets.KINDS.default else {"required": [key]}
