"""A retraining in this process, as by `graft run`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graft.models.errors import GraftError
from graft.monitoring.retrain import audit
from graft.monitoring.retrain.audit import Event
from graft.monitoring.retrain.decision import Decision
from graft.monitoring.retrain.plans import Plan
from graft.pipeline.running import Busy

if TYPE_CHECKING:
    from graft.pipeline.ending import Ending
    from graft.pipeline.progress_view import ProgressView
    from graft.pipeline.result import RunResult


class Local:
    """Runs it, and waits for its end.

    Args:
        plan: what is to be retrained.
        view: shows progress.
        end: of the command.
    """

    def __init__(self, plan: Plan, view: "ProgressView", end: "Ending"):
        self._plan, self._view, self._end = plan, view, end

    def under_way(self) -> list[str]:
        """None: the run itself finds the pipeline's lock held."""
        return []

    def start(self, made: Decision, events: Sequence[Event]) -> "RunResult":
        """Runs it; start and end are on record.

        Raises:
            Busy: another run of the pipeline is under way.
            GraftError: the run could not begin, which is on record as failed.
        """
        from graft.pipeline import run

        plan = self._plan
        config = plan.retraining(made.learned_until)
        known = {"model": config.name, "run": run.new_run_id(), "span": made.span, "learned_until": made.learned_until}
        begun = Event(time=audit.now(), kind="started", reason=made.sentence, figures=made.figures, **known)
        audit.append(plan.folder, begun)
        try:
            result = run.run(config, self._view, run_id=str(known["run"]), end=self._end)
        except Busy as error:
            audit.append(plan.folder, Event(time=audit.now(), kind="refused", reason=str(error), **known))
            raise
        except GraftError as error:
            ended = audit.now()
            failed = {"status": "failed", "ended": ended, "reason": str(error)}
            audit.append(plan.folder, Event(time=ended, kind="finished", **failed, **known))
            raise
        ended = result.ended or audit.now()
        told = {"status": result.status, "reason": result.reason, "version": result.model_version, "ended": ended}
        over = Event(time=audit.now(), kind="finished", figures={"report": result.report}, **told, **known)
        audit.append(plan.folder, over)
        return result
