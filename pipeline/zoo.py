"""The candidates of a ranking: backbones by name, of the command line or of a file."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pydantic
import yaml

from graft.models.errors import GraftError, one_line
from graft.models.options import BackboneOptions
from graft.models.text import located
from graft.pipeline import config_yaml
from graft.pipeline.config import Config, expand
from graft.pipeline.config_faults import explain, shown


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A backbone that may be chosen.

    Attributes:
        name: for people.
        backbone: which network.
        input: what it is fed; the pipeline's own settings where the file says nothing.
        changes: the keys of section `input` that the file gives.
    """

    name: str
    backbone: BackboneOptions
    input: pydantic.BaseModel
    changes: dict[str, Any]

    def given(self, raw: dict) -> dict:
        """A configuration that uses it.

        Args:
            raw: the mapping of another configuration, which is left as it is.
        """
        backbone = self.backbone.model_dump(mode="json", exclude_defaults=True)
        found = {**raw, "backbone": backbone}
        return {**found, "input": {**(raw.get("input") or {}), **self.changes}} if self.changes else found


class Entry(BackboneOptions):
    """An entry of a zoo: a name, the keys of section `backbone`, and what differs in section `input`."""

    name: str = pydantic.Field(min_length=1)
    input: dict[str, Any] = {}


def of_handles(handles: Sequence[str], config: Config) -> list[Candidate]:
    """Candidates by their handles; the configured one keeps its other settings.

    Raises:
        GraftError: there is none, or one stands twice.
    """
    found = []
    for handle in handles:
        backbone = config.backbone if handle == config.backbone.handle else BackboneOptions(handle=handle)
        found.append(Candidate(handle, backbone, config.input, {}))
    return _checked(found, "--backbones")


def of_file(path: str, config: Config) -> list[Candidate]:
    """The candidates of a zoo, a YAML file with a list of entries (see `Entry`).

    What an entry gives below `input` must be a setting of how examples are prepared: all candidates are compared on the
    same examples.

    Raises:
        GraftError: the file cannot be read, an entry is wrong, there is none, or two are the same.
    """
    try:
        raw = config_yaml.parse(config_yaml.read_text(path))
    except FileNotFoundError:
        raise GraftError(f"--zoo {located(path)}: no such file") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise GraftError(f"--zoo {path}: cannot be read as YAML: {one_line(error, 500)}") from None
    if not isinstance(raw, list):
        raise GraftError(
            f"--zoo {path}: must be a list of entries with name and handle, got "
            f"{'nothing' if raw is None else shown(raw)}"
        )
    faults: list[str] = []
    found = []
    for place, entry in enumerate(expand(raw, f"--zoo {path}")):
        where = f"--zoo {path}: entry {place + 1}"
        try:
            found.append(_candidate(entry, config, where))
        except GraftError as error:
            faults += error.lines
    if faults:
        raise GraftError(*faults)
    return _checked(found, f"--zoo {path}")


def _candidate(raw: Any, config: Config, where: str) -> Candidate:
    if not isinstance(raw, dict):
        raise GraftError(f"{where}: must be a mapping with name and handle, got {shown(raw)}")
    try:
        entry = Entry.model_validate(raw)
    except pydantic.ValidationError as error:
        raise GraftError(*(f"{where}: {fault}" for fault in explain(error, Entry, raw))) from None
    kind = type(config.input)
    allowed = sorted(kind.PREPARES)  # type: ignore[attr-defined]
    for key in entry.input:
        if key not in allowed:
            value = shown(entry.input[key])
            raise GraftError(f"{where}: input.{key}: received {value}; allowed here: {', '.join(allowed)}")
    changed = {**config.input.model_dump(mode="json"), **entry.input}
    try:
        given = kind.model_validate(changed)
    except pydantic.ValidationError as error:
        raise GraftError(*(f"{where}: {fault}" for fault in explain(error, kind, changed, "input."))) from None
    backbone = BackboneOptions.model_validate({key: raw[key] for key in raw if key not in ("name", "input")})
    return Candidate(entry.name, backbone, given, entry.input)


def _checked(found: list[Candidate], where: str) -> list[Candidate]:
    if not found:
        raise GraftError(f"{where}: names no backbone; allowed: at least one")
    for place, one in enumerate(found):
        for other in found[:place]:
            if one.name == other.name:
                raise GraftError(f"{where}: {one.name!r} stands twice; allowed: each once")
            if (one.backbone, one.input) == (other.backbone, other.input):
                raise GraftError(f"{where}: {other.name!r} and {one.name!r} are the same backbone with the same input")
    return found
