"""data_gate: nothing is trained on bad data."""

from graft.pipeline.result import RunResult
from graft.pipeline.stages import base


class DataGate(base.Stage):
    """Holds anomalies and the share of rejected examples against their limits; it raises where one is closed."""

    name = "data_gate"
    gate = "blessing"
    shown = ("blessing",)

    def wire(self, wiring):
        from graft.components.data_gate.component import DataGate as Component
        from graft.components.data_gate.executor import Parameters

        return Component(
            wiring.output("validate", "anomalies"),
            wiring.output("ingest", "rejected"),
            Parameters(max_rejected=wiring.config.data.max_rejected, code=wiring.keys.code),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        return base.opened(self.gates(outputs))
