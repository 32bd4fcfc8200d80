"""statistics: what TFX's StatisticsGen declares, with an executor that needs no pipeline of Beam."""

from tensorflow_data_validation.statistics import stats_options
from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types.standard_component_specs import StatisticsGenSpec

from graft.components.component import BaseComponent
from graft.components.statistics.executor import Executor


class StatisticsGen(BaseComponent):
    """Statistics of each split. Outputs `statistics` (`ExampleStatistics`)."""

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: types.BaseChannel, stats_options: stats_options.StatsOptions):
        """Wires the component.

        Args:
            examples: from `Ingest`.
            stats_options: of TFDV; `feature_allowlist` names the features to look at.
        """
        super().__init__(examples=examples, stats_options_json=stats_options.to_json())
