"""statistics: what TFX's StatisticsGen declares, with an executor that needs no pipeline of Beam."""

from tensorflow_data_validation.statistics import stats_options
from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.standard_component_specs import StatisticsGenSpec

from graft.components.statistics.executor import Executor


class StatisticsGen(base_component.BaseComponent):
    """Statistics of each split. Outputs `statistics` (`ExampleStatistics`)."""

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: types.BaseChannel, stats_options: stats_options.StatsOptions):
        """Wires the component.

        Args:
            examples: from `Ingest`.
            stats_options: of TFDV; `feature_allowlist` names the features to look at.
        """
        spec = StatisticsGenSpec(
            examples=examples,
            stats_options_json=stats_options.to_json(),
            statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
        )
        super().__init__(spec=spec)
