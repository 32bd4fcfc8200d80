"""One YAML file a pipeline: its schema, its defaults, and errors that name the file, the key and what is allowed."""

import os
import pathlib
import re
from typing import Annotated, Any, Literal

import pydantic
import yaml

from graft.components.ingest.options import DataOptions
from graft.models.errors import GraftError
from graft.models.gap import LEAST_SEEDS
from graft.models.options import BackboneOptions, ExportOptions, HeadOptions, TrainOptions
from graft.models.transfer import METHODS, check_options, method_options
from graft.pipeline import config_yaml
from graft.pipeline.config_faults import explain, shown

Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
_MOST_TEXT = 1000
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class ConfigError(GraftError):
    """A configuration that cannot be used; one line for each fault."""


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", protected_namespaces=())


class SliceFloors(_Section):
    """Floors that must hold in every slice of a column."""

    accuracy: Fraction | None = pydantic.Field(None, description="Least accuracy in each slice.")
    macro_f1: Fraction | None = pydantic.Field(None, description="Least macro F1 in each slice.")
    min_examples: int = pydantic.Field(10, ge=1, description="Slices with fewer test images are reported, not gated.")


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
        description="raw: the same head on raw pixels; scratch: the same network untrained.",
    )
    tolerance: float = pydantic.Field(
        0.0,
        ge=0,
        le=1,
        description="Accuracy by which transferring may fall short of a reference; what may be luck is no shortfall.",
    )


class GateOptions(_Section):
    """Floors and ceilings; a gate that is not set is not checked."""

    accuracy: Fraction | None = pydantic.Field(None, description="Least test accuracy.")
    macro_f1: Fraction | None = pydantic.Field(None, description="Least unweighted mean of the classes' F1.")
    precision: Fraction | dict[str, Fraction] | None = pydantic.Field(
        None, description="Least precision of every class, or a mapping from class to floor."
    )
    recall: Fraction | dict[str, Fraction] | None = pydantic.Field(
        None, description="Least recall of every class, or a mapping from class to floor."
    )
    calibration_error: Fraction | None = pydantic.Field(
        None,
        description="Largest expected calibration error (15 equal-width bins, Guo et al. ICML 2017), beyond chance.",
    )
    slices: dict[str, SliceFloors] = pydantic.Field(
        {}, description="Floors by column of `data.slices`; each slice must hold them."
    )
    baseline_tolerance: Fraction | None = pydantic.Field(
        0.02,
        description="Accuracy the candidate may lose against the served model, on the test images of the classes both "
        "know; a loss that may be luck (5 % false alarms) is none. Null: no gate.",
    )
    baseline: Literal["served", "best"] = pydantic.Field(
        "served",
        description="`best` compares with the best version so far too: push after push may lose the tolerance.",
    )
    classes: Literal["same", "grow", "any"] = pydantic.Field(
        "same",
        description="How the list of classes may differ from the served model's: not, by new ones, or in any way.",
    )
    model_size_mb: float | None = pydantic.Field(None, gt=0, description="Largest exported model, MB (10^6 bytes).")
    latency_ms: float | None = pydantic.Field(
        None, gt=0, description="Largest median time of a one-image gRPC Predict in the serving check, milliseconds."
    )
    negative_transfer: NegativeTransferOptions | None = pydantic.Field(
        None, description="The negative-transfer gate; null: not compared."
    )


class ServingCheckOptions(_Section):
    """The check of the candidate behind a real server."""

    examples: int = pydantic.Field(32, ge=1, le=1000, description="Test images sent over gRPC.")
    tolerance: float = pydantic.Field(
        1e-4, gt=0, description="Largest difference of a probability from the in-process one."
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
    data: DataOptions
    backbone: BackboneOptions
    head: HeadOptions = HeadOptions()
    transfer: dict[str, Any] = pydantic.Field(
        {"method": "frozen"}, description=f"The transfer `method` ({', '.join(METHODS)}) and its own options."
    )
    train: TrainOptions = TrainOptions()
    export: ExportOptions = ExportOptions()
    gates: GateOptions = GateOptions()
    serving_check: ServingCheckOptions = ServingCheckOptions()
    push: PushOptions = PushOptions()
    store: str = pydantic.Field("runs/store", description="Folder of the model store.")
    root: str = pydantic.Field("runs", description="Folder of metadata, artifacts, checkpoints and reports.")

    @pydantic.model_validator(mode="after")
    def _slices_known(self) -> "Config":
        unknown = set(self.gates.slices) - set(self.data.slices)
        if unknown:
            known = ", ".join(self.data.slices) or "empty"
            raise ValueError(f"gates.slices: {', '.join(sorted(unknown))} not in data.slices ({known})")
        return self

    @property
    def run_root(self) -> pathlib.Path:
        """Folder of this pipeline's metadata, artifacts, checkpoints and reports."""
        return pathlib.Path(self.root) / self.name


def load(path: str | os.PathLike, overrides: list[str] | None = None) -> Config:
    """Reads, overrides, expands and checks a configuration.

    Args:
        path: YAML file.
        overrides: `key.sub=value` strings; the value is read as YAML.

    Raises:
        ConfigError: the file cannot be read, or a key, a type or a value is wrong; the message has a line for each.
    """
    try:
        text = config_yaml.read_text(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `graft init` writes a configuration to start from") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 YAML: {error}") from None
    try:
        raw = config_yaml.parse(text)
    except (yaml.YAMLError, ValueError) as error:  # a ValueError from a date that is none
        raise ConfigError(f"{path}: not valid YAML: {_line(error)}") from None
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path}: must be a mapping of keys ({', '.join(Config.model_fields)}), got {type(raw).__name__}"
        )
    for override in overrides or []:
        _override(raw, override)
    return parse(_expand(raw, str(path), ""), str(path))


def parse(raw: dict, source: str) -> Config:
    """Checks a mapping against the schema; `source` is named in errors."""
    faults: list[str] = []
    transfer = raw.get("transfer", {"method": "frozen"})
    if not isinstance(transfer, dict) or "method" not in transfer:
        faults.append(
            f"transfer: must be a mapping with `method`, one of {', '.join(METHODS)}; received {shown(transfer)}"
        )
    else:
        method, given = str(transfer["method"]), {k: v for k, v in transfer.items() if k != "method"}
        try:
            options = method_options(method)
            raw = {**raw, "transfer": {"method": method, **options.model_validate(given).model_dump()}}
        except pydantic.ValidationError as error:
            faults.extend(explain(error, options, given, "transfer."))
        except GraftError as error:
            faults.append(str(error))
    # What is wrong with the transfer section is known by now; a default in its place lets the others be looked at.
    checked = {**raw, "transfer": {"method": "frozen"}} if faults else raw
    try:
        config = Config.model_validate(checked)
        if not faults:
            check_options(config.transfer["method"], config.train, config.head)
    except pydantic.ValidationError as error:
        faults.extend(explain(error, Config, checked))
    except GraftError as error:
        faults.append(str(error))
    if faults:
        raise ConfigError(*(f"{source}: {fault}" for fault in faults))
    return config


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
        raise ConfigError(f"--set {override!r}: the value is not valid YAML: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:_MOST_TEXT]


def _expand(value: Any, source: str, key: str) -> Any:
    if isinstance(value, dict):
        return {k: _expand(v, source, f"{key}.{k}" if key else str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, source, f"{key}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(f"{source}: {key}: environment variable {name} is not set (in {shown(value)})")
        return os.environ[name]

    return _VARIABLE.sub(variable, value)
