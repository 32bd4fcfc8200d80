"""A stand-in for the launcher of open-source Kubeflow Pipelines: brings inputs, runs a command, takes outputs.

Read in kubeflow/pipelines 7b70c7b95f, backend/src/v2/component/launcher_v2.go; not a line of it is run here. A pod is a
folder, an object store is a folder, and the container's command is a process with a clean environment. The image is not
looked at: the command runs in this environment.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from graft.kubeflow import handover, local_job, pod
from graft.models.errors import GraftError

Json = dict[str, Any]

_PASSED = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS")
"""Of the environment that this process has; all else is the image's, and the image has nothing of this machine."""

_SAMPLE_S = 0.1

_VIEWS = (("unshare", "--mount"), ("unshare", "--mount", "--map-root-user"))
"""What gives a process a view of the file system of its own: to root, and to any user where all may make namespaces."""


class PodFailed(GraftError):
    """A pod ended badly; the message says in one line why."""


class Launcher:
    """Runs one container after another.

    Args:
        store: folder that stands for the object store.
        pods: folder for the pods' own folders.
        logs: folder for what the containers print.
        secrets: of the cluster, by name and key.
        limits: whether a pod that takes more memory than its limit is killed, as a node does.
    """

    def __init__(
        self,
        store: pathlib.Path,
        pods: pathlib.Path,
        logs: pathlib.Path,
        secrets: Mapping[str, Mapping[str, str]],
        limits: bool,
    ):
        self._store, self._pods, self._logs, self._secrets, self._limits = store, pods, logs, secrets, limits
        self._own_view = _own_view()
        self.isolated = bool(self._own_view)
        self.inside = 0.0
        """Seconds in which a container ran."""

    def run(
        self, name: str, container: Json, platform: Json, inputs: Json, outputs: Mapping[str, Json]
    ) -> dict[str, Json]:
        """Runs a container once.

        Args:
            name: of the pod.
            container: of the executor.
            platform: of the executor, in the platform document.
            inputs: artifacts and parameters as the driver gives them.
            outputs: artifacts as the driver makes them.

        Returns:
            the outputs as the store of metadata would hold them.

        Raises:
            PodFailed: an input is not in the store, the container failed, or its outputs cannot be taken.
        """
        folder = self._pods / name
        try:
            self._download(inputs, folder)
            started = time.perf_counter()
            try:
                self._start(container, platform, inputs, outputs, folder)
            finally:
                self.inside += time.perf_counter() - started
            return self._upload(outputs, folder)
        except OSError as error:
            raise PodFailed(f"{error.filename}: {error.strerror}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _start(
        self, container: Json, platform: Json, inputs: Json, outputs: Mapping[str, Json], folder: pathlib.Path
    ) -> None:
        home, log = folder / "home", folder / "termination-log"
        home.mkdir(parents=True)
        log.touch()
        given = {
            "inputs": inputs,
            "outputs": {
                "artifacts": {key: {"artifacts": [artifact]} for key, artifact in outputs.items()},
                "outputFile": str(folder / "kfp_outputs" / "output_metadata.json"),
            },
        }
        words = [word.replace("{{$}}", json.dumps(given)) for word in (*container["command"], *container["args"])]
        if words[0] in ("python", "python3"):
            words[0] = sys.executable
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ} | {
            "HOME": str(home),
            "TMPDIR": str(home),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            handover.ROOT: str(folder),
            pod.TERMINATION_LOG: str(log),
            local_job.LOCAL: "1",
            **self._own_fields(platform, folder.name),
            **{pair["name"]: pair["value"] for pair in container.get("env", ())},
            **self._secret_variables(platform),
        }
        self._logs.mkdir(parents=True, exist_ok=True)
        output = self._logs / f"{folder.name}.log"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*self._isolation(folder), *words],
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                killed = self._watch(process, container.get("resources", {}), platform)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        message = killed or log.read_text(encoding="utf-8", errors="replace").strip()
        if process.returncode or killed:
            raise PodFailed(message or f"exit code {process.returncode}; its output is in {output}")

    def _watch(self, process: subprocess.Popen, resources: Json, platform: Json) -> str:
        """Waits for the end; why the process was killed, empty if it was not."""
        deadline = float(platform.get("activeDeadlineSeconds", "inf")) + time.monotonic()
        most = resources.get("memoryLimit", float("inf")) * 1e9 if self._limits else float("inf")
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SAMPLE_S)
                return ""
            if time.monotonic() > deadline:
                return f"DeadlineExceeded: it was active longer than {platform['activeDeadlineSeconds']} s"
            if most < float("inf") and (taken := _memory(process.pid)) > most:
                return f"OOMKilled: {taken / 1e6:.0f} MB, limit {most / 1e6:.0f} MB"

    def _own_fields(self, platform: Json, name: str) -> dict[str, str]:
        fields = {
            "metadata.name": name,
            "metadata.uid": name,
            "metadata.namespace": "default",
            "metadata.labels['pipeline/runid']": self._pods.name,
        }
        wanted = {pair["name"]: pair["fieldPath"] for pair in platform.get("fieldPathAsEnv", ())}
        if unknown := sorted(set(wanted.values()) - set(fields)):
            raise PodFailed(f"field {unknown[0]} of a pod has no stand-in here; allowed: {', '.join(fields)}")
        return {variable: fields[path] for variable, path in wanted.items()}

    def _secret_variables(self, platform: Json) -> dict[str, str]:
        found = {}
        for secret in platform.get("secretAsEnv", ()):
            for pair in secret["keyToEnv"]:
                try:
                    found[pair["envVar"]] = self._secrets[secret["secretName"]][pair["secretKey"]]
                except KeyError:
                    raise PodFailed(
                        f"CreateContainerConfigError: secret {secret['secretName']} with key {pair['secretKey']} is "
                        "not there; give it with --secrets"
                    ) from None
        return found

    def _isolation(self, folder: pathlib.Path) -> Sequence[str]:
        """Words before the command, that hide the store and the other tasks' folders from it where they can."""
        if not self.isolated:
            return ()
        # The own folder is bound over the store first, and from there into the empty place of all pods.
        script = (
            'mount --bind "$1" "$3" && mount -t tmpfs none "$2" && mkdir -p "$1" && mount --move "$3" "$1" && '
            'mount -t tmpfs none "$3" && shift 3 && exec "$@"'
        )
        pods = str(self._pods.parent)
        return (*self._own_view, "sh", "-c", script, "sh", str(folder), pods, str(self._store))

    def _download(self, inputs: Json, folder: pathlib.Path) -> None:
        """Copies input artifacts from the store to where the launcher puts them."""
        for key, held in inputs["artifacts"].items():
            for artifact in held["artifacts"]:
                source = self.stored(artifact["uri"])
                if not source.exists():
                    raise PodFailed(f"input {key}: {artifact['uri']} is not in the store ({source})")
                copy(source, folder / handover.below_root(artifact["uri"]))

    def _upload(self, outputs: Mapping[str, Json], folder: pathlib.Path) -> dict[str, Json]:
        """Copies output artifacts to the store, and joins what the task says of them, as the launcher does."""
        path = folder / "kfp_outputs" / "output_metadata.json"
        wanted = {key: artifact for key, artifact in outputs.items() if key != handover.LOGS}
        try:
            said = json.loads(path.read_text(encoding="utf-8"))["artifacts"] if wanted else {}
        except (OSError, ValueError, KeyError) as error:
            raise PodFailed(f"{path.name} cannot be read: {error}") from error
        found: dict[str, Json] = {}
        for key, artifact in wanted.items():
            local = folder / handover.below_root(artifact["uri"])
            (own,) = said[key]["artifacts"]
            if None in own.get("metadata", {}).values():
                raise PodFailed(f"output {key}: the metadata holds null, which the launcher cannot store")
            if not local.exists():
                raise PodFailed(f"output {key}: nothing was written to {local}")
            uri = own.get("uri", artifact["uri"])
            if uri != artifact["uri"]:
                raise PodFailed(f"output {key}: it would be uploaded to {uri}, not {artifact['uri']}")
            copy(local, self.stored(uri))
            found[key] = {"name": artifact["name"], "uri": uri, "metadata": own.get("metadata", {})}
        return found

    def stored(self, uri: str) -> pathlib.Path:
        """Where an address lies in the folder that stands for the store."""
        return self._store / handover.below_root(uri)


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
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


def _memory(root: int) -> int:
    """Resident bytes of a process and its children."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


def _own_view() -> Sequence[str]:
    """Words that start a process with a view of the file system of its own; none where that is impossible."""
    if not all(shutil.which(program) for program in ("unshare", "mount")):
        return ()
    for words in _VIEWS:
        command = [*words, "sh", "-c", "mount -t tmpfs none /mnt"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return words
    return ()
