"""Runs of the pipeline on Kubeflow: how they are submitted, and what has become of them.

Entry point `kubeflow` of the group `graft.orchestrators`; `graft kubeflow submit` does the same.
"""

import dataclasses
import datetime
import pathlib
import secrets
import tempfile
from collections.abc import Mapping
from typing import Any

import kfp_server_api

from graft.kubeflow import run_state, submission
from graft.kubeflow.client import PipelinesClient
from graft.kubeflow.last_tasks import GRAPH, VERDICT
from graft.kubeflow.options import KubeflowOptions
from graft.kubeflow.submission import Package
from graft.pipeline import sections
from graft.pipeline.config import Config
from graft.pipeline.orchestrators import RunState, Submitted

_LOOKED_AT = 200
"""Newest runs of an experiment, among which those are that have not ended."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run that could be submitted.

    Attributes:
        pipeline: its name.
        package: the compiled file.
        parameters: a value for each.
    """

    pipeline: str
    package: Package
    parameters: Mapping[str, Any]


class Kubeflow:
    """One server, and the experiment of a pipeline there.

    Args:
        config: of the pipeline.

    Raises:
        GraftError: it names no server, or no token where it names a place of one.
    """

    def __init__(self, config: Config):
        self.options = sections.section(config, "kubeflow", KubeflowOptions)
        self.client = PipelinesClient(self.options.server)
        self.experiment = self.options.server.experiment or config.name

    def prepare(
        self, config: Config, compiled: pathlib.Path | None = None, own: Mapping[str, str] | None = None
    ) -> Prepared:
        """What a run that starts now is made of.

        Args:
            config: of the pipeline.
            compiled: file that is run; None: the configuration is compiled.
            own: parameters in place of those that are computed.

        Raises:
            GraftError: the server does not answer, the configuration cannot run there, or a parameter cannot be
                computed.
        """
        self.client.find_experiment(self.experiment)  # to compile takes longer than to find out that nobody answers
        package = packaged(config, self.options, compiled)
        return Prepared(config.name, package, submission.values_now(config, package, own or {}))

    def named(self, name: str) -> Submitted | None:
        """The run of that name; None if there is none."""
        experiment_id = self.client.find_experiment(self.experiment)
        run = self.client.find_run(experiment_id, name) if experiment_id else None
        return None if run is None else self._told(run, created=False)

    def submit(self, prepared: Prepared, name: str | None = None) -> Submitted:
        """Submits a run.

        Args:
            prepared: the run.
            name: that no other has; where one has it, that one is returned. None: a new name with the time.

        Raises:
            GraftError: a request failed.
        """
        if name is not None and (found := self.named(name)) is not None:
            return found
        now = datetime.datetime.now(datetime.UTC)
        package = prepared.package
        run = self.client.create_run(
            kfp_server_api.V2beta1Run(
                display_name=name or f"{prepared.pipeline}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
                experiment_id=self.client.experiment(self.experiment, create=True),
                pipeline_spec=package.spec,
                runtime_config=kfp_server_api.V2beta1RuntimeConfig(
                    parameters=prepared.parameters, pipeline_root=package.root or self.options.pipeline_root
                ),
            )
        )
        return self._told(run, created=True)

    def state(self, name: str, run: str | None) -> RunState | None:
        """How a run goes; None where the server has none of that id, or without an id of that name."""
        if run is None:
            named = self.named(name)
            if named is None:
                return None
            run = named.run
        found = self.client.run_if_there(run)
        return None if found is None else state_of(found)

    def under_way(self) -> list[str]:
        """The runs of the experiment that have not ended, in words."""
        experiment_id = self.client.find_experiment(self.experiment)
        found = self.client.runs(experiment_id, _LOOKED_AT) if experiment_id else []
        return [
            f"run {one.display_name} of experiment {self.experiment} is {run_state.state(one)} on Kubeflow"
            for one in found
            if run_state.state(one) not in run_state.ENDED
        ]

    def _told(self, run: Any, created: bool) -> Submitted:
        return Submitted(
            run=run.run_id,
            name=run.display_name,
            experiment=self.experiment,
            created=created,
            parameters=(run.runtime_config.parameters if run.runtime_config else None) or {},
            address=f"{self.options.server.ui or self.options.server.host}/#/runs/details/{run.run_id}",
        )


def state_of(run: Any) -> RunState:
    """What the API tells of a run.

    Kubeflow knows no closed gate: the run has failed. Where it was `verdict` that did, all else had gone well.
    """
    state = run_state.state(run)
    if state not in run_state.ENDED:
        return RunState(run.run_id, "running")
    ended = run.finished_at.timestamp() if run.finished_at else 0.0
    known: dict[str, Any] = {"run": run.run_id, "ended": ended if ended > 0 else None}
    if state == run_state.SUCCEEDED:
        return RunState(status="passed", **known)
    failed = [task for task in run_state.tasks(run) if task.state == run_state.FAILED]
    named = ", ".join(f"{task.name}: {task.error}" if task.error else task.name for task in failed)
    words = "; ".join(filter(None, (f"{state} on Kubeflow", run_state.message(run.error), named)))
    if state == run_state.CANCELED:
        return RunState(status="interrupted", reason=words, **known)
    if {task.name for task in failed} - {GRAPH} == {VERDICT}:
        return RunState(status="gate_closed", reason=words, **known)
    return RunState(status="failed", reason=words, **known)


def packaged(config: Config, options: KubeflowOptions, compiled: pathlib.Path | None = None) -> Package:
    """What is run: a compiled file, or that of the configuration as it is now. Raises GraftError."""
    if compiled is not None:
        return submission.read_package(compiled)
    # Imported here: TFX takes 9 s.
    from graft.kubeflow.compile import compile_pipeline

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "pipeline.yaml")
        compile_pipeline(config, path, options.image, options.pipeline_root)
        return submission.read_package(path)
