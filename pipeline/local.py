"""Runs a pipeline on this machine: TFX's LocalDagRunner, told apart stage by stage."""

import functools
import logging
import time
from collections.abc import Callable

from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import local_dag_runner, runner_utils
from tfx.orchestration.portable import data_types, launcher, outputs_utils, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from graft.models.errors import GraftError
from graft.pipeline.running import Listener, StageRun, peak_memory, require_threads

log = logging.getLogger(__name__)


class Launcher(launcher.Launcher):
    """TFX's launcher, which remembers whether the executor ran, and ends however that ends.

    TFX's `launch` starts a gRPC server for every execution, which remote jobs tell of their progress. None runs here,
    and to stop a server whose thread could not be started, for want of memory or threads, waits for ever.
    """

    executed = False
    failing: Callable[[BaseException], None] = staticmethod(lambda error: None)
    """Is told of an error before what it left is cleaned up."""

    def launch(self) -> data_types.ExecutionInfo:
        """As TFX's, without that server; what interrupts the executor is cleaned up after as well.

        Raises:
            BaseException: what the executor raised. Nothing that goes wrong in cleaning up hides it.
        """
        prepared = self._prepare_execution()
        info = prepared.execution_info
        if not prepared.is_execution_needed:
            return info
        self.executed = True
        try:
            output = self._run_executor(info)
        except BaseException as error:
            self.failing(error)
            output = getattr(error, "executor_output", None)
            for clean in (
                lambda: outputs_utils.remove_output_dirs(info.output_dict),  # TFX does so after an Exception only
                lambda: self._publish_failed_execution(info.execution_id, prepared.contexts, output),
                lambda: self._clean_up_stateless_execution_info(info),
                lambda: self._clean_up_stateful_execution_info(info),
            ):
                _try(clean)
            raise
        self._clean_up_stateless_execution_info(info)
        self._clean_up_stateful_execution_info(info)
        self._publish_successful_execution(info.execution_id, prepared.contexts, info.output_dict, output)
        return info


def _try(clean: Callable[[], None]) -> None:
    try:
        clean()
    except Exception as error:  # the next run removes what stays, see `Metadata.remove_unfinished`
        log.info("after a failure: %s: %s", type(error).__name__, error)


class LocalRunner(local_dag_runner.LocalDagRunner):
    """LocalDagRunner that reports each stage, and can force stages to run.

    Args:
        run_id: name of the run in the metadata store.
        listener: is told of each stage.
        from_stage: this stage and those after it do not take results from the cache.
    """

    def __init__(self, run_id: str, listener: Listener, from_stage: str | None = None):
        super().__init__()
        self._run_id, self._listener, self._from_stage = run_id, listener, from_stage

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None) -> None:
        """Launches the nodes in their topological order.

        Raises:
            GraftError: `from_stage` is not a stage.
            ValueError: run options are given; `from_stage` takes their place.
        """
        if run_options is not None:
            raise ValueError("LocalRunner takes from_stage, not TFX's run options")
        nodes = [node.pipeline_node for node in pipeline.nodes]
        names = [node.node_info.id for node in nodes]
        if self._from_stage is not None:
            if self._from_stage not in names:
                raise GraftError(f"--from {self._from_stage}: no such stage; stages: {', '.join(names)}")
            for node in nodes[names.index(self._from_stage) :]:
                node.execution_options.caching_options.enable_cache = False
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self._run_id}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        connection = deployment.metadata_connection_config
        connection_config = getattr(connection, connection.WhichOneof("connection_config"))
        for node, name in zip(nodes, names, strict=True):
            stage = StageRun(name)
            start = time.perf_counter()
            try:
                self._listener.stage_started(stage)
                require_threads()
                with peak_memory(stage):
                    component_launcher = Launcher(
                        pipeline_node=node,
                        mlmd_connection=metadata.Metadata(connection_config),
                        pipeline_info=pipeline.pipeline_info,
                        pipeline_runtime_spec=pipeline.runtime_spec,
                        executor_spec=runner_utils.extract_executor_spec(deployment, name),
                        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
                    )
                    component_launcher.failing = functools.partial(self._listener.stage_failing, stage)
                    component_launcher.launch()
                stage.cached = not component_launcher.executed
                stage.seconds = time.perf_counter() - start
                stage.status = "done"
                self._listener.stage_done(stage)
            except BaseException as error:
                stage.seconds = time.perf_counter() - start
                self._listener.stage_failed(stage, error)
                raise
