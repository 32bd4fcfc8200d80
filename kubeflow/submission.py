"""What is sent to make a run: the compiled file, and a value for each of its parameters."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from graft.kubeflow import parameters
from graft.kubeflow.stand_in import read_documents
from graft.models.errors import GraftError
from graft.pipeline.config import Config

SCHEDULED = "[[ScheduledTime]]"
"""Kubeflow replaces it, in a parameter of a recurring run, by the time the run was due (parameter_formatter.go)."""

_ADVICE = "where it cannot be read from here, give --parameter {}=TEXT"
_NUMBERS = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float}

Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Package:
    """A compiled file as the API takes it."""

    name: str
    """Of the pipeline."""
    spec: Json
    """Value of `pipeline_spec`: the pipeline spec alone, or with the platform document beside it."""
    parameters: Mapping[str, Json]
    """What the spec says of each parameter of a run, by its name."""
    root: str
    """Root of the artifacts. Kubeflow does not look at the one in the file, so each run is given it."""


def read_package(path: pathlib.Path) -> Package:
    """Reads a file that `graft kubeflow compile` wrote.

    Raises:
        GraftError: it cannot be read, or is none that open-source Kubeflow takes.
    """
    documents = read_documents(path)
    spec = documents[0]
    whole = spec if len(documents) == 1 else {"pipeline_spec": spec, "platform_spec": documents[1]}
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return Package(spec["pipelineInfo"]["name"], whole, declared, spec.get("defaultPipelineRoot", ""))


def given(pairs: Sequence[str]) -> dict[str, str]:
    """Values of the command line, `NAME=VALUE` each.

    Raises:
        GraftError: one has another form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise GraftError(f"--parameter: received {pair!r}; allowed: NAME=VALUE")
        if name in found:
            raise GraftError(f"--parameter {name}: given twice; leave out one of the two")
        found[name] = value
    return found


def values_now(config: Config, package: Package, own: Mapping[str, str]) -> Json:
    """A value for each parameter of a run that starts now.

    Every parameter gets one, also those with a default: Kubeflow up to 2.17 leaves out defaults in some places.

    Args:
        config: of the pipeline.
        package: what is run.
        own: values that go before those that are computed.

    Raises:
        GraftError: data, backbone or teacher cannot be read from here and `own` does not say what they are, a
            parameter has no value, or `own` names one that the file has not.
    """
    wanted = _wanted(package, own)
    if parameters.DATA in own or parameters.DATA not in package.parameters:
        found = _without_data(config, wanted)
    else:
        if wanted:
            from graft.pipeline import settling

            config = settling.settle_known(config, "a submission")  # no fault of the data
        try:
            found = parameters.computed(config) if wanted else {}
        except GraftError as error:
            _without_data(config, wanted)  # says so if it was not the data
            raise GraftError(f"{error}; {_ADVICE.format(parameters.DATA)}") from error
    return _complete(package, found, own)


def values_scheduled(config: Config, package: Package, own: Mapping[str, str]) -> Json:
    """A value for each parameter of the runs of a schedule.

    Nothing is computed when such a run starts, so its fingerprint of the data is the time it was due: each run looks at
    the data anew, and a retry of it takes what it has computed from the cache. Code and backbone are those of now.

    Args:
        config: of the pipeline.
        package: what is run.
        own: values that go before those.

    Raises:
        GraftError: as `values_now` says.
    """
    wanted = _wanted(package, own)
    return _complete(package, {parameters.DATA: SCHEDULED, **_without_data(config, wanted)}, own)


def _wanted(package: Package, own: Mapping[str, str]) -> list[str]:
    """Names of what is to be computed."""
    for name in own:
        if name not in package.parameters:
            allowed = ", ".join(package.parameters) or "none; it has no parameters"
            raise GraftError(f"--parameter {name}: the compiled file has no such parameter; allowed: {allowed}")
    return [name for name in package.parameters if name in parameters.DESCRIPTIONS and name not in own]


def _without_data(config: Config, wanted: Sequence[str]) -> dict[str, str]:
    """The values that need no data. Without data a run has no identity, so `run_key` is empty."""
    computed = parameters.sources(config)
    found = {"run_key": ""} if "run_key" in wanted else {}
    for name in wanted:
        try:
            if name in computed:
                found[name] = computed[name]()
        except GraftError as error:
            raise GraftError(f"{error}; {_ADVICE.format(name)} (empty: the handle alone decides)") from error
    return found


def _complete(package: Package, found: Mapping[str, str], own: Mapping[str, str]) -> Json:
    """Those of `found` and `own` that the file has, with its defaults for the rest."""
    values: Json = {}
    for name, declared in package.parameters.items():
        if name in own:
            values[name] = _typed(name, own[name], declared.get("parameterType", "STRING"))
        elif name in found:
            values[name] = found[name]
        elif "defaultValue" in declared:
            values[name] = declared["defaultValue"]
        elif declared.get("isOptional"):
            continue
        else:
            raise GraftError(f"parameter {name} has no value and no default; give --parameter {name}=VALUE")
    # The time of a schedule is filled in by Kubeflow, before anything of ours sees it.
    parameters.checked(
        {
            name: value
            for name, value in values.items()
            if name in parameters.DESCRIPTIONS and not (name in found and value == SCHEDULED)
        }
    )
    return values


def _typed(name: str, text: str, kind: str) -> Any:
    """A text of the command line as a value of a parameter's type in the pipeline spec."""
    if kind == "STRING":
        return text
    try:
        value = _NUMBERS[kind](text) if kind in _NUMBERS else json.loads(text)
        if kind == "BOOLEAN" and not isinstance(value, bool):
            raise ValueError
    except ValueError:
        raise GraftError(f"--parameter {name}: received {text!r}; allowed: a value of type {kind}") from None
    return value
