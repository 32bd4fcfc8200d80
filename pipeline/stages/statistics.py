"""statistics: TFDV's statistics of labels, facts and slices."""

from graft.pipeline.stages import base

METADATA_FEATURES = ("label", "width", "height", "format")
"""What statistics and schema look at beside the slices; contents and identifiers say nothing there."""


class Statistics(base.Stage):
    """TFX's StatisticsGen."""

    name = "statistics"

    def wire(self, wiring):
        import tensorflow_data_validation as tfdv
        from tfx.components import StatisticsGen

        looked_at = [*METADATA_FEATURES, *wiring.config.data.slices]
        return StatisticsGen(
            examples=wiring.output("ingest", "examples"), stats_options=tfdv.StatsOptions(feature_allowlist=looked_at)
        )
