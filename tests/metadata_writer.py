"""Writes into a metadata store what TFX writes, without running anything."""

import json
import pathlib
from typing import Any

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from graft.pipeline.metadata import FILE_NAME

_STATES = {name: pb.Execution.State.Value(name) for name in ("COMPLETE", "CACHED", "FAILED", "RUNNING")}


class MetadataWriter:
    """A store of one pipeline.

    Args:
        root: folder of the pipeline; made if need be.
        pipeline: its name, the first half of the names of its nodes.
    """

    def __init__(self, root: pathlib.Path, pipeline: str = "demo"):
        root.mkdir(parents=True, exist_ok=True)
        self._pipeline = pipeline
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(root / FILE_NAME)
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self._store = metadata_store.MetadataStore(config)

    def artifact(self, kind: str, uri: str, **properties: str) -> int:
        """Adds a live artifact and returns its id."""
        kind_id = self._store.put_artifact_type(pb.ArtifactType(name=kind))
        artifact = pb.Artifact(type_id=kind_id, uri=uri, state=pb.Artifact.LIVE)
        for name, value in properties.items():
            artifact.custom_properties[name].string_value = value
        return self._store.put_artifacts([artifact])[0]

    def execution(
        self,
        run_id: str,
        stage: str,
        outputs: dict[str, int],
        inputs: dict[str, int] | None = None,
        state: str = "COMPLETE",
        **parameters: Any,
    ) -> int:
        """Adds a stage of a run and returns its id; parameters that are no strings are written as JSON."""
        kind_id = self._store.put_execution_type(pb.ExecutionType(name=f"components.{stage}"))
        execution = pb.Execution(type_id=kind_id, last_known_state=_STATES[state])
        for name, value in parameters.items():
            execution.custom_properties[name].string_value = value if isinstance(value, str) else json.dumps(value)
        contexts = []
        named = {"pipeline": self._pipeline, "pipeline_run": run_id, "node": f"{self._pipeline}.{stage}"}
        for kind, name in named.items():
            context = pb.Context(type_id=self._store.put_context_type(pb.ContextType(name=kind)), name=name)
            context.type = kind
            known = self._store.get_context_by_type_and_name(kind, name)
            contexts.append(known or context)
        given = [(i, name, pb.Event.INPUT) for name, i in (inputs or {}).items()]
        made = [(i, name, pb.Event.OUTPUT) for name, i in outputs.items()]
        execution_id, _, _ = self._store.put_execution(execution, [], contexts)
        events = []
        for artifact_id, name, kind in given + made:
            event = pb.Event(artifact_id=artifact_id, execution_id=execution_id, type=kind)
            event.path.steps.add().key = name
            event.path.steps.add().index = 0
            events.append(event)
        if events:
            self._store.put_events(events)
        return execution_id
