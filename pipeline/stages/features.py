"""features: each example goes through the frozen backbone once."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.pipeline.metadata import Execution
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base


class Features(base.Stage):
    """The feature vectors that training and comparison work on."""

    name = "features"
    needs = "the sizes in section input"
    shown = ("features",)
    accelerated = True

    def wire(self, wiring):
        from graft.components.features.component import FeatureExtractor
        from graft.components.features.executor import Parameters

        return FeatureExtractor(
            examples=wiring.output("ingest", "examples"),
            transform_graph=wiring.output("transform", "transform_graph"),
            parameters=Parameters(
                input=wiring.prepared,
                target=wiring.parsed,
                backbone=wiring.config.backbone,
                identity=wiring.keys.backbone,
                splits=("train", "eval", *(("test",) if wiring.config.gates.negative_transfer else ())),
                code=wiring.keys.code,
            ),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        files = sorted(pathlib.Path(outputs["features"].uri).glob("*/features.npy"))
        shapes = [np.load(file, mmap_mode="r").shape for file in files]
        return f"{sum(n for n, _ in shapes)} vectors of {shapes[0][1]}"

    def describe(self, execution: Execution | None) -> dict[str, Any]:
        """`backbone`: handle and identity."""
        if execution is None:
            return {"backbone": None}
        backbone = execution.parameters["backbone"]
        # Graft 0.1 kept the identity among the backbone's options.
        identity = execution.parameters.get("identity", backbone.get("identity"))
        return {"backbone": {"handle": backbone["handle"], "identity": identity}}

    def rows(self, lineage: Mapping[str, Any]) -> Sequence[base.Row]:
        backbone = lineage["backbone"]
        if backbone is None:
            return ()
        return [("backbone", backbone["handle"]), ("", f"identity {backbone['identity']}")]
