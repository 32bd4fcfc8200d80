"""train: the new head, and the backbone where the transfer method says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.pipeline.result import RunResult
from graft.pipeline.stages import base
from graft.pipeline.stages.settings import settings


class Train(base.Stage):
    """Trains and exports the candidate."""

    name = "train"
    needs = "train.batch_size or backbone.image_size"

    def wire(self, wiring):
        from graft.components.train.component import Trainer
        from graft.components.train.executor import Parameters

        return Trainer(
            examples=wiring.output("ingest", "examples"),
            transform_graph=wiring.output("transform", "transform_graph"),
            schema=wiring.output("schema", "schema"),
            features=wiring.output("features", "features"),
            parameters=Parameters(custom_config=settings(wiring), code=wiring.keys.code),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        history = base.read_json(outputs, "model_run", "history.json")
        best = history["epochs"][history["best_epoch"] - 1]
        solved = "head solved, " if history["path"] else ""
        epochs = len(history["epochs"]) - bool(solved)
        trained = f"{epochs} epochs, " if epochs else ""
        return f"{solved}{trained}best eval accuracy {best['val_accuracy']:.4f}"

    def rows(self, lineage: Mapping[str, Any]) -> Sequence[base.Row]:
        config = lineage["config"]
        return [(name, base.inline(config[name])) for name in ("transfer", "head", "train")]
