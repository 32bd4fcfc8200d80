"""Runs on an MLflow server, and pushed versions in its registry: the tracker `mlflow`.

Imported with the client (`mlflow-skinny`) at the first question only. The client takes a login from the environment.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.durable import read_small, write_atomic
from graft.models.errors import GraftError
from graft.monitoring.tracking.options import MlflowOptions
from graft.pipeline import sections, trackers
from graft.pipeline.config import Config
from graft.pipeline.trackers import Followed
from graft.serving.store import open_store
from graft.serving.store_kind import S3

if TYPE_CHECKING:
    from mlflow import MlflowClient

SECTION = "mlflow"
STATE_FILE = "mlflow_run.json"
"""In the folder of the pipeline: the run on the server that the next run goes on with, if this one does not end."""
TAG = "graft."
SCHEME = "graft-store"
"""Of the source of a version that lies in a folder: a server takes no path of a machine that it may not read."""

_STATUS = {"passed": "FINISHED", "gate_closed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_GOES_ON = ("failed", "interrupted")
_MOST_STATE = 1 << 16
_LONGEST_NAME, _LONGEST_PARAMETER, _LONGEST_TAG = 250, 6000, 5000
_PARAMETERS, _METRICS = 100, 500
"""What one request may hold: 100 parameters or tags; of metrics 1,000, and 1 MB."""
_UNANSWERED = re.compile(
    r"\[Errno -?\d+\] [\w ]+|CERTIFICATE_VERIFY_FAILED|SSLError|[Rr]ead timed out|timed out|Connection aborted|"
    r"too many 5\d\d error|Max retries"
)
_FORBIDDEN = re.compile(r"[^\w .\-/]")


def opened(config: Config) -> "MlflowTracker | None":
    """The tracker of a configuration; None where `mlflow.tracking_uri` is null. Raises GraftError: no client."""
    options = sections.section(config, SECTION, MlflowOptions)
    if options.tracking_uri is None:
        return None
    if importlib.util.find_spec("mlflow") is None:
        raise GraftError(
            "mlflow.tracking_uri: the client of MLflow is not installed; install the extra (pip install "
            "'graft-transfer[mlflow]', or mlflow-skinny alone), or leave the runs out with "
            "--set mlflow.tracking_uri=null"
        )
    return MlflowTracker(options, config)


class MlflowTracker:
    """Tells an MLflow server of a run.

    Args:
        options: the section, with an address.
        config: of the pipeline.

    Attributes:
        run: id of the run on the server; None before it is there.
    """

    def __init__(self, options: MlflowOptions, config: Config):
        self._options, self._name = options, config.name
        self._experiment = options.experiment or config.name
        self.run: str | None = None

    def check(self) -> None:
        """Raises GraftError: the server does not answer or refuses, or the experiment was deleted there."""
        with self._asking() as client:
            found = client.get_experiment_by_name(self._experiment)
        if found is not None and found.lifecycle_stage == "deleted":
            raise GraftError(
                f"mlflow.experiment: {self._experiment!r} is deleted at {self._options.tracking_uri}; restore it "
                "there, or give another name"
            )

    def begin(self, run: Followed) -> None:
        """Begins a run, or goes on with that of the same pipeline and configuration that did not come to its end."""
        with self._asking() as client:
            self._begin(client, run)

    def end(self, run: Followed) -> None:
        """Logs figures, epochs and what identifies the run, ends it, and registers the pushed version."""
        with self._asking() as client:
            if self.run is None:  # the server was away at the beginning
                self._begin(client, run)
            assert self.run is not None
            # First, for a process that was interrupted may have little time.
            client.set_terminated(self.run, _STATUS[run.result.status])
            if run.result.status not in _GOES_ON:
                self._forget(run.root)
            self._log(client, self.run, run)
            if run.result.model_version is not None and self._options.registered_model:
                self._register(client, self.run, run, run.result.model_version)

    def attach(self, run: Followed, files: Sequence[pathlib.Path]) -> None:
        """Uploads the files to the run."""
        if self.run is None:  # `end` has said why
            return
        with self._asking() as client:
            for path in files:
                client.log_artifact(self.run, str(path))

    def _begin(self, client: "MlflowClient", run: Followed) -> None:
        from mlflow.exceptions import MlflowException

        identity = self._identity(run)
        left = _read(run.root)
        found = None
        if left.get("tracking_uri") == self._options.tracking_uri and isinstance(left.get("run"), str):
            # A run that was deleted there meanwhile is begun anew.
            with contextlib.suppress(MlflowException):
                known = client.get_run(left["run"]).info
                found = known if known.lifecycle_stage == "active" else None
        if found is not None and left.get("identity") == identity:
            client.update_run(found.run_id, status="RUNNING", name=run.result.run_id)
            self.run = found.run_id
        else:
            if found is not None and found.status == "RUNNING":  # its process died, and it will not go on
                client.set_terminated(found.run_id, "KILLED")
            self.run = client.create_run(
                self._experiment_id(client), int(run.result.started * 1000), run_name=run.result.run_id
            ).info.run_id
        if run.root is not None:
            state = {"tracking_uri": self._options.tracking_uri, "run": self.run, "identity": identity}
            with _written(run.root):
                write_atomic(run.root / STATE_FILE, json.dumps(state).encode())
        self._tag(client, self.run, {"run_id": run.result.run_id, "pipeline": self._name, "status": "running"})
        self._parameters(client, self.run, trackers.parameters(run.config))

    def _experiment_id(self, client: "MlflowClient") -> str:
        from mlflow.exceptions import MlflowException

        if (found := client.get_experiment_by_name(self._experiment)) is not None:
            return found.experiment_id
        try:
            return client.create_experiment(self._experiment)
        except MlflowException:
            if (found := client.get_experiment_by_name(self._experiment)) is None:
                raise
            return found.experiment_id  # another run made it meanwhile

    def _identity(self, run: Followed) -> str:
        decides = json.dumps([self._experiment, run.config.of_the_run()], sort_keys=True)
        return hashlib.sha256(decides.encode()).hexdigest()

    def _log(self, client: "MlflowClient", mlflow_run: str, run: Followed) -> None:
        from mlflow.entities import Metric

        now = int((run.result.ended or time.time()) * 1000)
        logged = [Metric(name, value, now, 0) for name, value in _named(trackers.metrics(run)).items()]
        for number, epoch in enumerate(trackers.epochs(run), start=1):
            figures = {f"epoch/{name}": value for name, value in epoch.items() if name != "epoch"}
            logged += [Metric(name, value, now, number) for name, value in _named(figures).items()]
        for start in range(0, len(logged), _METRICS):
            client.log_batch(mlflow_run, metrics=logged[start : start + _METRICS])
        found = trackers.facts(run)
        source = {"mlflow.source.git.commit": found["git.commit"]} if "git.commit" in found else {}
        gates = {f"gate.{name}": value for name, value in _verdicts(run).items()}
        self._tag(client, mlflow_run, found | gates, {"mlflow.source.name": "graft", **source})

    def _tag(
        self, client: "MlflowClient", run: str, own: Mapping[str, str], others: Mapping[str, str] | None = None
    ) -> None:
        from mlflow.entities import RunTag

        named = {f"{TAG}{name}": value for name, value in own.items()} | dict(others or {})
        tags = [RunTag(name, value[:_LONGEST_TAG]) for name, value in _named(named).items()]
        for start in range(0, len(tags), _PARAMETERS):
            client.log_batch(run, tags=tags[start : start + _PARAMETERS])

    def _parameters(self, client: "MlflowClient", run: str, values: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        found = [Param(name, _cut(value)) for name, value in _named(values).items()]
        for start in range(0, len(found), _PARAMETERS):
            client.log_batch(run, params=found[start : start + _PARAMETERS])

    def _register(self, client: "MlflowClient", mlflow_run: str, run: Followed, pushed: int) -> None:
        from mlflow.exceptions import MlflowException

        name, store = str(self._options.registered_model), open_store(run.config.store)
        try:
            client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            client.create_registered_model(name, description=f"Pushed by Graft's pipeline {self._name}.")
        tags = {
            f"{TAG}version": str(pushed),
            f"{TAG}model": run.config.name,
            f"{TAG}store": store.address,
            f"{TAG}store_id": store.store_id,
        }
        # A run that pushed nothing new, for all came from the cache, has its version there already.
        known = client.search_model_versions(f"name = '{name}' and tags.`{TAG}version` = '{pushed}'")
        same = [version for version in known if version.tags.get(f"{TAG}store_id") == store.store_id]
        if same:
            number = same[0].version
        else:
            place = source(store.version_address(run.config.name, pushed))
            number = client.create_model_version(name, place, mlflow_run, tags).version
        if self._options.alias and store.served(run.config.name) == pushed:  # a pinned store serves another one
            client.set_registered_model_alias(name, self._options.alias, str(number))

    def _forget(self, root: pathlib.Path | None) -> None:
        if root is not None:
            with _written(root):
                (root / STATE_FILE).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _asking(self) -> Iterator["MlflowClient"]:
        """A client that waits no longer than asked for; whatever goes wrong is a GraftError of one line."""
        with _environment(self._options.timeout_s):
            # Imported here: it takes seconds, and only who tracks runs pays for them.
            import requests
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException

            address = str(self._options.tracking_uri)
            try:
                yield MlflowClient(address, address)
            except (MlflowException, requests.RequestException, OSError, ValueError) as error:
                raise GraftError(_told(address, error, self._options.timeout_s)) from error


@contextlib.contextmanager
def _environment(timeout_s: float) -> Iterator[None]:
    """The client's settings for as long as it is asked; what the user has set holds."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(timeout_s))),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout holds one JSON object
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def source(address: str) -> str:
    """What a registered version names as its source: on S3 the version's address, else the machine and the folder."""
    if address.startswith(S3):
        return address
    return f"{SCHEME}://{socket.gethostname()}{pathlib.Path(address).absolute().as_posix()}"


def _told(address: str, error: Exception, timeout_s: float) -> str:
    code, text = getattr(error, "error_code", None), trackers.shortened(str(error))
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED") or re.search(r"error code 40[13]\b", text):
        return (
            f"mlflow.tracking_uri: {address} refuses the login ({text}); set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"
        )
    if found := _UNANSWERED.findall(str(error)):
        return (
            f"mlflow.tracking_uri: {address} does not answer within {timeout_s:g} s ({found[-1].strip()}); start the "
            "server, or leave it out with --set mlflow.tracking_uri=null"
        )
    return f"mlflow.tracking_uri: {address} answered: {text}"


def _verdicts(run: Followed) -> dict[str, str]:
    return {gate.name: "open" if gate.passed else "closed" for gate in run.result.gates}


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same under names that MLflow takes: `recall[a:b]` is `recall.a_b`; two that fall together are numbered."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        plain = _FORBIDDEN.sub("_", name.replace("[", ".").replace("]", ""))
        parts = (part.strip(" ") for part in plain[: _LONGEST_NAME - 8].split("/"))
        plain = "/".join(part if part.strip(".") else "_" for part in parts)
        number, unique = 1, plain
        while unique in found:
            number += 1
            unique = f"{plain}_{number}"
        found[unique] = value
    return found


def _cut(value: str) -> str:
    """`run.json`, which is attached, holds what is too long whole."""
    return value if len(value) <= _LONGEST_PARAMETER else f"{value[: _LONGEST_PARAMETER - 3]}..."


def _read(root: pathlib.Path | None) -> dict[str, Any]:
    """The state that the last run left; empty without one, or where it is damaged."""
    if root is None:
        return {}
    try:
        value = json.loads(read_small(root / STATE_FILE, _MOST_STATE))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@contextlib.contextmanager
def _written(root: pathlib.Path) -> Iterator[None]:
    """So that a full disk is not told as a fault of the server."""
    try:
        yield
    except OSError as error:
        raise GraftError(f"{root / STATE_FILE}: cannot be written: {error.strerror or error}") from error
