"""A stand-in for the driver and launcher of open-source Kubeflow Pipelines: runs a compiled file on this machine.

It does what they do as far as a task can tell (read in kubeflow/pipelines 7b70c7b95f, backend/src/v2: driver.go,
launcher_v2.go; not a line of it is run here): each task is the container's own command in a fresh process with a clean
environment and a root folder of its own; its `ExecutorInput` has input artifacts with empty type schemas, an output of
KFP's own kind for the logs, and addresses in an object store; what it reads was copied from the store to local paths
before, and what it wrote is copied there after. The image is not looked at: the command runs in this environment.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from graft.kubeflow import entrypoint, handover
from graft.models.durable import write_atomic
from graft.models.errors import GraftError

Json = dict[str, Any]

_PASSED = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "TF_ENABLE_ONEDNN_OPTS")
"""Of the environment that this process has; all else is the image's, and the image has nothing of this machine."""


@dataclasses.dataclass
class TaskRun:
    """What became of a task.

    Attributes:
        name: of the task.
        state: `succeeded`, `cached` or `failed`.
        seconds: wall time of all attempts, copies included.
        overhead: of these, what is not the process: copies and hand-over.
        attempts: how often it was started.
        message: what its termination log says; empty where it succeeded.
    """

    name: str
    state: str
    seconds: float
    overhead: float
    attempts: int
    message: str = ""


@dataclasses.dataclass
class _Done:
    """Outputs of a task: by name the artifact as the store of metadata would hold it."""

    artifacts: dict[str, Json]


class StandIn:
    """Runs the tasks of one compiled pipeline.

    Args:
        spec: the pipeline spec.
        folder: gets `store/`, which stands for the object store and outlives the run, `cache/` and `pods/RUN/`.
        run: name of the run.
        parameters: of the run, by name; the others take their defaults.
        caching: whether tasks that allow it take results of earlier runs.
    """

    def __init__(
        self,
        spec: Json,
        folder: pathlib.Path,
        run: str,
        parameters: Mapping[str, Any] | None = None,
        caching: bool = True,
    ):
        self._spec, self._folder, self._run, self._caching = spec, folder.absolute(), run, caching
        self._store, self._pods = self._folder / "store", self._folder / "pods" / run
        self._store.mkdir(parents=True, exist_ok=True)
        self._parameters = self._given(parameters or {})
        self.isolated = _can_isolate()

    def run(self, tell: Callable[[TaskRun], None] = lambda task: None) -> list[TaskRun]:
        """Runs all tasks in order, until one fails.

        Args:
            tell: is told of each task that ended.
        """
        done: dict[str, _Done] = {}
        runs: list[TaskRun] = []
        for name in order(self._spec["root"]["dag"]["tasks"]):
            task, found = self._task(name, done)
            runs.append(task)
            tell(task)
            if found is None:
                break
            done[name] = found
        return runs

    def _given(self, given: Mapping[str, Any]) -> dict[str, Any]:
        known = self._spec["root"].get("inputDefinitions", {}).get("parameters", {})
        if unknown := sorted(set(given) - set(known)):
            raise GraftError(
                f"parameter {unknown[0]!r} is none of the pipeline's; allowed: {', '.join(sorted(known)) or 'none'}"
            )
        values = {name: given.get(name, spec.get("defaultValue")) for name, spec in known.items()}
        if missing := sorted(name for name, value in values.items() if value is None):
            raise GraftError(f"parameter {missing[0]!r} of the pipeline has no default; give it a value")
        return values

    def _task(self, name: str, done: Mapping[str, _Done]) -> tuple[TaskRun, _Done | None]:
        task = self._spec["root"]["dag"]["tasks"][name]
        component = self._spec["components"][task["componentRef"]["name"]]
        container = self._spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        started = time.perf_counter()
        inputs = {
            "artifacts": {key: self._input(name, key, held, done) for key, held in _held(task, "artifacts")},
            "parameterValues": {key: self._parameter(name, key, held) for key, held in _held(task, "parameters")},
        }
        cache = self._folder / "cache" / f"{_cache_key(container, component, inputs)}.json"
        if self._caching and task.get("cachingOptions", {}).get("enableCache") and cache.exists():
            found = _Done(json.loads(cache.read_text(encoding="utf-8")))
            return TaskRun(name, "cached", time.perf_counter() - started, time.perf_counter() - started, 0), found
        attempts = 1 + task.get("retryPolicy", {}).get("maxRetryCount", 0)
        inside = 0.0
        message = ""
        for attempt in range(attempts):
            pod = self._pods / f"{name}-{attempt}"
            outputs = self._outputs(name, component, attempt)
            with contextlib.ExitStack() as stack:
                stack.callback(shutil.rmtree, pod, ignore_errors=True)
                self._download(inputs, pod)
                before = time.perf_counter()
                code, message = self._start(container, inputs, outputs, pod)
                inside += time.perf_counter() - before
                if code == 0:
                    found = self._upload(name, outputs, pod)
                    cache.parent.mkdir(parents=True, exist_ok=True)
                    write_atomic(cache, json.dumps(found.artifacts).encode())
                    seconds = time.perf_counter() - started
                    return TaskRun(name, "succeeded", seconds, seconds - inside, attempt + 1), found
        seconds = time.perf_counter() - started
        return TaskRun(name, "failed", seconds, seconds - inside, attempts, message), None

    def _input(self, name: str, key: str, held: Json, done: Mapping[str, _Done]) -> Json:
        """An input artifact as the driver gives it: the type's schema is empty."""
        source = held.get("taskOutputArtifact")
        if source is None:
            raise GraftError(
                f"task {name}, input {key}: {', '.join(held)} is not supported; allowed: taskOutputArtifact"
            )
        artifact = done[source["producerTask"]].artifacts[source["outputArtifactKey"]]
        return {"artifacts": [{**artifact, "type": {"instanceSchema": ""}}]}

    def _parameter(self, name: str, key: str, held: Json) -> Any:
        if "componentInputParameter" in held:
            return self._parameters[held["componentInputParameter"]]
        if "constant" in held.get("runtimeValue", {}):
            return held["runtimeValue"]["constant"]
        raise GraftError(
            f"task {name}, parameter {key}: {', '.join(held)} is not supported; allowed: a constant or a parameter of "
            "the pipeline"
        )

    def _outputs(self, name: str, component: Json, attempt: int) -> dict[str, Json]:
        """Output artifacts as the driver makes them, that of the logs among them; a retry has addresses of its own."""
        root = f"{self._spec['defaultPipelineRoot']}/{self._spec['pipelineInfo']['name']}/{self._run}/{name}"
        suffix = f"-{attempt}" if attempt else ""
        types = {
            key: definition["artifactType"]
            for key, definition in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        }
        types["executor-logs"] = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
        return {
            key: {"name": f"{name}/{key}", "type": kind, "uri": f"{root}/{key}{suffix}", "metadata": {}}
            for key, kind in types.items()
        }

    def _start(self, container: Json, inputs: Json, outputs: Mapping[str, Json], pod: pathlib.Path) -> tuple[int, str]:
        """Runs the container's command; its exit code, and what its termination log says."""
        home = pod / "home"
        home.mkdir(parents=True)
        log = pod / "termination-log"
        log.touch()
        given = {
            "inputs": inputs,
            "outputs": {
                "artifacts": {key: {"artifacts": [artifact]} for key, artifact in outputs.items()},
                "outputFile": str(pod / "kfp_outputs" / "output_metadata.json"),
            },
        }
        words = [word.replace("{{$}}", json.dumps(given)) for word in (*container["command"], *container["args"])]
        if words[0] in ("python", "python3"):
            words[0] = sys.executable
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ} | {
            "HOME": str(home),
            "TMPDIR": str(home),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            handover.ROOT: str(pod),
            entrypoint.TERMINATION_LOG: str(log),
            **{pair["name"]: pair["value"] for pair in container.get("env", ())},
        }
        output = self._folder / "logs" / self._run / f"{pod.name}.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("wb") as file:
            process = subprocess.run(
                [*self._isolation(pod), *words],
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        message = log.read_text(encoding="utf-8", errors="replace").strip()
        return process.returncode, message or f"exit code {process.returncode}; its output is in {output}"

    def _isolation(self, pod: pathlib.Path) -> Sequence[str]:
        """Words before the command, that hide the store and the other tasks' folders from it where they can."""
        if not self.isolated:
            return ()
        # The own folder is bound elsewhere first, and back into the empty place of all pods.
        script = (
            'mount --bind "$1" /mnt && mount -t tmpfs none "$2" && mkdir -p "$1" && mount --move /mnt "$1" && '
            'mount -t tmpfs none "$3" && shift 3 && exec "$@"'
        )
        return ("unshare", "--mount", "sh", "-c", script, "sh", str(pod), str(self._folder / "pods"), str(self._store))

    def _download(self, inputs: Json, pod: pathlib.Path) -> None:
        """Copies input artifacts from the store to where the launcher puts them."""
        for key, held in inputs["artifacts"].items():
            for artifact in held["artifacts"]:
                source = self._stored(artifact["uri"])
                if not source.exists():
                    raise GraftError(f"input {key}: {artifact['uri']} is not in the store ({source})")
                _copy(source, self._in_pod(artifact["uri"], pod))

    def _upload(self, name: str, outputs: Mapping[str, Json], pod: pathlib.Path) -> _Done:
        """Copies output artifacts to the store, and joins what the task says of them, as the launcher does."""
        path = pod / "kfp_outputs" / "output_metadata.json"
        try:
            said = json.loads(path.read_text(encoding="utf-8"))["artifacts"]
        except (OSError, ValueError, KeyError) as error:
            raise GraftError(f"task {name}: {path.name} cannot be read: {error}") from error
        found: dict[str, Json] = {}
        for key, artifact in outputs.items():
            local = self._in_pod(artifact["uri"], pod)
            if key == "executor-logs":
                continue
            (own,) = said[key]["artifacts"]
            if None in own.get("metadata", {}).values():
                raise GraftError(f"task {name}, output {key}: the metadata holds null, which the launcher cannot store")
            if not local.exists():
                raise GraftError(f"task {name}, output {key}: nothing was written to {local}")
            uri = own.get("uri", artifact["uri"])
            if uri != artifact["uri"]:
                raise GraftError(f"task {name}, output {key}: it would be uploaded to {uri}, not {artifact['uri']}")
            _copy(local, self._stored(uri))
            found[key] = {"name": artifact["name"], "uri": uri, "metadata": own.get("metadata", {})}
        return _Done(found)

    def _stored(self, uri: str) -> pathlib.Path:
        return self._store / handover.below_root(uri)

    def _in_pod(self, uri: str, pod: pathlib.Path) -> pathlib.Path:
        return pod / handover.below_root(uri)


def read_spec(path: pathlib.Path) -> Json:
    """The pipeline spec of a compiled file.

    Raises:
        GraftError: it cannot be read, or is none that open-source Kubeflow takes.
    """
    from graft.kubeflow.check import check_spec

    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise GraftError(f"{path}: {reason}; give a file that graft kubeflow compile wrote") from error
    if not documents or not isinstance(documents[0], dict) or "deploymentSpec" not in documents[0]:
        raise GraftError(f"{path}: holds no pipeline spec; give a file that graft kubeflow compile wrote")
    check_spec(documents[0])
    return documents[0]


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
    """As KFP's: image, command, arguments, names and addresses of inputs, parameters, names of outputs."""
    key = {
        "container": container,
        "outputs": component.get("outputDefinitions", {}),
        "inputs": {name: [one["uri"] for one in held["artifacts"]] for name, held in inputs["artifacts"].items()},
        "parameters": inputs["parameterValues"],
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a file or a folder as an object store would: empty folders are lost, and so are links."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _can_isolate() -> bool:
    """Whether a process may have a view of the file system of its own here."""
    if not all(shutil.which(program) for program in ("unshare", "mount")):
        return False
    command = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
