"""The first stages of a pipeline, for commands that need their data and no model. A run takes them from the cache."""

import pathlib
import time

from graft.components import gates
from graft.components.beam import LOCAL_BEAM_ARGS
from graft.components.ingest.fingerprint import fingerprint
from graft.components.ingest.preflight import check_source
from graft.pipeline import prepare, stages
from graft.pipeline.config import Config
from graft.pipeline.metadata import FILE_NAME, Artifact, Metadata
from graft.pipeline.progress_view import ProgressView
from graft.pipeline.run import check_class_names, new_run_id
from graft.pipeline.running import StageRun, one_run_at_a_time
from graft.pipeline.stages.base import Keys

Outputs = dict[str, dict[str, Artifact]]


def run_until(config: Config, last: str, view: ProgressView, backbone: bool = False, wait: bool = False) -> Outputs:
    """Runs the stages up to `last` into the pipeline's own folder.

    Args:
        config: the pipeline.
        last: name of a stage before `train`.
        view: shows progress.
        backbone: whether the stages need the configured backbone; else it need not be there.
        wait: wait for another run of this pipeline instead of refusing.

    Returns:
        artifacts by stage and output name.

    Raises:
        GraftError: bad data or settings.
        GateClosed: the data gate closed.
    """
    prepare.check_paths(config)
    root = config.run_root.absolute()
    with one_run_at_a_time(root, wait, view.line) as note:
        found = check_source(config.request())
        if found.complete:
            check_class_names(config, found.classes)
        if (root / FILE_NAME).exists():
            Metadata(root).remove_unfinished()
        (root / "artifacts").mkdir(exist_ok=True)
        run_id = new_run_id()
        note(run_id)
        follower = _Follower(root, run_id, view)
        try:
            _run(config, root, follower, last, backbone)
        except BaseException:
            if (root / FILE_NAME).exists():
                Metadata(root).give_up(run_id)
            raise
        return follower.outputs


def _run(config: Config, root: pathlib.Path, follower: "_Follower", last: str, backbone: bool) -> None:
    # Imported here: TFX takes seconds, and what was checked above may have ended the command.
    from tfx.orchestration.metadata import sqlite_metadata_connection_config

    from graft.pipeline.graph import build_pipeline
    from graft.pipeline.local import LocalRunner

    keys = Keys(
        fingerprint=fingerprint(config.request()),
        code=prepare.code_version(),
        backbone=prepare.backbone_identity(config.backbone) if backbone else "",
        schema_file=prepare.pin_schema(config),
        run_key="",  # of stages from the quality gate on, which are not reached
        served=None,
        store_id="",
        pointer="",
        checkpoint_dir="",
    )
    connection = sqlite_metadata_connection_config(str(root / FILE_NAME))
    graph = build_pipeline(config, keys, str(root / "artifacts"), connection, LOCAL_BEAM_ARGS, last)
    LocalRunner(follower.run_id, follower).run(graph)


def _status(error: BaseException) -> str:
    if isinstance(error, gates.GateClosed):
        return "closed"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


class _Follower:
    """Shows each stage, reads its outputs, and stops at a closed gate (a `pipeline.running.Listener`)."""

    def __init__(self, root: pathlib.Path, run_id: str, view: ProgressView):
        self.run_id, self.outputs = run_id, Outputs()
        self._root, self._view = root, view

    def stage_started(self, stage: StageRun) -> None:
        self._view.started(stage)

    def stage_done(self, stage: StageRun) -> None:
        self.outputs[stage.name] = outputs = Metadata(self._root).outputs(self.run_id)[stage.name]
        room = stages.find(stage.name)
        assert room is not None
        checked = room.gates(outputs)
        gates.check(stage.name, checked)
        self._view.ended(stage)

    def stage_failing(self, stage: StageRun, error: BaseException) -> None:
        """Nothing to say before it is cleaned up."""

    def stage_failed(self, stage: StageRun, error: BaseException) -> None:
        stage.status = _status(error)
        self._view.ended(stage)


class Step:
    """Work of a command that is shown as a stage is; a context manager.

    Args:
        name: what is done, as reports of `models.progress` name it.
        view: shows it.
    """

    def __init__(self, name: str, view: ProgressView):
        self._stage, self._view = StageRun(name), view

    def __enter__(self) -> StageRun:
        self._began = time.perf_counter()
        self._view.started(self._stage)
        return self._stage

    def __exit__(self, kind, error, trace) -> None:
        self._stage.seconds = time.perf_counter() - self._began
        self._stage.status = "done" if error is None else _status(error)
        self._view.ended(self._stage)
