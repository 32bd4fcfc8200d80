"""serving_check: the candidate behind a real server."""

from collections.abc import Sequence

from graft.models.page import Tile
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base


class ServingCheck(base.Stage):
    """Compares what a server answers with what was answered in process, and takes the time."""

    name = "serving_check"
    gate = "blessing"
    needs = "the sizes in section input"
    shown = ("blessing",)
    accepts_blessed_only = True

    def wire(self, wiring):
        from graft.components.serving_check.component import ServingCheck as Component
        from graft.components.serving_check.executor import Parameters

        config = wiring.config
        return Component(
            examples=wiring.output("ingest", "examples"),
            model=wiring.output("train", "model"),
            predictions=wiring.output("predict", "predictions"),
            model_blessing=wiring.output("quality_gate", "blessing"),
            parameters=Parameters(
                model_name=config.name,
                requests=config.serving_check.examples,
                tolerance=config.serving_check.tolerance,
                latency_ms=config.gates.latency_ms,
                trust=config.backbone.trust,
                code=wiring.keys.code,
            ),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        checked = base.read_json(outputs, "blessing", "serving.json")
        median = checked["latency_ms"]["median"]
        result.metrics["latency_ms"] = median
        words = f"{checked['requests']} requests to {checked['server']}, median {median:.1f} ms"
        return f"{words}; {base.opened(self.gates(outputs))}"

    def tiles(self, ran: base.Ran) -> Sequence[Tile]:
        if "latency_ms" not in ran.result.metrics:
            return ()
        note = f"median of one-{ran.input.one} gRPC calls"
        return [Tile("latency", f"{ran.result.metrics['latency_ms']:.1f} ms", note)]
