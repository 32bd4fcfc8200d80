"""How a run went: what it shows, writes to `run.json` and gives to the report."""

import dataclasses
import shlex
import time
from typing import Any

from graft.models.gates import Gate
from graft.models.run_warning import RunWarning
from graft.pipeline.running import StageRun

NO_QUALITY_GATE = "no_quality_gate"
"""Code of the warning that nothing held the candidate's own figures against a limit."""


@dataclasses.dataclass
class RunResult:
    """How a run went.

    Attributes:
        run_id: its name in the metadata store.
        status: passed, gate_closed, failed or interrupted.
        reason: why it stopped, empty if it did not.
        stages: in order, up to the one that stopped the run.
        gates: every gate that was checked.
        warnings: what nothing stopped, but a person should know.
        input: how the section was settled, as of `pipeline.settling.Settlement.to_json`.
        metrics: of the candidate on the test split, and its baseline.
        rejected: examples not used: total, and count by reason.
        labels: how many were looked at and flagged, and near-duplicates; empty before.
        model_version: the pushed version, None without one.
        report: path of the HTML report, None where it could not be written.
        tensorboard: folder of the training's log for TensorBoard, None where there is none.
        failure: the exception of a failed or interrupted run.
        exit_code: of the command, as docs/errors.md lists them.
        started: seconds since 1970.
        ended: likewise; None before.
    """

    run_id: str
    status: str = "failed"
    reason: str = ""
    stages: list[StageRun] = dataclasses.field(default_factory=list)
    gates: list[Gate] = dataclasses.field(default_factory=list)
    warnings: list[RunWarning] = dataclasses.field(default_factory=list)
    input: dict[str, Any] | None = None
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    rejected: dict[str, Any] = dataclasses.field(default_factory=dict)
    labels: dict[str, int] = dataclasses.field(default_factory=dict)
    model_version: int | None = None
    report: str | None = None
    tensorboard: str | None = None
    failure: BaseException | None = None
    exit_code: int = 0
    started: float = dataclasses.field(default_factory=time.time)
    ended: float | None = None

    @property
    def stage(self) -> str:
        """The stage that was begun last, empty before the first."""
        return self.stages[-1].name if self.stages else ""

    @property
    def ungated(self) -> bool:
        """Whether no gate held the candidate's own figures against a limit."""
        return any(warning.code == NO_QUALITY_GATE for warning in self.warnings)

    @property
    def finished(self) -> int:
        """How many stages have ended well."""
        return sum(stage.status == "done" for stage in self.stages)

    @property
    def shows_training(self) -> str | None:
        """The command that shows the training in TensorBoard; None where there is no log."""
        return None if self.tensorboard is None else f"tensorboard --logdir {shlex.quote(self.tensorboard)}"

    def to_json(self) -> dict[str, Any]:
        """JSON types; the reason stands for the failure, and now for an end that is yet to come."""
        value = dataclasses.asdict(dataclasses.replace(self, failure=None))
        del value["failure"], value["exit_code"]
        return value | {"ended": self.ended or time.time()}
