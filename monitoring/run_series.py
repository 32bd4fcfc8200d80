"""Series of pipelines' runs, from the `run.json` that each leaves in its folder. Takes no lock and loads no TFX.

What is read once is kept, so a look at thousands of runs costs a `stat` each.
"""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from graft.models import durable
from graft.models.errors import GraftError
from graft.models.text import located
from graft.monitoring.exposition import head, line
from graft.pipeline import holder
from graft.pipeline.result_file import FILE_NAME, is_number, numbers

STATUSES = ("passed", "gate_closed", "failed", "interrupted", "running", "unfinished")
"""As `run.json` has them; without that file a run is under way, or nobody knows what became of it."""
_MOST_BYTES = 1 << 26

_OF_LAST_RUN = {
    "start_timestamp_seconds": "Start of the last run, since 1970.",
    "end_timestamp_seconds": "End of the last run, since 1970; absent while it is under way.",
    "duration_seconds": "Duration of the last run; of one under way absent.",
    "gates_closed": "Gates that the last run closed.",
}


@dataclasses.dataclass(frozen=True)
class Run:
    """What is known of one run; times in seconds since 1970, None where nobody wrote them down.

    `stages` are seconds by name, `metrics` those that are one number, `version` is the pushed one.
    """

    status: str
    started: float | None = None
    ended: float | None = None
    gates_closed: int = 0
    stages: Mapping[str, float] = dataclasses.field(default_factory=dict)
    reason: str = ""
    version: int | None = None
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)


class Runs:
    """The runs below a folder of pipelines.

    Args:
        root: as of `graft runs --root`.
        every: seconds in which a run of each pipeline is expected, None if nobody expects one.
    """

    def __init__(self, root: pathlib.Path, every: float | None = None):
        self._root, self._every = root, every
        self._read: dict[pathlib.Path, tuple[tuple[int, int], Run | None]] = {}

    def lines(self) -> list[str]:
        """All series in the text format. Raises GraftError: the folder cannot be read."""
        found = {name: list(self.of(folder).values()) for name, folder in self.pipelines().items()}
        return list(_lines(found, self._every))

    def pipelines(self) -> dict[str, pathlib.Path]:
        """The folder of each pipeline's runs, by name. Raises GraftError: the folder cannot be read."""
        try:
            found = {path.parent.name: path for path in sorted(self._root.glob("*/runs")) if path.is_dir()}
            if not found:
                list(self._root.iterdir())  # a folder that is not there must not look like one without runs
        except OSError as error:
            raise GraftError(f"{located(self._root)}: {error.strerror}") from error
        return found

    def of(self, folder: pathlib.Path) -> dict[str, Run | None]:
        """The runs of a pipeline by id, oldest first: the names are times. None is one whose file says nothing sound.

        Args:
            folder: of `pipelines`.

        Raises:
            GraftError: it cannot be read.
        """
        try:
            runs = {path.name: self._run(path / FILE_NAME) for path in sorted(folder.iterdir()) if path.is_dir()}
        except OSError as error:
            raise GraftError(f"{folder}: {error.strerror}") from error
        found = holder.read(folder.parent)
        run = runs.get(found.run) if found is not None else None
        # Of one on another machine nobody here can tell; it is not called dead.
        if found is not None and run is not None and run.status == "unfinished" and (found.lives or found.elsewhere):
            runs[found.run] = dataclasses.replace(run, status="running")
        return runs

    def _run(self, path: pathlib.Path) -> Run | None:
        try:
            state = path.stat()
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                return Run("unfinished", started=path.parent.stat().st_mtime)
            return Run("unfinished")
        known = (state.st_size, state.st_mtime_ns)
        if self._read.get(path, (None, None))[0] != known:
            self._read[path] = (known, _parsed(path, state.st_mtime))
        return self._read[path][1]


def _parsed(path: pathlib.Path, changed: float) -> Run | None:
    try:
        value = json.loads(durable.read_small(path, _MOST_BYTES))
        stages = {str(stage["name"]): float(stage["seconds"]) for stage in value["stages"]}
        status, metrics = value["status"], value.get("metrics") or {}
        if status not in STATUSES:
            return None
        return Run(
            status=status,
            # Runs before these two were written down: stages follow one another, and the file is written last.
            started=_time(value.get("started"), changed - sum(stages.values())),
            ended=_time(value.get("ended"), changed),
            gates_closed=sum(not gate["passed"] for gate in value["gates"]),
            stages=stages,
            reason=str(value.get("reason") or ""),
            version=version if isinstance(version := value.get("model_version"), int) else None,
            metrics={name: float(held) for name, held in numbers(metrics).items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _time(value: Any, otherwise: float) -> float:
    return float(value) if is_number(value) else otherwise


def _lines(found: Mapping[str, list[Run | None]], every: float | None) -> Iterator[str]:
    name = "graft_pipeline_runs"
    yield from head(name, "gauge", "Runs that have left something on disk.")
    for pipeline, runs in found.items():
        for status in STATUSES:
            count = sum(run is not None and run.status == status for run in runs)
            yield line(name, [("pipeline", pipeline), ("status", status)], count)
    name = "graft_pipeline_unreadable_runs"
    yield from head(name, "gauge", "Runs whose run.json is damaged.")
    for pipeline, runs in found.items():
        yield line(name, [("pipeline", pipeline)], sum(run is None for run in runs))
    last = {pipeline: known[-1] for pipeline, runs in found.items() if (known := [run for run in runs if run])}
    name = "graft_pipeline_last_run_status"
    yield from head(name, "gauge", "1 for the status of the last run.")
    for pipeline, run in last.items():
        yield from (
            line(name, [("pipeline", pipeline), ("status", status)], int(run.status == status)) for status in STATUSES
        )
    values = {pipeline: _of_last(run) for pipeline, run in last.items()}
    for what, text in _OF_LAST_RUN.items():
        name = f"graft_pipeline_last_run_{what}"
        yield from head(name, "gauge", text)
        for pipeline, of_run in values.items():
            value = of_run[what]
            if value is not None:
                yield line(name, [("pipeline", pipeline)], value)
    name = "graft_pipeline_last_success_timestamp_seconds"
    yield from head(name, "gauge", "End of the last run that passed, since 1970.")
    for pipeline, runs in found.items():
        passed = [run.ended for run in runs if run is not None and run.status == "passed" and run.ended is not None]
        if passed:
            yield line(name, [("pipeline", pipeline)], passed[-1])
    name = "graft_pipeline_stage_duration_seconds"
    yield from head(name, "gauge", "Stages of the last run that has ended.")
    for pipeline, run in last.items():
        yield from (line(name, [("pipeline", pipeline), ("stage", stage)], s) for stage, s in run.stages.items())
    if every is not None:
        name = "graft_pipeline_expected_interval_seconds"
        yield from head(name, "gauge", "In which a run is expected.")
        yield from (line(name, [("pipeline", pipeline)], every) for pipeline in found)


def _of_last(run: Run) -> dict[str, float | None]:
    took = None if run.started is None or run.ended is None else max(0.0, run.ended - run.started)
    return {
        "start_timestamp_seconds": run.started,
        "end_timestamp_seconds": run.ended,
        "duration_seconds": took,
        "gates_closed": run.gates_closed if run.ended is not None else None,
    }
