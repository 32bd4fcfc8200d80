"""The tasks after the stages: the report, the verdict, and word of how the run ended.

A task that fails keeps nothing of what it wrote. So where a report is wanted a closed gate lets the tasks between it
and the report end well, with nothing done; the report is written, and the verdict ends the run with the gate's words.
Only the gate on the data ends a run without a report: all that learns comes after it.
"""

import json
from typing import Any

from graft.kubeflow import parameters, tasks
from graft.kubeflow.options import KubeflowOptions, PodOptions
from graft.pipeline import stages
from graft.pipeline.config import Config

Json = dict[str, Any]

REPORT, VERDICT, NOTIFY, GRAPH = "report", "verdict", "notify", "graph"
GIVEN = "given"
"""Input of the report: parameters of the stages."""
BETWEEN = "__"
"""Between the name of a stage and that of its output, in the name of an input of the report."""

_VERSION = "0.0.1"


def add_report(spec: Json, config: Config, options: KubeflowOptions, names: dict[str, str]) -> None:
    """Adds report and verdict after all other tasks, in place.

    Args:
        spec: the pipeline spec.
        config: of the pipeline; stands in the task as it is.
        options: the section `kubeflow`.
        names: name of the task of each stage.
    """
    dag = spec["root"]["dag"]["tasks"]
    artifacts, kinds = {}, {}
    for stage in stages.enabled(config):
        component = spec["components"][dag[names[stage.name]]["componentRef"]["name"]]
        for output in dict.fromkeys((*stage.shown, *([stage.gate] if stage.gate else []))):
            key = f"{stage.name}{BETWEEN}{output}"
            artifacts[key] = {"taskOutputArtifact": {"producerTask": names[stage.name], "outputArtifactKey": output}}
            kinds[key] = {"artifactType": component["outputDefinitions"]["artifacts"][output]["artifactType"]}
    outputs = {"report": "HTML", "card": "Markdown", "metrics": "Metrics", "run": "Artifact", "lineage": "Artifact"}
    task = {
        "componentRef": {"name": REPORT},
        "taskInfo": {"name": REPORT},
        "dependentTasks": sorted(dag),
        "inputs": {
            "artifacts": artifacts,
            "parameters": {
                "config": {"runtimeValue": {"constant": config.model_dump_json(by_alias=True)}},
                GIVEN: {"runtimeValue": {"constant": _given(dag, names)}},
            },
        },
    }
    component = {
        "executorLabel": f"{REPORT}_executor",
        "inputDefinitions": {
            "artifacts": kinds,
            "parameters": {name: {"parameterType": "STRING"} for name in ("config", GIVEN)},
        },
        "outputDefinitions": {
            "artifacts": {
                name: {"artifactType": {"schemaTitle": f"system.{kind}", "schemaVersion": _VERSION}}
                for name, kind in outputs.items()
            }
        },
    }
    pod = PodOptions.model_validate(options.pods.model_dump(exclude_unset=True))
    named = set(spec["root"].get("inputDefinitions", {}).get("parameters", {})) | {parameters.RUN}
    tasks.connect(spec, task, component, named)
    _add(spec, dag, REPORT, task, component, "graft.kubeflow.report", pod, options)
    closing = {
        "componentRef": {"name": VERDICT},
        "taskInfo": {"name": VERDICT},
        "dependentTasks": [REPORT],
        "inputs": {"artifacts": {"run": {"taskOutputArtifact": {"producerTask": REPORT, "outputArtifactKey": "run"}}}},
    }
    kind = component["outputDefinitions"]["artifacts"]["run"]
    component = {"executorLabel": f"{VERDICT}_executor", "inputDefinitions": {"artifacts": {"run": kind}}}
    # Nothing of it can go well the second time.
    _add(spec, dag, VERDICT, closing, component, "graft.kubeflow.verdict", PodOptions(retries=0), options)


def _given(dag: Json, names: dict[str, str]) -> str:
    """What each stage is given, by stage and name: the report finds it here and need not wire the stages with TFX."""
    found = {
        stage: {
            name: _whole(held["runtimeValue"]["constant"])
            for name, held in dag[task].get("inputs", {}).get("parameters", {}).items()
            if not name.startswith(parameters.PREFIX)
        }
        for stage, task in names.items()
    }
    return json.dumps(found, sort_keys=True)


def _whole(value: Any) -> Any:
    """A number as its stage has it: the spec knows fractions only."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def add_notify(spec: Json, options: KubeflowOptions) -> None:
    """Puts all tasks into a graph of their own, after which a task tells how it ended, however it did; in place.

    An exit task of open-source Kubeflow follows one task, and gets no artifacts.
    """
    assert options.notify is not None
    given = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    inside = {"dag": spec["root"]["dag"]}
    whole: Json = {"componentRef": {"name": GRAPH}, "taskInfo": {"name": GRAPH}}
    if given:
        # What is not passed on dangles in there.
        inside["inputDefinitions"] = {"parameters": {name: {"parameterType": "STRING"} for name in given}}
        whole["inputs"] = {"parameters": {name: {"componentInputParameter": name} for name in given}}
    spec["components"][GRAPH] = inside
    held = {
        "status": {"taskFinalStatus": {"producerTask": GRAPH}},
        "run": {"runtimeValue": {"constant": "{{$.pipeline_job_name}}"}},
        "id": {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}},
        "settings": {"runtimeValue": {"constant": json.dumps(options.notify.model_dump(), sort_keys=True)}},
        "pipeline": {"runtimeValue": {"constant": spec["pipelineInfo"]["name"]}},
    }
    kinds: Json = {name: {"parameterType": "STRING"} for name in held}
    kinds["status"] = {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}
    task = {
        "componentRef": {"name": NOTIFY},
        "taskInfo": {"name": NOTIFY},
        "dependentTasks": [GRAPH],
        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
        "inputs": {"parameters": held},
    }
    component = {"executorLabel": f"{NOTIFY}_executor", "inputDefinitions": {"parameters": kinds}}
    dag: Json = {GRAPH: whole}
    _add(spec, dag, NOTIFY, task, component, "graft.kubeflow.notify", PodOptions(retries=2), options)
    spec["root"]["dag"] = {"tasks": dag}


def _add(
    spec: Json,
    dag: Json,
    name: str,
    task: Json,
    component: Json,
    module: str,
    pod: PodOptions,
    options: KubeflowOptions,
) -> None:
    tasks.manage(task, pod, cache=False)
    container: Json = {"image": options.image, "command": ["python", "-m", module], "args": ["{{$}}"]}
    tasks.equip(container, pod, options)
    dag[name] = task
    spec["components"][name] = component
    spec["deploymentSpec"]["executors"][component["executorLabel"]] = {"container": container}
