"""negative_transfer: is transferring better than not transferring?"""

from graft.pipeline.config import Config
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base
from graft.pipeline.stages.settings import settings


class NegativeTransfer(base.Stage):
    """The same task, learned with and without the source; there only where its gate is set."""

    name = "negative_transfer"
    needs = "train.batch_size, backbone.image_size or gates.negative_transfer.references"

    def enabled(self, config: Config) -> bool:
        return config.gates.negative_transfer is not None

    def wire(self, wiring):
        from graft.components.negative_transfer.component import NegativeTransfer as Component
        from graft.components.negative_transfer.executor import Parameters

        options = wiring.config.gates.negative_transfer
        return Component(
            examples=wiring.output("ingest", "examples"),
            transform_graph=wiring.output("transform", "transform_graph"),
            features=wiring.output("features", "features"),
            parameters=Parameters(
                custom_config=settings(wiring),
                seeds=options.seeds,
                references=options.references,
                code=wiring.keys.code,
            ),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        compared = base.read_json(outputs, "comparison", "comparison.json")
        gap = compared["gap"][compared["best_reference"]]
        return f"gap {gap['mean']:+.4f} to {compared['best_reference']}"
