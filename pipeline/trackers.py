"""Who is told how runs went: experiment trackers such as MLflow, which a package registers by entry point.

A layer above names what makes a tracker under the entry point group `graft.trackers` (setup.py):
`mlflow = graft.monitoring.tracking.mlflow_tracker:opened`. It is called with a configuration and gives a `Tracker`, or
None where the configuration asks for none; until then it imports nothing of the tracker's own.

A tracker that cannot be used stops a run before its first stage, in one line. From then on it cannot: what fails is a
warning of the run, and the run's result stands.
"""

import contextlib
import dataclasses
import json
import logging
import pathlib
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from graft.models import entry_points
from graft.models.errors import GraftError
from graft.models.run_warning import RunWarning
from graft.models.text import printable
from graft.pipeline import result_file
from graft.pipeline.compare import flat
from graft.pipeline.config import Config
from graft.pipeline.lineage import describe_run
from graft.pipeline.metadata import Artifact, Execution
from graft.pipeline.result import RunResult

GROUP = "graft.trackers"
WARNING = "tracker"
"""Code of the warning that a tracker was not told of all of a run."""

_WHAT = "tracker"
_INTERVAL = "_interval"
_LONGEST = 300
_GIT_S = 5.0

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Followed:
    """A run, as a tracker sees it.

    Attributes:
        config: of the pipeline.
        result: how it goes; once it is over, how it went.
        folder: of the run, with `run.json` and, last, the report and the model card.
        root: of the pipeline, where a tracker may keep a file between runs; None where it does not outlive the run.
        outputs: artifacts of the finished stages by stage and output name; they grow.
        work: gives the executions behind the finished stages.
    """

    config: Config
    result: RunResult
    folder: pathlib.Path
    root: pathlib.Path | None
    outputs: Mapping[str, Mapping[str, Artifact]]
    work: Callable[[], Sequence[Execution]]


class Tracker(Protocol):
    """Is told of one run. Whatever goes wrong is a GraftError; it bounds for itself how long it waits."""

    def check(self) -> None:
        """Asked before anything is written: can a run be tracked? Raises GraftError: not, and what to do."""

    def begin(self, run: Followed) -> None:
        """The run has a name, and its first stage is next."""

    def end(self, run: Followed) -> None:
        """The run is over, whatever its status; its report is not there yet."""

    def attach(self, run: Followed, files: Sequence[pathlib.Path]) -> None:
        """After `end`: files that belong to the run."""


class Trackers:
    """The trackers of a run, by name; what they raise at its end becomes a warning of the run, one for each."""

    def __init__(self, trackers: Mapping[str, Tracker]):
        self._trackers = dict(trackers)
        self._missed: set[str] = set()

    def check(self) -> None:
        """Raises GraftError: one of them cannot be used."""
        for tracker in self._trackers.values():
            tracker.check()

    def begin(self, run: Followed) -> None:
        """Tells all; raises nothing. Who could not be told yet is told at the end."""
        for name, tracker in self._trackers.items():
            with self._guarded(name, None):
                tracker.begin(run)

    def end(self, run: Followed) -> None:
        """Tells all; raises nothing."""
        for name, tracker in self._trackers.items():
            with self._guarded(name, run.result):
                tracker.end(run)

    def attach(self, run: Followed, names: Sequence[str]) -> None:
        """Gives all of them the files of the run's folder that are there; raises nothing."""
        files = [path for path in (run.folder / name for name in names) if path.is_file()]
        for name, tracker in self._trackers.items():
            with self._guarded(name, run.result):
                tracker.attach(run, files)

    @contextlib.contextmanager
    def _guarded(self, name: str, result: RunResult | None) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of whatever package: it must not change how a run went
            log.info("tracker %s", name, exc_info=True)
            if result is None or name in self._missed:
                return
            self._missed.add(name)
            told = str(error) if isinstance(error, GraftError) else f"{type(error).__name__}: {error}"
            result.warnings.append(RunWarning(WARNING, f"{name} was not told of all of this run: {shortened(told)}"))


def opened(config: Config) -> Trackers:
    """The trackers that a configuration asks for.

    Raises:
        GraftError: the package of one is not installed, or a package registered what cannot be used.
    """
    found = {name: entry_points.load(entry, _WHAT)(config) for name, entry in entry_points.find(GROUP, _WHAT).items()}
    return Trackers({name: tracker for name, tracker in found.items() if tracker is not None})


def follow(run: Followed, names: Sequence[str]) -> None:
    """Tells the trackers of a run that is over already, and gives them its files; what fails is a warning of the run.

    Args:
        run: as far as it is known.
        names: of files in its folder; one that is not there is left out.
    """
    try:
        told = opened(run.config)
    except GraftError as error:
        run.result.warnings.append(RunWarning(WARNING, shortened(f"this run is not tracked: {error}")))
        return
    told.begin(run)
    told.end(run)
    told.attach(run, names)


def shortened(text: str) -> str:
    """One visible line of at most 300 characters."""
    return textwrap.shorten(printable(" ".join(text.split())), _LONGEST)


def parameters(config: Config) -> dict[str, str]:
    """What decides the outcome of a run, a text by key: `transfer.method`."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in flat(config.of_the_run()).items()
    }


def metrics(run: Followed) -> dict[str, float]:
    """The figures of the test split, their intervals and the gates, a finite number by name.

    An interval is `NAME_low` and `NAME_high`. A gate is `gate/NAME` (1 open, 0 closed), with what was measured and its
    limit as `gate/NAME/value` and `gate/NAME/limit`.
    """
    found: dict[str, float | None] = dict(result_file.numbers(run.result.metrics))
    for name, value in _candidate(run).items():
        if name.endswith(_INTERVAL) and isinstance(value, list) and len(value) == 2:
            before = name.removesuffix(_INTERVAL)
            found |= {f"{before}_low": value[0], f"{before}_high": value[1]}
    for gate in run.result.gates:
        verdict = f"gate/{gate.name}"
        found |= {verdict: int(gate.passed), f"{verdict}/value": gate.value, f"{verdict}/limit": gate.limit}
    found |= {f"seconds/{stage.name}": stage.seconds for stage in run.result.stages}
    return {name: float(value) for name, value in found.items() if value is not None and result_file.is_number(value)}


def epochs(run: Followed) -> list[dict[str, float]]:
    """Loss and figures of each epoch of the training, in order; empty where none was trained."""
    history = _json(run, "train", "model_run", "history.json")
    return [result_file.numbers(epoch) for epoch in history.get("epochs", ())]


def facts(run: Followed) -> dict[str, str]:
    """What identifies a run, by name: its status, what data, code and backbone went into it, the commit it ran at."""
    described = describe_run(list(run.work())) if run.outputs else {}
    found = {
        "run_id": run.result.run_id,
        "pipeline": run.config.name,
        "status": run.result.status,
        "reason": run.result.reason,
        "data.fingerprint": (described.get("data") or {}).get("fingerprint"),
        "code": described.get("code"),
        "backbone.handle": run.config.backbone.handle,
        "backbone.identity": (described.get("backbone") or {}).get("identity"),
        "git.commit": commit(),
        "version": run.result.model_version,
    }
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def commit() -> str:
    """The commit of the working directory; empty where it is no working tree of Git, or there is no Git."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _candidate(run: Followed) -> Mapping[str, Any]:
    return _json(run, "quality_gate", "quality", "figures.json").get("candidate", {})


def _json(run: Followed, stage: str, output: str, file: str) -> Mapping[str, Any]:
    """A JSON file of an artifact; empty where the run did not come so far, or it is gone."""
    artifact = run.outputs.get(stage, {}).get(output)
    if artifact is None:
        return {}
    try:
        return json.loads(pathlib.Path(artifact.uri, file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
