"""One YAML file a pipeline: its schema, its defaults, and errors that name the file, the key and what is allowed."""

import functools
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pydantic
import yaml

from graft.components.ingest import sources
from graft.components.ingest.request import Request, make_request
from graft.models import inputs, targets
from graft.models.errors import GraftError, one_line
from graft.models.gap import LEAST_SEEDS
from graft.models.options import BackboneOptions, ExportOptions, HeadOptions, TrainOptions
from graft.models.text import located
from graft.models.transfer import METHODS, adapts, check_options, takes_unlabelled
from graft.pipeline import config_yaml, sections
from graft.pipeline.config_faults import explain, shown
from graft.pipeline.config_moved import move

Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
_MOST_TEXT = 1000
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class ConfigError(GraftError):
    """A configuration that cannot be used; one line for each fault."""


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", protected_namespaces=())


class SliceFloors(_Section):
    """Limits that must hold in every slice of a column."""

    min_examples: int = pydantic.Field(10, ge=1, description="Slices with fewer test examples are reported, not gated.")


class NegativeTransferOptions(_Section):
    """Compare with not transferring: the same head on raw inputs, the same network from scratch."""

    seeds: int = pydantic.Field(
        5,
        ge=LEAST_SEEDS,
        le=20,
        description="Trainings of each kind. On small test splits 5 tell a gap of 10 points more often than not, 3 "
        "mostly miss it (docs/figures.md).",
    )
    references: list[Literal["raw", "scratch"]] = pydantic.Field(
        ["raw", "scratch"],
        min_length=1,
        description="raw: the same head on raw inputs; scratch: the same network untrained.",
    )
    tolerance: float = pydantic.Field(
        0.0,
        ge=0,
        le=1,
        description="How far transferring may fall short of a reference, in the mean score of an example (share of "
        "right labels, F1, standard deviations of a number); what may be luck is no shortfall.",
    )


class GateOptions(_Section):
    """Floors and ceilings; a gate that is not set is not checked. The figures' own limits are the target's."""

    slices: dict[str, SliceFloors] = pydantic.Field(
        {}, description="Limits by column of `data.slices`; each slice must hold them."
    )
    baseline: Literal["served", "best"] = pydantic.Field(
        "served",
        description="`best` compares with the best version so far too: push after push may lose the tolerance.",
    )
    model_size_mb: float | None = pydantic.Field(None, gt=0, description="Largest exported model, MB (10^6 bytes).")
    latency_ms: float | None = pydantic.Field(
        None,
        gt=0,
        description="Largest median time of a gRPC Predict of one example in the serving check, milliseconds.",
    )
    negative_transfer: NegativeTransferOptions | None = pydantic.Field(
        None, description="The negative-transfer gate; null: not compared."
    )


class ServingCheckOptions(_Section):
    """The check of the candidate behind a real server."""

    examples: int = pydantic.Field(32, ge=1, le=1000, description="Test examples sent over gRPC.")
    tolerance: float = pydantic.Field(
        1e-4,
        gt=0,
        description="Largest difference of an answer from the in-process one: absolute for labels, in standard "
        "deviations for numbers.",
    )


class PushOptions(_Section):
    """Retention in the model store."""

    keep: int = pydantic.Field(
        5, ge=2, description="Versions kept in the store; the served one and its predecessor always are."
    )


class Config(_Section):
    """A pipeline. Relative paths start at the working directory; `${NAME}` expands to the environment variable."""

    name: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = pydantic.Field(
        description="Name of the pipeline and of the served model."
    )
    data: sources.REGISTRY.union() = pydantic.Field(  # type: ignore[valid-type]
        description="Where the examples come from, how they are split and what is refused."
    )
    input: inputs.KINDS.union() = pydantic.Field(  # type: ignore[valid-type]
        inputs.KINDS.options(str(inputs.KINDS.default))(),
        description="What the data is made of, and what the backbone expects of it.",
    )
    target: targets.KINDS.union() = pydantic.Field(  # type: ignore[valid-type]
        targets.KINDS.options(str(targets.KINDS.default))(), description="What is predicted."
    )
    backbone: BackboneOptions
    head: HeadOptions = HeadOptions()
    transfer: METHODS.union() = pydantic.Field(  # type: ignore[valid-type]
        METHODS.options(str(METHODS.default))(), description="How the backbone is used, and what of it moves."
    )
    train: TrainOptions = TrainOptions()
    export: ExportOptions = ExportOptions()
    gates: GateOptions = GateOptions()
    serving_check: ServingCheckOptions = ServingCheckOptions()
    push: PushOptions = PushOptions()
    store: str = pydantic.Field(
        "runs/store",
        description="The model store: a folder, or `s3://BUCKET/PREFIX` (docs/serving.md).",
    )
    root: str = pydantic.Field("runs", description="Folder of metadata, artifacts, checkpoints and reports.")

    @pydantic.model_validator(mode="after")
    def _request_possible(self) -> "Config":
        try:
            self.request()
        except GraftError as error:
            raise ValueError(str(error)) from error
        return self

    def request(self) -> Request:
        """What is asked of ingestion."""
        return make_request(
            self.data,
            self.input,
            self.target,
            adapts=adapts(self.transfer),
            unlabelled=takes_unlabelled(self.transfer),
        )

    @pydantic.model_validator(mode="after")
    def _slices_known(self) -> "Config":
        unknown = set(self.gates.slices) - set(self.data.slices)
        if unknown:
            known = ", ".join(self.data.slices) or "empty"
            raise ValueError(f"gates.slices: {', '.join(sorted(unknown))} not in data.slices ({known})")
        return self

    def of_the_run(self) -> dict[str, Any]:
        """What decides the outcome of a run, as JSON types: all but the sections of the layers above."""
        return self.model_dump(mode="json", by_alias=True, exclude=sections.names(self, Config))

    @property
    def run_root(self) -> pathlib.Path:
        """Folder of this pipeline's metadata, artifacts, checkpoints and reports."""
        return pathlib.Path(self.root) / self.name


@functools.cache
def schema(target: str) -> type[Config]:
    """The configuration for a kind of target: `gates` then holds the limits on that target's figures.

    Sections of the layers above are there too; see `pipeline.sections`.

    Args:
        target: a name of `models.targets.KINDS`.

    Raises:
        GraftError: there is no such kind, or a package registered a section that cannot be taken.
    """
    module = targets.KINDS.module(target)
    floors = pydantic.create_model(
        "SliceFloors", __base__=(SliceFloors, module.SliceGates), __doc__=SliceFloors.__doc__
    )
    columns = GateOptions.model_fields["slices"]
    gates = pydantic.create_model(
        "Gates",
        __base__=(GateOptions, module.Gates),
        __doc__=GateOptions.__doc__,
        slices=(dict[str, floors], pydantic.Field({}, description=columns.description)),  # type: ignore[valid-type]
    )
    config = pydantic.create_model("Config", __base__=Config, __doc__=Config.__doc__, gates=(gates, gates()))
    return sections.extended(config)


def load(path: str | os.PathLike, overrides: list[str] | None = None) -> Config:
    """Reads, overrides, expands and checks a configuration.

    Args:
        path: YAML file.
        overrides: `key.sub=value` strings; the value is read as YAML.

    Raises:
        ConfigError: the file cannot be read, or a key, a type or a value is wrong; the message has a line for each.
    """
    return parse(expand(read(path, overrides), str(path)), str(path))


def read(path: str | os.PathLike, overrides: list[str] | None = None) -> dict:
    """The mapping that a configuration file holds, overridden, its variables not expanded, unchecked.

    Raises:
        ConfigError: the file cannot be read as one.
    """
    try:
        text = config_yaml.read_text(path)
    except FileNotFoundError:
        raise ConfigError(f"{located(path)}: no such file; `graft init` writes a configuration to start from") from None
    except OSError as error:
        raise ConfigError(f"{located(path)}: {error.strerror or error}; it must be a YAML file") from None
    except ValueError as error:
        raise ConfigError(f"{located(path)}: cannot be read as UTF-8 YAML: {error}") from None
    try:
        raw = config_yaml.parse(text)
    except (yaml.YAMLError, ValueError) as error:  # a ValueError from a date that is none
        raise ConfigError(f"{path}: not valid YAML: {one_line(error, _MOST_TEXT)}") from None
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path}: must be a mapping of keys ({', '.join(Config.model_fields)}), got {type(raw).__name__}"
        )
    return override(raw, overrides or [])


def override(raw: dict, overrides: Sequence[str]) -> dict:
    """The same mapping with keys replaced. Raises ConfigError for an override that is none."""
    for one in overrides:
        _override(raw, one)
    return raw


def parse(raw: dict, source: str) -> Config:
    """Checks a mapping against the schema; `source` is named in errors."""
    raw, faults = move(raw, source)
    model = schema(_target_of(raw))
    try:
        config = model.model_validate(raw)
        check_options(config.transfer, config.head, inputs.make_input(config.input), config.target)
    except pydantic.ValidationError as error:
        faults.extend(explain(error, model, raw))
    except GraftError as error:
        faults.append(str(error))
    if faults:
        raise ConfigError(*(f"{source}: {fault}" for fault in faults))
    return config


def _target_of(raw: dict) -> str:
    """The kind of target; the default one where the section is wrong, which the schema will say."""
    section = raw.get("target")
    kind = section.get("kind") if isinstance(section, dict) else None
    return kind if isinstance(kind, str) and kind in targets.KINDS else str(targets.KINDS.default)


def _override(raw: dict, override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override!r}: must be key=value, for instance train.epochs=5")
    *parents, last = key.strip().split(".")
    node = raw
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override!r}: {parent} holds {shown(child)}, not a mapping")
        node = child
    try:
        node[last] = config_yaml.parse(value)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {override!r}: the value is not valid YAML: {one_line(error, _MOST_TEXT)}") from None


def expand(value: Any, source: str, key: str = "", unset: set[str] | None = None) -> Any:
    """A value of YAML with `${NAME}` replaced in every text of it.

    Args:
        value: JSON types.
        source: named in errors.
        key: of the value, for errors.
        unset: gets the names of variables that are not set, which stay as they are written; None: they are faults.

    Raises:
        ConfigError: an environment variable is not set, and `unset` is None.
    """
    if isinstance(value, dict):
        return {k: expand(v, source, f"{key}.{k}" if key else str(k), unset) for k, v in value.items()}
    if isinstance(value, list):
        return [expand(v, source, f"{key}[{i}]", unset) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match) -> str:
        name = match.group(1)
        if name not in os.environ:
            if unset is not None:
                unset.add(name)
                return match.group(0)
            raise ConfigError(f"{source}: {key}: environment variable {name} is not set (in {shown(value)})")
        return os.environ[name]

    return _VARIABLE.sub(variable, value)
