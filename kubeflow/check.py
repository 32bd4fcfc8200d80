"""Whether open-source Kubeflow Pipelines would take a compiled file, and find in it all that it names."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from graft.kubeflow.condition import Condition
from graft.kubeflow.platform import check_platform
from graft.models.errors import GraftError

Json = dict[str, Any]

REFUSED_EXECUTORS = ("resolver", "customJob")
"""Kinds that the open-source compiler answers with an error (kubeflow/pipelines, argocompiler/dag.go)."""

_ARGO_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")


def check_spec(spec: Json, platform: Json | None = None) -> None:
    """Refuses what open-source Kubeflow Pipelines would refuse, or would take and then not run.

    Args:
        spec: the pipeline spec.
        platform: the platform document, if there is one.

    Raises:
        GraftError: another schema version, a field that the schema does not have, an executor Kubeflow cannot compile,
            a task without an executor, or a name of a task, an artifact or a parameter that nothing has.
    """
    if spec.get("schemaVersion") != "2.1.0":
        raise GraftError(f"schemaVersion is {spec.get('schemaVersion')!r}; open-source Kubeflow takes 2.1.0 only")
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError as error:
        raise GraftError(f"pipeline spec: {error}") from None
    executors = spec["deploymentSpec"]["executors"]
    for name, executor in executors.items():
        for kind in REFUSED_EXECUTORS:
            if kind in executor:
                raise GraftError(f"executor {name}: open-source Kubeflow cannot run a {kind}")
    _check_graph(spec, spec["root"])
    if platform is not None:
        check_platform(platform, set(executors))


def _check_graph(spec: Json, component: Json) -> None:
    """One graph, and those within."""
    tasks = component["dag"]["tasks"]
    given = component.get("inputDefinitions", {}).get("parameters", {})
    executors = spec["deploymentSpec"]["executors"]
    for name, task in tasks.items():
        if not _ARGO_NAME.fullmatch(name):
            raise GraftError(f"task {name!r}: Argo allows letters, digits and '-' only")
        if unknown := sorted(set(task.get("dependentTasks", ())) - set(tasks)):
            raise GraftError(f"task {name}: depends on {', '.join(unknown)}, which is no task")
        if "condition" in task.get("triggerPolicy", {}):
            _check_condition(name, task)
        kind = task["componentRef"]["name"]
        held = spec["components"].get(kind, {})
        if "dag" in held:
            _check_graph(spec, held)
        elif (label := held.get("executorLabel")) not in executors:
            raise GraftError(f"task {name}: component {kind} has no executor ({label!r})")
    for name, task in tasks.items():
        _check_inputs(spec, name, task, spec["components"][_component_of(task)], tasks, given)


def _check_condition(name: str, task: Json) -> None:
    """It can be evaluated, and reads inputs of the task only, as the driver does."""
    try:
        condition = Condition(task["triggerPolicy"]["condition"])
    except GraftError as error:
        raise GraftError(f"task {name}: {error}") from error
    if unknown := sorted(condition.parameters - set(task.get("inputs", {}).get("parameters", {}))):
        raise GraftError(f"task {name}: its condition reads {unknown[0]}, which is no parameter that the task is given")


def _check_inputs(
    spec: Json, name: str, task: Json, component: Json, tasks: Mapping[str, Json], given: Mapping[str, Json]
) -> None:
    """Each input is one of the component, comes from what is there, and none is missing."""
    inputs = task.get("inputs", {})
    for kind in ("artifacts", "parameters"):
        defined = component.get("inputDefinitions", {}).get(kind, {})
        held = inputs.get(kind, {})
        if unknown := sorted(set(held) - set(defined)):
            raise GraftError(f"task {name}: {unknown[0]} is none of the {kind} of component {_component_of(task)}")
        needed = {key for key, one in defined.items() if not one.get("isOptional")}
        if missing := sorted(needed - set(held)):
            raise GraftError(f"task {name}: {missing[0]} of component {_component_of(task)} is not given")
    for key, source in inputs.get("parameters", {}).items():
        parameter = source.get("componentInputParameter")
        if parameter is not None and parameter not in given:
            raise GraftError(f"task {name}, parameter {key}: {parameter} is no parameter of the pipeline")
    for key, producer, output in _produced(inputs):
        if producer not in tasks:
            raise GraftError(f"task {name}, input {key}: comes from {producer}, which is no task")
        if producer not in task.get("dependentTasks", ()):
            raise GraftError(f"task {name}, input {key}: comes from {producer}, for which the task does not wait")
        made = spec["components"].get(_component_of(tasks[producer]), {}).get("outputDefinitions", {})
        if output not in made.get("artifacts", {}):
            raise GraftError(f"task {name}, input {key}: {output} is no output of {producer}")


def _produced(inputs: Json) -> Iterator[tuple[str, str, str]]:
    for key, source in inputs.get("artifacts", {}).items():
        if found := source.get("taskOutputArtifact"):
            yield key, found["producerTask"], found["outputArtifactKey"]


def _component_of(task: Json) -> str:
    """Of a task's component."""
    name: str = task["componentRef"]["name"]
    return name
