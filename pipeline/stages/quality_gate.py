"""quality_gate: may the candidate replace what is served?"""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.targets import restore
from graft.pipeline.metadata import Execution
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base


class QualityGate(base.Stage):
    """Judges the candidate on the test split, by itself and beside the served model."""

    name = "quality_gate"
    gate = "blessing"

    def wire(self, wiring):
        from graft.components.quality_gate.component import QualityGate as Component
        from graft.components.quality_gate.executor import Parameters

        config, keys = wiring.config, wiring.keys
        compared = "negative_transfer" in wiring.before
        return Component(
            examples=wiring.output("ingest", "examples"),
            model=wiring.output("train", "model"),
            predictions=wiring.output("predict", "predictions"),
            evaluation=wiring.output("evaluate", "evaluation"),
            comparison=wiring.output("negative_transfer", "comparison") if compared else None,
            parameters=Parameters(
                gates=config.gates.model_dump(mode="json"),
                model_name=config.name,
                store=config.store,
                run_key=keys.run_key,
                served=keys.served,
                trust=config.backbone.trust,
                code=keys.code,
            ),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        figures = base.read_json(outputs, "quality", "figures.json")
        candidate, target = figures["candidate"], restore(figures["target"])
        result.metrics = {name: candidate[name] for name in target.metrics}
        result.metrics["model_size_mb"] = figures["model_size_mb"]
        if figures["baseline"]:
            result.metrics[f"baseline_{target.headline}"] = figures["baseline"].get(target.headline)
        return f"{target.told(candidate)}; {base.opened(self.gates(outputs))}"

    def judged(self, execution: Execution | None) -> dict[str, Any]:
        """`metrics`, and `baseline`: version and headline of what was served before, None without one."""
        figures = base.read_kept(execution, "quality", "figures.json")
        if not figures:
            return {"metrics": None, "baseline": None}
        target, served = restore(figures["target"]), figures["baseline"]
        return {
            "metrics": {name: figures["candidate"][name] for name in target.metrics},
            "baseline": {name: served.get(name) for name in ("version", target.headline)} if served else None,
        }

    def rows(self, lineage: Mapping[str, Any]) -> Sequence[base.Row]:
        metrics, served = lineage["metrics"], lineage["baseline"]
        beside = "nothing was served before" if metrics else base.GONE
        if served:
            figures = {name: value for name, value in served.items() if name != "version" and value is not None}
            beside = ", ".join([f"version {served['version']}", *(f"{n} {v:.4f}" for n, v in figures.items())])
        return [("metrics", base.inline(metrics) + " (test split)" if metrics else base.GONE), ("baseline", beside)]
