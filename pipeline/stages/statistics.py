"""statistics: TFDV's statistics of labels, facts and slices."""

from graft.models.examples import LABEL
from graft.models.inputs import make_input
from graft.pipeline.stages import base


class Statistics(base.Stage):
    """TFX's StatisticsGen with an executor of our own."""

    name = "statistics"
    shown = ("statistics",)

    def wire(self, wiring):
        import tensorflow_data_validation as tfdv

        from graft.components.statistics.component import StatisticsGen

        # Contents and identifiers say nothing there.
        looked_at = [LABEL, *make_input(wiring.config.input).FACTS, *wiring.config.data.slices]
        return StatisticsGen(
            examples=wiring.output("ingest", "examples"), stats_options=tfdv.StatsOptions(feature_allowlist=looked_at)
        )
