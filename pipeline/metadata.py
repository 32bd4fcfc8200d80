"""What the metadata store knows: runs, stages, artifacts, and what made a pushed model."""

import contextlib
import dataclasses
import datetime
import json
import pathlib
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from graft.models.errors import GraftError, one_line

FILE_NAME = "metadata.sqlite"
_RUN, _NODE, _PUSHED = "pipeline_run", "node", "PushedModel"
_FINISHED = ("COMPLETE", "CACHED")


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact: its type's name, where it lies and its properties."""

    type: str
    uri: str
    properties: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Execution:
    """One stage of one run.

    Attributes:
        id: in the metadata store.
        run_id: the run it was part of.
        stage: the component's id.
        state: COMPLETE, CACHED, FAILED, or RUNNING: under way, or killed.
        started: UTC.
        seconds: from registration to the last update; next to nothing for a cached or killed one.
        parameters: the component's parameters; JSON ones are parsed.
        outputs: artifacts by output name.
    """

    id: int
    run_id: str
    stage: str
    state: str
    started: datetime.datetime
    seconds: float
    parameters: dict[str, Any]
    outputs: dict[str, Artifact]


class Metadata:
    """Reads one pipeline's SQLite metadata.

    Args:
        root: folder of the pipeline (`runs/NAME`).
        read_only: whether the file must stay as it is. One that a killed run left half-written cannot be read then.

    Raises:
        GraftError: there is no metadata store, or the file is none.
    """

    def __init__(self, root: pathlib.Path, read_only: bool = False):
        self.path = root / FILE_NAME
        if not self.path.is_file():
            raise GraftError(f"{self.path}: no metadata store; `graft run` makes it")
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(self.path)
        modes = pb.SqliteMetadataSourceConfig
        # As a rule not read-only, though reading writes nothing: SQLite rolls back what a killed run left half-written.
        config.sqlite.connection_mode = modes.READONLY if read_only else modes.READWRITE
        try:
            self._store = metadata_store.MetadataStore(config)
        except RuntimeError as error:
            if read_only and self.path.with_name(f"{FILE_NAME}-journal").exists():
                raise GraftError(f"{self.path}: half-written by a run that died; `graft runs` mends it") from None
            raise GraftError(f"{self.path}: not a metadata store: {one_line(error, None)}") from None

    def runs(self) -> list[str]:
        """Ids of the runs, oldest first."""
        return [c.name for c in sorted(self._store.get_contexts_by_type(_RUN), key=lambda c: c.id)]

    def executions(self, run_id: str) -> list[Execution]:
        """The stages of a run in the order they began.

        Raises:
            GraftError: no such run.
        """
        context = self._store.get_context_by_type_and_name(_RUN, run_id)
        if context is None:
            raise GraftError(
                f"{self.path}: no run {run_id!r}; the latest runs: {', '.join(self.runs()[-5:]) or 'none'}"
            )
        return self._describe(self._store.get_executions_by_context(context.id))

    def outputs(self, run_id: str) -> dict[str, dict[str, Artifact]]:
        """Artifacts of the finished stages of a run, by stage and output name."""
        return {e.stage: e.outputs for e in self.executions(run_id) if e.state in _FINISHED}

    def remove_unfinished(self) -> list[pathlib.Path]:
        """Removes the folders of executions that failed or were killed; no run may be under way.

        TFX lays them at `artifacts/STAGE/OUTPUT/ID` and `artifacts/STAGE/.system/KIND/ID`.

        Returns:
            what was removed.
        """
        stages = self.path.parent / "artifacts"
        folders = [f for pattern in ("*/*/*", "*/.system/*/*") for f in stages.glob(pattern) if f.name.isdecimal()]
        ids = sorted({int(folder.name) for folder in folders})
        found = self._store.get_executions_by_id(ids) if ids else []
        unfinished = {e.id for e in found if pb.Execution.State.Name(e.last_known_state) not in _FINISHED}
        removed = [folder for folder in folders if int(folder.name) in unfinished]
        for folder in removed:
            shutil.rmtree(folder)
        return removed

    def give_up(self, run_id: str) -> None:
        """Ends what a run that is over has left: its unfinished executions count as failed, their folders go."""
        self.remove_unfinished()  # first: on a full disk it makes the room to write the rest
        context = self._store.get_context_by_type_and_name(_RUN, run_id)
        found = self._store.get_executions_by_context(context.id) if context else []
        running = [e for e in found if e.last_known_state == pb.Execution.RUNNING]
        for execution in running:
            execution.last_known_state = pb.Execution.FAILED
        if running:
            self._store.put_executions(running)

    def work(self, run_id: str) -> list[Execution]:
        """The executions behind a run's finished stages, in the order of the stages.

        Where the run took a stage from the cache, the execution of the earlier run that did the work stands for it.
        """
        stages = [e for e in self.executions(run_id) if e.state in _FINISHED]
        cached = [e.id for e in stages if e.state == "CACHED"]
        outputs: dict[int, list[int]] = {}
        for event in self._events(cached, pb.Event.OUTPUT):
            outputs.setdefault(event.execution_id, []).append(event.artifact_id)
        makers = {e.id: e for e in self._producers({i for ids in outputs.values() for i in ids})}
        made = {e.artifact_id: e.execution_id for e in self._events(list(makers), pb.Event.OUTPUT)}
        did = {execution: makers[made[ids[0]]] for execution, ids in outputs.items() if ids[0] in made}
        return [did.get(e.id, e) for e in stages]

    def links(self, executions: Sequence[Execution]) -> list[tuple[int, str, int]]:
        """Which of some executions took what another made: id of the maker, its output's name, id of the taker."""
        ids = [e.id for e in executions]
        made = {
            e.artifact_id: (e.execution_id, e.path.steps[0].key)
            for e in self._events(ids, pb.Event.OUTPUT)
            if e.path.steps
        }
        taken = {(e.artifact_id, e.execution_id) for e in self._events(ids, pb.Event.INPUT) if e.artifact_id in made}
        return sorted((*made[artifact], taker) for artifact, taker in taken)

    def lineage(self, version: str, store_id: str | None = None) -> list[Execution]:
        """The executions that made a pushed version, in the order of the stages; the push is the last.

        A push of content that the store has already returns the version that is there: the first push made it. In a
        store that was made anew the numbers begin again: the newest store counts.

        Args:
            version: number in the model store.
            store_id: which store; needed where several folders hold a store that this version was pushed to.

        Raises:
            GraftError: no push of that version is on record, or one to each of several stores.
        """
        pushed: dict[str, list[int]] = {}
        for artifact in self._store.get_artifacts_by_type(_PUSHED):
            if artifact.state == pb.Artifact.LIVE and "pushed_version" in artifact.custom_properties:
                pushed.setdefault(artifact.custom_properties["pushed_version"].string_value, []).append(artifact.id)
        if version not in pushed:
            known = ", ".join(sorted(pushed, key=lambda v: (len(v), v))) or "none"
            raise GraftError(f"{self.path}: no push of version {version!r}; pushed versions: {known}")
        pushes = self._producers(pushed[version])
        if store_id is None:
            folders = {push.outputs["pushed_model"].properties.get("pushed_destination", "") for push in pushes}
            if len(folders) > 1:
                raise GraftError(
                    f"{self.path}: version {version} was pushed to {' and to '.join(sorted(folders))}; "
                    "choose the store with --store"
                )
            store_id = pushes[-1].parameters["store_id"]
        runs = [push.run_id for push in pushes if push.parameters["store_id"] == store_id]
        if not runs:
            raise GraftError(f"{self.path}: no push of version {version!r} to the store {store_id}")
        return self.work(runs[0])

    def _producers(self, artifacts: Iterable[int]) -> list[Execution]:
        """The executions that made artifacts; cached ones, which have them as outputs too, did not."""
        ids = list(artifacts)
        events = self._store.get_events_by_artifact_ids(ids) if ids else []
        made_by = {e.execution_id for e in events if e.type == pb.Event.OUTPUT}
        found = self._store.get_executions_by_id(sorted(made_by)) if made_by else []
        return self._describe(e for e in found if e.last_known_state == pb.Execution.COMPLETE)

    def _events(self, executions: Sequence[int], kind: int) -> list[pb.Event]:
        events = self._store.get_events_by_execution_ids(executions) if executions else []
        return [e for e in events if e.type == kind]

    def _describe(self, executions: Iterable[pb.Execution]) -> list[Execution]:
        executions = sorted(executions, key=lambda e: e.id)
        events = self._events([e.id for e in executions], pb.Event.OUTPUT)
        ids = sorted({e.artifact_id for e in events})
        artifacts = {a.id: _artifact(a) for a in (self._store.get_artifacts_by_id(ids) if ids else [])}
        outputs: dict[int, dict[str, Artifact]] = {e.id: {} for e in executions}
        for event in events:
            outputs[event.execution_id][event.path.steps[0].key] = artifacts[event.artifact_id]
        described = []
        for execution in executions:
            names = {c.type: c.name for c in self._store.get_contexts_by_execution(execution.id)}
            began, ended = execution.create_time_since_epoch / 1e3, execution.last_update_time_since_epoch / 1e3
            described.append(
                Execution(
                    id=execution.id,
                    run_id=names[_RUN],
                    stage=names[_NODE].rpartition(".")[2],  # PIPELINE.STAGE; the pipeline's name may hold dots
                    state=pb.Execution.State.Name(execution.last_known_state),
                    started=datetime.datetime.fromtimestamp(began, datetime.UTC),
                    seconds=ended - began,
                    parameters=_values(execution.custom_properties),
                    outputs=outputs[execution.id],
                )
            )
        return described


def _artifact(artifact: pb.Artifact) -> Artifact:
    return Artifact(
        artifact.type, artifact.uri, {**_values(artifact.properties), **_values(artifact.custom_properties)}
    )


def _values(properties: Any) -> dict[str, Any]:
    return {name: parsed(_plain(value)) for name, value in properties.items() if not name.startswith("__")}


def _plain(value: pb.Value) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def parsed(plain: Any) -> Any:
    """A property or a parameter; JSON objects and lists as what they hold."""
    if isinstance(plain, str) and plain[:1] in ("{", "["):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(plain)
    return plain
