"""Whether open-source Kubeflow Pipelines would take a compiled file."""

import re
from typing import Any

from graft.models.errors import GraftError

REFUSED_EXECUTORS = ("resolver", "customJob")
"""Kinds that the open-source compiler answers with an error (kubeflow/pipelines, argocompiler/dag.go)."""

_ARGO_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")


def check_spec(spec: dict[str, Any]) -> None:
    """Refuses what open-source Kubeflow Pipelines would refuse.

    Raises:
        GraftError: another schema version, an executor Kubeflow cannot compile, or a task without an executor.
    """
    if spec.get("schemaVersion") != "2.1.0":
        raise GraftError(f"schemaVersion is {spec.get('schemaVersion')!r}; open-source Kubeflow takes 2.1.0 only")
    executors = spec["deploymentSpec"]["executors"]
    for name, executor in executors.items():
        for kind in REFUSED_EXECUTORS:
            if kind in executor:
                raise GraftError(f"executor {name}: open-source Kubeflow cannot run a {kind}")
    tasks = spec["root"]["dag"]["tasks"]
    for name, task in tasks.items():
        if not _ARGO_NAME.fullmatch(name):
            raise GraftError(f"task {name!r}: Argo allows letters, digits and '-' only")
        unknown = set(task.get("dependentTasks", ())) - set(tasks)
        if unknown:
            raise GraftError(f"task {name}: depends on {', '.join(sorted(unknown))}, which is no task")
        component = spec["components"].get(task["componentRef"]["name"], {})
        label = component.get("executorLabel")
        if label not in executors:
            raise GraftError(f"task {name}: component {task['componentRef']['name']} has no executor ({label!r})")
