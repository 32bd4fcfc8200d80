"""Where a run of the pipeline may be submitted to, other than this process: asked by who decides that one is due.

A layer above names a class under the entry point group `graft.orchestrators` (setup.py); the entry's name is that of
the orchestrator: `kubeflow = graft.kubeflow.orchestrator:Kubeflow`. It is called with a configuration.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from graft.models import entry_points
from graft.models.errors import GraftError
from graft.pipeline.config import Config

GROUP = "graft.orchestrators"
_WHAT = "orchestrator"

RUNNING = "running"


@dataclasses.dataclass(frozen=True)
class Submitted:
    """A run that was submitted.

    Attributes:
        run: its id, as the orchestrator gives it.
        name: that it was submitted by.
        experiment: it stands in.
        created: whether this submission made it; else it was there already.
        parameters: of the run.
        address: of its page.
    """

    run: str
    name: str
    experiment: str
    created: bool
    parameters: Mapping[str, Any]
    address: str


@dataclasses.dataclass(frozen=True)
class RunState:
    """How a submitted run goes.

    Attributes:
        run: its id.
        status: `running` until it has ended, queued or not; then as that of a local run.
        reason: why it stopped, empty if it did not.
        ended: seconds since 1970; None where that is not known.
    """

    run: str
    status: Literal["running", "passed", "gate_closed", "failed", "interrupted"]
    reason: str = ""
    ended: float | None = None


class Prepared(Protocol):
    """A run that could be submitted."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """That it would be given."""


class Orchestrator(Protocol):
    """Runs pipelines somewhere else. Whatever it asks of a server raises GraftError where it gets no answer."""

    def prepare(self, config: Config) -> Any:
        """A `Prepared` run of a configuration; nothing is submitted. Raises GraftError: it cannot run there."""

    def submit(self, prepared: Any, name: str) -> Submitted:
        """Submits a run once: where one of that name is there, that one is returned."""

    def state(self, name: str, run: str | None) -> RunState | None:
        """How a run goes.

        Args:
            name: that it was submitted by.
            run: its id, where it is known.

        Returns:
            None where there is no such run.
        """

    def under_way(self) -> list[str]:
        """The runs of the pipeline that have not ended, whoever submitted them, in words."""


def opened(name: str, config: Config) -> Orchestrator:
    """The orchestrator of that name, for a pipeline.

    Raises:
        GraftError: none is registered, or the configuration does not say where it is.
    """
    found = entry_points.find(GROUP, _WHAT)
    if name not in found:
        raise GraftError(f"orchestrator {name!r} is not installed; allowed: {', '.join(found) or 'none is'}")
    made: Orchestrator = entry_points.load(found[name], _WHAT)(config)
    return made
