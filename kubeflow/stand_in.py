"""A stand-in for the driver of open-source Kubeflow Pipelines: runs a compiled file on this machine, task by task.

It does what the driver does as far as a task can tell (read in kubeflow/pipelines 7b70c7b95f, backend/src/v2/driver;
not a line of it is run here): input artifacts come with empty type schemas, an output of KFP's own kind for the logs is
added, results of earlier runs are taken where image, command, inputs and parameters are the same, a task that fails is
tried again with addresses of its own, branches that do not need it go on, one whose condition does not hold is skipped
with all that needs it, and an exit task runs however the rest ended.
A task that is tried again does not wait before. `kubeflow.launcher` runs the containers.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from graft.kubeflow import handover
from graft.kubeflow.check import check_spec
from graft.kubeflow.condition import Condition
from graft.kubeflow.launcher import Launcher, PodFailed
from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.models.hashing import hash_json

Json = dict[str, Any]

EXIT = "ALL_UPSTREAM_TASKS_COMPLETED"
"""Trigger of a task that runs however those before it ended."""


@dataclasses.dataclass
class TaskRun:
    """What became of a task.

    Attributes:
        name: of the task.
        state: `succeeded`, `cached`, `failed`, or `skipped`: its condition does not hold, or a task that it needs did
            not succeed.
        seconds: wall time of all attempts, copies included.
        overhead: of these, what is not the process: copies and hand-over.
        attempts: how often it was started.
        message: what its termination log says; empty where it succeeded.
        exit: whether it is an exit task, whose failure does not fail the run.
    """

    name: str
    state: str
    seconds: float = 0.0
    overhead: float = 0.0
    attempts: int = 0
    message: str = ""
    exit: bool = False


Done = dict[str, dict[str, Json]]
"""Outputs of the tasks that succeeded, by task and name, as the store of metadata would hold them."""


class StandIn:
    """Runs the tasks of one compiled pipeline.

    Args:
        documents: the pipeline spec, and the platform document if there is one.
        folder: gets `store/`, which stands for the object store and outlives the run, `cache/`, `logs/RUN/` and
            `pods/RUN/`.
        run: name of the run.
        parameters: of the run, by name; the others take their defaults.
        caching: whether tasks that allow it take results of earlier runs.
        secrets: of the cluster, by name and key.
        limits: whether a pod that takes more memory than its limit is killed.

    Raises:
        GraftError: a parameter is none of the pipeline's, one without a default is not given, or the memory of several
            workers is to be limited.
    """

    def __init__(
        self,
        documents: list[Json],
        folder: pathlib.Path,
        run: str,
        parameters: Mapping[str, Any] | None = None,
        caching: bool = True,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        limits: bool = False,
    ):
        self._spec, self._run, self._caching = documents[0], run, caching
        platform = documents[1] if len(documents) > 1 else {"platforms": {"kubernetes": {"deploymentSpec": {}}}}
        self._platform = platform["platforms"]["kubernetes"]["deploymentSpec"].get("executors", {})
        self._given = self._checked(parameters or {})
        folder = folder.absolute()
        self._cache, store = folder / "cache", folder / "store"
        store.mkdir(parents=True, exist_ok=True)
        self._launcher = Launcher(store, folder / "pods" / run, folder / "logs" / run, secrets or {}, limits)
        self.isolated = self._launcher.isolated
        self.shared = sorted(
            label.removesuffix("_executor") for label, held in self._platform.items() if "fieldPathAsEnv" in held
        )
        """Stages with several workers: their tasks are told who they are, to start a job."""
        if limits and self.shared:
            raise GraftError(
                f"--limits: the workers of {self.shared[0]} are processes of its task here, and would count as its "
                f"memory; leave it out, or compile with kubeflow.stages.{self.shared[0]}.workers=1"
            )

    def run(self, tell: Callable[[TaskRun], None] = lambda task: None) -> list[TaskRun]:
        """Runs all tasks, each after those it needs.

        Args:
            tell: is told of each task that ended.
        """
        return list(self._graph(self._spec["root"]["dag"], self._given, tell))

    def _checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        known = self._spec["root"].get("inputDefinitions", {}).get("parameters", {})
        if unknown := sorted(set(given) - set(known)):
            raise GraftError(
                f"parameter {unknown[0]!r} is none of the pipeline's; allowed: {', '.join(sorted(known)) or 'none'}"
            )
        values = {name: given.get(name, spec.get("defaultValue")) for name, spec in known.items()}
        if missing := sorted(name for name, value in values.items() if value is None):
            raise GraftError(f"parameter {missing[0]!r} of the pipeline has no default; give it a value")
        return values

    def _graph(self, dag: Json, values: Mapping[str, Any], tell: Callable[[TaskRun], None]) -> Iterator[TaskRun]:
        """Runs the tasks of a graph; a task that is a graph counts as those within."""
        done: Done = {}
        failed: dict[str, str] = {}
        for name in order(dag["tasks"]):
            task = dag["tasks"][name]
            component = self._spec["components"][task["componentRef"]["name"]]
            if (unmet := self._unmet(name, task, values, done, failed)) is not None:
                tell(unmet)
                yield unmet
                continue
            if "dag" in component:
                inner = {
                    key: self._parameter(name, key, held, values, failed) for key, held in _held(task, "parameters")
                }
                runs = list(self._graph(component["dag"], inner, tell))
                yield from runs
                if bad := next((run for run in runs if run.state == "failed"), None):
                    failed[name] = bad.message
                else:
                    done[name] = {}
                continue
            leaving = task.get("triggerPolicy", {}).get("strategy") == EXIT
            if not leaving and (lost := [before for before in task.get("dependentTasks", ()) if before not in done]):
                run, found = TaskRun(name, "skipped", message=f"it needs {', '.join(sorted(lost))}"), None
            else:
                run, found = self._task(name, task, component, values, done, failed)
            run.exit = leaving
            if found is not None:
                done[name] = found
            elif run.state == "failed":
                failed[name] = run.message
            tell(run)
            yield run

    def _unmet(
        self, name: str, task: Json, values: Mapping[str, Any], done: Done, failed: dict[str, str]
    ) -> TaskRun | None:
        """The task as skipped or failed where it has a condition that does not hold or has no answer; else None."""
        text = task.get("triggerPolicy", {}).get("condition")
        if text is None or any(before not in done for before in task.get("dependentTasks", ())):
            return None
        condition, held = Condition(text), dict(_held(task, "parameters"))
        found = {key: self._parameter(name, key, held[key], values, failed) for key in condition.parameters}
        try:
            if condition.holds(found):
                return None
        except GraftError as error:
            failed[name] = str(error)
            return TaskRun(name, "failed", message=failed[name])
        return TaskRun(name, "skipped", message=f"its condition does not hold: {text}")

    def _task(
        self,
        name: str,
        task: Json,
        component: Json,
        values: Mapping[str, Any],
        done: Done,
        failed: Mapping[str, str],
    ) -> tuple[TaskRun, dict[str, Json] | None]:
        container = self._spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        started, before = time.perf_counter(), self._launcher.inside
        inputs = {
            "artifacts": {key: self._input(name, key, held, done) for key, held in _held(task, "artifacts")},
            "parameterValues": {
                key: self._parameter(name, key, held, values, failed) for key, held in _held(task, "parameters")
            },
        }
        cache = self._cache / f"{_cache_key(container, component, inputs)}.json"
        allowed = self._caching and task.get("cachingOptions", {}).get("enableCache", False)
        if allowed and cache.exists():
            kept: dict[str, Json] = json.loads(cache.read_text(encoding="utf-8"))
            seconds = time.perf_counter() - started
            return TaskRun(name, "cached", seconds, seconds), kept
        message, found, attempt = "", None, 0
        for attempt in range(1 + task.get("retryPolicy", {}).get("maxRetryCount", 0)):
            platform = self._platform.get(component["executorLabel"], {})
            try:
                outputs = self._outputs(name, component, attempt)
                found = self._launcher.run(f"{name}-{attempt}", container, platform, inputs, outputs)
            except PodFailed as error:
                message = str(error)
                continue
            if task.get("cachingOptions", {}).get("enableCache", False):
                cache.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(cache, json.dumps(found).encode())
            break
        seconds = time.perf_counter() - started
        overhead = seconds - (self._launcher.inside - before)
        state = "failed" if found is None else "succeeded"
        return TaskRun(name, state, seconds, overhead, attempt + 1, message if found is None else ""), found

    def _input(self, name: str, key: str, held: Json, done: Done) -> Json:
        """An input artifact as the driver gives it: the type's schema is empty."""
        source = held.get("taskOutputArtifact")
        if source is None:
            raise GraftError(
                f"task {name}, input {key}: {', '.join(held)} is not supported; allowed: taskOutputArtifact"
            )
        artifact = done[source["producerTask"]][source["outputArtifactKey"]]
        return {"artifacts": [{**artifact, "type": {"instanceSchema": ""}}]}

    def _parameter(self, name: str, key: str, held: Json, values: Mapping[str, Any], failed: Mapping[str, str]) -> Any:
        if "componentInputParameter" in held:
            return values[held["componentInputParameter"]]
        if "taskFinalStatus" in held:
            producer = held["taskFinalStatus"]["producerTask"]
            # Open-source Kubeflow fills in no error.
            state = "FAILED" if producer in failed else "SUCCEEDED"
            return {"state": state, "pipelineJobResourceName": self._run, "pipelineTaskName": producer, "error": {}}
        if "constant" in held.get("runtimeValue", {}):
            constant = held["runtimeValue"]["constant"]
            return self._run if constant in ("{{$.pipeline_job_uuid}}", "{{$.pipeline_job_name}}") else constant
        raise GraftError(
            f"task {name}, parameter {key}: {', '.join(held)} is not supported; allowed: a constant, a parameter of "
            "the pipeline or the final status of a task"
        )

    def _outputs(self, name: str, component: Json, attempt: int) -> dict[str, Json]:
        """Output artifacts as the driver makes them, that of the logs among them; a retry has addresses of its own."""
        root = f"{self._spec['defaultPipelineRoot']}/{self._spec['pipelineInfo']['name']}/{self._run}/{name}"
        suffix = f"-{attempt}" if attempt else ""
        types = {
            key: definition["artifactType"]
            for key, definition in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        }
        types[handover.LOGS] = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
        return {
            key: {"name": f"{name}/{key}", "type": kind, "uri": f"{root}/{key}{suffix}", "metadata": {}}
            for key, kind in types.items()
        }


def read_documents(path: pathlib.Path) -> list[Json]:
    """The pipeline spec of a compiled file, and the platform document if it has one.

    Raises:
        GraftError: it cannot be read, or is none that open-source Kubeflow takes.
    """
    try:
        documents = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise GraftError(f"{path}: {reason}; give a file that graft kubeflow compile wrote") from error
    if not documents or not isinstance(documents[0], dict) or "deploymentSpec" not in documents[0]:
        raise GraftError(f"{path}: holds no pipeline spec; give a file that graft kubeflow compile wrote")
    if len(documents) > 2:
        raise GraftError(
            f"{path}: holds {len(documents)} YAML documents; allowed: the pipeline spec and the platform's"
        )
    check_spec(documents[0], documents[1] if len(documents) > 1 else None)
    return documents


def order(tasks: Mapping[str, Json]) -> list[str]:
    """Names of tasks, each after those it depends on; else in alphabetical order.

    Raises:
        GraftError: they depend on each other in a circle.
    """
    waiting = {name: set(task.get("dependentTasks", ())) for name, task in tasks.items()}
    found: list[str] = []
    while waiting:
        ready = sorted(name for name, before in waiting.items() if before <= set(found))
        if not ready:
            raise GraftError(f"tasks {', '.join(sorted(waiting))} wait for each other; allowed: no circle")
        found.append(ready[0])
        del waiting[ready[0]]
    return found


def _held(task: Json, kind: str) -> Iterator[tuple[str, Json]]:
    yield from task.get("inputs", {}).get(kind, {}).items()


def _cache_key(container: Json, component: Json, inputs: Json) -> str:
    """As KFP's: image, command, arguments, variables, inputs by identity, parameters, names of outputs."""
    key = {
        "container": {name: container.get(name) for name in ("image", "command", "args", "env")},
        "outputs": component.get("outputDefinitions", {}),
        "inputs": {name: [one["uri"] for one in held["artifacts"]] for name, held in inputs["artifacts"].items()},
        "parameters": inputs["parameterValues"],
    }
    return hash_json(key)
