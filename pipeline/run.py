"""`graft run`: checks, then drives the graph through LocalDagRunner and says how it went."""

import datetime
import json
import logging
import pathlib
import signal
import time
from collections.abc import Callable, Collection

from graft.components import gates
from graft.components.baseline import find_baseline, pointer_state
from graft.components.beam import LOCAL_BEAM_ARGS
from graft.components.gates import GateClosed
from graft.components.ingest.fingerprint import fingerprint
from graft.components.ingest.preflight import SourceReport, check_source
from graft.models import progress
from graft.models.errors import GraftError
from graft.models.natural import natural_key
from graft.models.targets import make_target
from graft.pipeline import failures, prepare, result_file, settling, stages, trackers
from graft.pipeline.config import Config
from graft.pipeline.ending import CHECKPOINTS, INTERRUPTED, Ending, exit_code, interrupted_by, what_is_kept
from graft.pipeline.metadata import FILE_NAME, Artifact, Metadata
from graft.pipeline.progress_view import ProgressView
from graft.pipeline.result import RunResult
from graft.pipeline.running import StageRun, one_run_at_a_time
from graft.pipeline.stages.base import Keys, Ran, warned
from graft.pipeline.trackers import Followed, Trackers
from graft.serving.store import open_store

log = logging.getLogger(__name__)

_PROBED = 8


def _silent(_text: str) -> None:
    pass


def check(config: Config, tell: Callable[[str], None] = _silent) -> SourceReport:
    """What is checked before the first stage: the data can be listed, the backbone is a feature vector and fits.

    Args:
        config: the pipeline.
        tell: is told what takes long.

    Raises:
        GraftError: it is not so.
    """
    prepare.check_paths(config)
    report = check_source(config.request())
    if report.complete:
        check_class_names(config, report.classes)
    prepare.check_teacher(config, report.classes if report.complete else ())
    check_backbone(config, tell)
    return report


def check_class_names(config: Config, classes: Collection[str]) -> None:
    """Refuses weights and floors for classes that the data does not hold.

    Raises:
        GraftError: there is one.
    """
    for key, names in make_target(config.target).named(config.gates.model_dump()).items():
        unknown = sorted(set(names) - set(classes))
        if unknown:
            raise GraftError(
                f"{key}: {unknown[0]!r} is no class of the data; classes: {', '.join(sorted(classes, key=natural_key))}"
            )


def check_backbone(config: Config, tell: Callable[[str], None] = _silent, remember: bool = True) -> None:
    """Loads the backbone and runs a few examples of the data through it, once for each backbone, options and data.

    The data counts by its options, not by its content: what is judged is whether such examples suit the network.

    Args:
        config: the pipeline.
        tell: is told what takes long.
        remember: whether the pipeline's folder, which is made, keeps that it was done.

    Raises:
        GraftError: it cannot be loaded, is no feature vector, or does not fit (see `models.backbone.check_backbone`).
    """
    identity = prepare.backbone_identity(config.backbone)
    judged = [
        section.model_dump(mode="json") for section in (config.backbone, config.transfer, config.data, config.input)
    ]
    content = json.dumps([*judged, identity, prepare.code_version()])
    marker = config.run_root / "checked_backbone"
    if marker.is_file() and marker.read_text(encoding="utf-8") == content:
        return
    settling.tell_of_tensorflow(config, tell)
    # Imported here: a dry run over a local backbone that was checked before needs no TensorFlow.
    from graft.components.ingest.sample import sample_contents
    from graft.models import backbone as backbones
    from graft.models.inputs import make_input
    from graft.models.shared_backbone import own_backbone, shared_backbone
    from graft.models.transfer import reads_inputs

    input = make_input(config.input)
    trains = reads_inputs(config.transfer)
    loaded = (own_backbone if trains else shared_backbone)(config.backbone, input)
    found = sample_contents(config.request(), _PROBED)
    if len(found) < 2:
        log.warning(
            "backbone: %d usable %s at the start of the data; it is checked on drawn ones", len(found), input.unit
        )
    if input.unjudged:
        log.warning("backbone: %s", input.unjudged)
    backbones.check_backbone(loaded, found)
    if trains:
        loaded.unfreeze(getattr(config.transfer, "unfreeze", 1.0))
    if remember:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(content, encoding="utf-8")


def run(
    config: Config,
    view: ProgressView,
    run_id: str | None = None,
    from_stage: str | None = None,
    wait: bool = False,
    end: Ending | None = None,
) -> RunResult:
    """Runs the pipeline once.

    Args:
        config: the pipeline.
        view: shows progress.
        run_id: name of the run; by default the time.
        from_stage: this stage and those after it run even if the cache has them.
        wait: wait for another run of this pipeline instead of refusing.
        end: of the command that runs it; it hears of signals and bounds the end of a run that cannot go on.

    Returns:
        the result; a closed gate is a result, and so is a stage that failed, and a signal.

    Raises:
        GraftError: bad data, backbone or settings, or a tracker that does not answer, found before the first stage.
    """
    end = end or Ending()
    prepare.check_paths(config)  # before anything is written there
    prepare.check_places(config)
    stages.check_from(config, from_stage)
    told = trackers.opened(config)
    root = config.run_root.absolute()
    with one_run_at_a_time(root, wait, view.line) as note:
        known, artifacts = (root / FILE_NAME).exists(), root / "artifacts"
        if known and not artifacts.is_dir():
            raise GraftError(f"{root}: the artifacts folder is gone, but {FILE_NAME} still names it; remove that too")
        if not known and artifacts.is_dir() and any(artifacts.iterdir()):
            raise GraftError(f"{root}: {FILE_NAME} is gone, but the artifacts folder is there; remove or move that too")
        told.check()
        settlement = settling.settle(config, view.preparing)
        config = settlement.config
        check(config, view.preparing)
        if known:
            Metadata(root).remove_unfinished()
        # Before TFX makes the metadata: the two are there together, wherever a run is killed.
        artifacts.mkdir(exist_ok=True)
        result = RunResult(run_id or new_run_id(), warnings=list(settlement.warnings), input=settlement.to_json())
        folder = root / "runs" / result.run_id
        note(result.run_id)  # before its folder is there
        folder.mkdir(parents=True)
        follower = _Follower(config, root, result, view, end)
        run = Followed(config, result, folder, root, follower.outputs, lambda: Metadata(root).work(result.run_id))
        sink = progress.set_sink(view.report)
        try:
            end.begin(result, folder)
            told.begin(run)
            view.preparing(f"{config.name}: loading TFX")
            _run_graph(config, root, follower, from_stage)
            result.status = "passed"
        except BaseException as error:
            _judge(result, error, end, root)
        end.closing()
        result.ended = time.time()
        progress.set_sink(sink)
        _write(run, root, told)
        return result


def _judge(result: RunResult, error: BaseException, end: Ending, root: pathlib.Path) -> None:
    """Status, reason and exit code of a run that did not pass."""
    if isinstance(error, GateClosed):
        result.status, result.reason, result.exit_code = "gate_closed", str(error), failures.EXIT_GATE
        # A gate that closes by raising has no artifact that was read.
        result.gates.extend(gate for gate in error.gates if gate not in result.gates)
        return
    result.failure = error
    if end.number is not None or isinstance(error, KeyboardInterrupt):
        # Beam and others answer an interrupt with errors of their own.
        number = end.number or signal.SIGINT
        result.status, result.reason, result.exit_code = (
            INTERRUPTED,
            interrupted_by(number, result.stage, what_is_kept(result.finished, root)),
            exit_code(number),
        )
    else:
        result.reason, result.exit_code = failures.explain(error, result.stage, root)


def _write(run: Followed, root: pathlib.Path, told: Trackers) -> None:
    """Leaves nothing half-done, then writes what is known of the run, the important first; raises nothing."""
    config, result, folder = run.config, run.result, run.folder
    if result.failure is not None and (root / FILE_NAME).exists():
        _try("what the run left", lambda: Metadata(root).give_up(result.run_id))
    kind = failures.kind_of(result.failure) if result.failure is not None else None
    # Before the report, which may take long or fail, and after it, when its path is known.
    saved = _try(result_file.FILE_NAME, lambda: _save(config, result, folder), known=kind == failures.DISK)
    told.end(run)  # its warnings stand in the report
    if not saved:
        return
    # For a failed run too: that is when it is read.
    # Imported here: it reads artifacts with TensorFlow.
    from graft.pipeline.report import CARD_FILE, write_report

    why_plain = failures.EXHAUSTED[kind] if kind in (failures.MEMORY, failures.THREADS) else None
    report = write_report(config, result, run.outputs, folder, why_plain)
    result.report = None if report is None else str(report)
    _try(result_file.FILE_NAME, lambda: _save(config, result, folder))
    warnings = len(result.warnings)
    told.attach(run, (result_file.FILE_NAME, result_file.REPORT_FILE, CARD_FILE))
    if len(result.warnings) > warnings:
        _try(result_file.FILE_NAME, lambda: _save(config, result, folder))


def _save(config: Config, result: RunResult, folder: pathlib.Path) -> None:
    result_file.save(result.to_json() | {"config": config.of_the_run()}, folder)


def _try(what: str, write: Callable[[], object], known: bool = False) -> bool:
    """Whether it was written; the reason of the run already says why not where that is `known`."""
    try:
        write()
    except Exception as error:  # it must not hide how the run went
        log.log(logging.INFO if known else logging.ERROR, "%s could not be written: %s", what, error)
        return False
    return True


def new_run_id() -> str:
    """The time in UTC, to the millisecond; sorts by age."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]


def _run_graph(config: Config, root: pathlib.Path, follower: "_Follower", from_stage: str | None) -> None:
    # Imported here: TFX takes 9 s, and what was checked above may have ended the run.
    from tfx.orchestration.metadata import sqlite_metadata_connection_config

    from graft.pipeline.graph import build_pipeline
    from graft.pipeline.local import LocalRunner

    keys = make_keys(config)
    connection = sqlite_metadata_connection_config(str(root / FILE_NAME))
    graph = build_pipeline(config, keys, str(root / "artifacts"), connection, LOCAL_BEAM_ARGS)
    LocalRunner(follower.result.run_id, follower, from_stage).run(graph)


def make_keys(config: Config) -> Keys:
    """Looks at data, code, backbone, schema and store."""
    store = open_store(config.store)
    store.require_writable()
    data, code = fingerprint(config.request()), prepare.code_version()
    backbone = prepare.backbone_identity(config.backbone)
    transfer = prepare.pinned_transfer(config)
    key = prepare.run_key(config, data, code, backbone, transfer.get("teacher_sha256"))
    return Keys(
        fingerprint=data,
        code=code,
        backbone=backbone,
        transfer=transfer,
        schema_file=prepare.pin_schema(config),
        run_key=key,
        served=find_baseline(store, config.name, key),
        store_id=store.store_id,
        pointer=pointer_state(store, config.name, key),
        checkpoint_dir=str(config.run_root.absolute() / CHECKPOINTS),
    )


class _Follower:
    """Listens to the runner: shows each stage, reads its outputs, stops the run at a closed gate."""

    def __init__(self, config: Config, root: pathlib.Path, result: RunResult, view: ProgressView, end: Ending):
        self._config, self.root, self.result, self._view, self._end = config, root, result, view, end
        self.outputs: dict[str, dict[str, Artifact]] = {}

    def stage_started(self, stage: StageRun) -> None:
        self.result.stages.append(stage)
        self._end.go_on()
        self._view.started(stage)

    def stage_done(self, stage: StageRun) -> None:
        self.outputs[stage.name] = Metadata(self.root).outputs(self.result.run_id)[stage.name]
        room, outputs = stages.find(stage.name), self.outputs[stage.name]
        if room is not None:
            stage.result = room.line(self.result, outputs)
            self.result.warnings.extend(warned(room, Ran(self._config, self.result, self.outputs)))
            checked = room.gates(outputs)
            self.result.gates.extend(checked)
            gates.check(stage.name, checked)
        self._view.ended(stage)

    def stage_failing(self, stage: StageRun, error: BaseException) -> None:
        if failures.kind_of(error) is not None:
            self._end.failing(*failures.explain(error, stage.name, self.root))

    def stage_failed(self, stage: StageRun, error: BaseException) -> None:
        interrupted = self._end.number is not None or isinstance(error, KeyboardInterrupt)
        stage.status = "closed" if isinstance(error, GateClosed) else INTERRUPTED if interrupted else "failed"
        self._view.ended(stage)
