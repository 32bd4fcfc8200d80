"""What the metadata store knows: runs, stages, artifacts, and what made a pushed model."""

import contextlib
import dataclasses
import datetime
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from models.errors import GraftError

FILE_NAME = "metadata.sqlite"
_RUN, _NODE = "pipeline_run", "node"
_CACHED, _COMPLETE = pb.Execution.CACHED, pb.Execution.COMPLETE


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact: its type's name, where it lies and its custom properties."""

    type: str
    uri: str
    properties: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Execution:
    """One stage of one run.

    Attributes:
        stage: the component's id.
        state: COMPLETE, CACHED, FAILED or RUNNING.
        started: UTC.
        seconds: from registration to the last update.
        parameters: the component's parameters.
        outputs: artifacts by output name.
    """

    id: int
    stage: str
    state: str
    started: datetime.datetime
    seconds: float
    parameters: dict[str, Any]
    outputs: dict[str, Artifact]


class Metadata:
    """Reads one pipeline's SQLite metadata; nothing here writes.

    Args:
        root: folder of the pipeline (`runs/NAME`).

    Raises:
        GraftError: there is no metadata store.
    """

    def __init__(self, root: pathlib.Path):
        self.path = root / FILE_NAME
        if not self.path.is_file():
            raise GraftError(f"{self.path}: no metadata store; `graft run` makes it")
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(self.path)
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE
        self._store = metadata_store.MetadataStore(config)

    def runs(self) -> list[str]:
        """Ids of the runs, oldest first."""
        with _missing_is_empty():
            return [context.name for context in sorted(self._store.get_contexts_by_type(_RUN), key=lambda c: c.id)]
        return []

    def executions(self, run_id: str) -> list[Execution]:
        """The stages of a run in the order they began, empty for a run that has none."""
        context = self._store.get_context_by_type_and_name(_RUN, run_id)
        if context is None:
            raise GraftError(f"{self.path}: no run {run_id!r}; runs: {', '.join(self.runs()[-5:]) or 'none'}")
        return [self._describe(e) for e in sorted(self._store.get_executions_by_context(context.id), key=lambda e: e.id)]

    def outputs(self, run_id: str) -> dict[str, dict[str, Artifact]]:
        """Artifacts of the finished stages of a run, by stage and output name."""
        return {e.stage: e.outputs for e in self.executions(run_id) if e.state in ("COMPLETE", "CACHED")}

    def lineage(self, version: str) -> list[Execution]:
        """The executions that made a pushed version, in the order they ran; cached stages by the run that did the work.

        Raises:
            GraftError: no push of that version is on record.
        """
        pushed = [
            a
            for a in self._artifacts_of_type("PushedModel")
            if a.custom_properties["pushed_version"].string_value == version and a.state == pb.Artifact.LIVE
        ]
        if not pushed:
            known = sorted({a.custom_properties["pushed_version"].string_value for a in self._artifacts_of_type("PushedModel")})
            raise GraftError(f"{self.path}: no push of version {version}; pushed versions: {', '.join(known) or 'none'}")
        frontier, seen = [pushed[-1].id], {}
        while frontier:
            events = self._store.get_events_by_artifact_ids(frontier)
            produced_by = {e.execution_id for e in events if e.type == pb.Event.OUTPUT}
            new = [e for e in self._store.get_executions_by_id(sorted(produced_by)) if e.id not in seen]
            new = [e for e in new if e.last_known_state == _COMPLETE]
            seen.update({e.id: e for e in new})
            inputs = self._store.get_events_by_execution_ids([e.id for e in new]) if new else []
            frontier = [e.artifact_id for e in inputs if e.type == pb.Event.INPUT]
        return [self._describe(seen[i]) for i in sorted(seen)]

    def _artifacts_of_type(self, name: str) -> list[pb.Artifact]:
        with _missing_is_empty():
            return sorted(self._store.get_artifacts_by_type(name), key=lambda a: a.id)
        return []

    def _describe(self, execution: pb.Execution) -> Execution:
        contexts = self._store.get_contexts_by_execution(execution.id)
        types = {t.id: t.name for t in self._store.get_context_types_by_id(list({c.type_id for c in contexts}))}
        stage = next(c.name.split(".", 1)[1] for c in contexts if types[c.type_id] == _NODE)
        outputs = {}
        events = [e for e in self._store.get_events_by_execution_ids([execution.id]) if e.type == pb.Event.OUTPUT]
        found = {a.id: a for a in self._store.get_artifacts_by_id([e.artifact_id for e in events])}
        for event in events:
            artifact = found[event.artifact_id]
            properties = {k: _value(v) for k, v in [*artifact.properties.items(), *artifact.custom_properties.items()]}
            outputs[event.path.steps[0].key] = Artifact(artifact.type, artifact.uri, properties)
        began, ended = execution.create_time_since_epoch / 1e3, execution.last_update_time_since_epoch / 1e3
        return Execution(
            execution.id,
            stage,
            pb.Execution.State.Name(execution.last_known_state),
            datetime.datetime.fromtimestamp(began, datetime.UTC),
            ended - began,
            {k: _value(v) for k, v in execution.custom_properties.items() if not k.startswith("__")},
            outputs,
        )


@contextlib.contextmanager
def _missing_is_empty() -> Iterator[None]:
    """A type that was never used is not in the store yet."""
    from ml_metadata import errors

    with contextlib.suppress(errors.NotFoundError):
        yield


def _value(value: pb.Value) -> Any:
    kind = value.WhichOneof("value")
    plain = getattr(value, kind) if kind else None
    if isinstance(plain, str) and plain[:1] in "{[":
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(plain)
    return plain
