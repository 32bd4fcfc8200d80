"""What the tasks of a compiled file need beyond what TFX writes: parameters, cache, retries, resources, variables."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.kubeflow import jobs, parameters
from graft.kubeflow.options import KubeflowOptions, PodOptions, bytes_of
from graft.pipeline.stages.base import Stage

Json = dict[str, Any]

_RETRY_WINDOW_S = 7 * 24 * 3600
"""Within which a task is tried again: without a largest backoff open-source Kubeflow never does, and the time counts
from the start of the first attempt (kubeflow/pipelines, argocompiler/container.go)."""

DEFER = "--defer_closed_gates"
"""Option of the entrypoint: a closed gate is no error of this task, for the verdict after the report says it."""

_RUN = "{{$.pipeline_job_uuid}}"
"""In whose place Kubeflow's driver puts the id of the run."""


def dress(
    spec: Json, stage: Stage, names: Mapping[str, str], before: Sequence[Stage], options: KubeflowOptions
) -> None:
    """Completes the task of a stage in place.

    Args:
        spec: the pipeline spec.
        stage: the stage.
        names: name of the task of each stage.
        before: the stages before it.
        options: the section `kubeflow`.
    """
    task, pod = spec["root"]["dag"]["tasks"][names[stage.name]], options.task(stage.name)
    component = spec["components"][task["componentRef"]["name"]]
    held = task.setdefault("inputs", {}).setdefault("parameters", {})
    named = {found for given in held.values() for found in parameters.marks(given["runtimeValue"]["constant"])}
    if "schema_file" in held:
        named.add(parameters.SCHEMA)
    if stage.looks_up:
        named.add(parameters.RUN)
    if (workers := options.pod(stage.name)).workers > 1:
        jobs.assign(held, workers, options)
    connect(spec, task, component, named)
    manage(task, pod, pod.cache and not stage.looks_up)
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    equip(container, pod, options)
    if stage.accepts_blessed_only:
        for earlier in before:
            if earlier.gate is not None:
                _hold_against(spec, task, component, names[earlier.name], earlier)
        if options.report:
            container["args"].append(DEFER)


def _hold_against(spec: Json, task: Json, component: Json, producer: str, earlier: Stage) -> None:
    """Gives a task the verdict of an earlier stage, at which the entrypoint looks before all else.

    A local run stops at a gate. Here only a task that takes the verdict as an input does.
    """
    key = parameters.GATE + earlier.name
    made = spec["components"][spec["root"]["dag"]["tasks"][producer]["componentRef"]["name"]]["outputDefinitions"]
    kind = made["artifacts"][earlier.gate]["artifactType"]
    component["inputDefinitions"].setdefault("artifacts", {})[key] = {"artifactType": kind}
    source = {"producerTask": producer, "outputArtifactKey": earlier.gate}
    task["inputs"].setdefault("artifacts", {})[key] = {"taskOutputArtifact": source}
    task["dependentTasks"] = sorted({*task.get("dependentTasks", ()), producer})


def connect(spec: Json, task: Json, component: Json, names: set[str]) -> None:
    """Gives a task parameters of the run as inputs, and the pipeline parameters of that name."""
    defined = component.setdefault("inputDefinitions", {}).setdefault("parameters", {})
    held = task.setdefault("inputs", {}).setdefault("parameters", {})
    for name in sorted(names):
        defined[parameters.PREFIX + name] = {"parameterType": "STRING"}
        if name == parameters.RUN:
            held[parameters.PREFIX + name] = {"runtimeValue": {"constant": _RUN}}
            continue
        held[parameters.PREFIX + name] = {"componentInputParameter": name}
        of_pipeline = spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})
        of_pipeline[name] = {"parameterType": "STRING", "description": parameters.DESCRIPTIONS[name]}
        if name not in parameters.REQUIRED:
            # Without `isOptional` a default is not taken.
            of_pipeline[name] |= {"defaultValue": "", "isOptional": True}


def manage(task: Json, pod: PodOptions, cache: bool) -> None:
    """Sets cache and retries of a task."""
    task["cachingOptions"] = {"enableCache": True} if cache else {}
    if pod.retries:
        task["retryPolicy"] = {
            "maxRetryCount": pod.retries,
            "backoffDuration": f"{pod.backoff_seconds}s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": f"{_RETRY_WINDOW_S}s",
        }


def equip(container: Json, pod: PodOptions, options: KubeflowOptions) -> None:
    """Sets resources and variables of a container; resources twice, for servers before and after 2.4."""
    resources: Json = {}
    if pod.cpu is not None:
        resources |= {"cpuLimit": pod.cpu, "cpuRequest": pod.cpu}
        resources |= {"resourceCpuLimit": f"{pod.cpu:g}", "resourceCpuRequest": f"{pod.cpu:g}"}
    if pod.memory is not None:
        gigabytes = bytes_of(pod.memory) / 1e9
        resources |= {"memoryLimit": gigabytes, "memoryRequest": gigabytes}
        resources |= {"resourceMemoryLimit": pod.memory, "resourceMemoryRequest": pod.memory}
    if pod.gpus:
        count = str(pod.gpus)
        resources["accelerator"] = {
            "type": pod.accelerator,
            "count": count,
            "resourceType": pod.accelerator,
            "resourceCount": count,
        }
    if resources:
        container["resources"] = resources
    if options.env:
        container["env"] = [{"name": name, "value": value} for name, value in sorted(options.env.items())]
