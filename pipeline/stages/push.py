"""push: a blessed model becomes the served version of the model store."""

from collections.abc import Sequence

from graft.models.page import Tile
from graft.pipeline.result import RunResult
from graft.pipeline.stages import base


class Push(base.Stage):
    """Copies the model into the store and moves its pointer."""

    name = "push"
    shown = ("pushed_model",)
    looks_up = True
    accepts_blessed_only = True

    def wire(self, wiring):
        from graft.components.push.component import Push as Component
        from graft.components.push.executor import Parameters

        config, keys = wiring.config, wiring.keys
        return Component(
            model=wiring.output("train", "model"),
            predictions=wiring.output("predict", "predictions"),
            model_blessing=wiring.output("quality_gate", "blessing"),
            infra_blessing=wiring.output("serving_check", "blessing"),
            parameters=Parameters(
                model_name=config.name,
                store=config.store,
                store_id=keys.store_id,
                pointer=keys.pointer,
                keep=config.push.keep,
                metadata={
                    "run_key": keys.run_key,
                    "data_fingerprint": keys.fingerprint,
                    "code": keys.code,
                    "backbone": {"handle": config.backbone.handle, "identity": keys.backbone},
                    "config": config.of_the_run(),
                },
                trust=config.backbone.trust,
                code=keys.code,
            ),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        pushed = outputs["pushed_model"].properties
        result.model_version = int(pushed["pushed_version"])
        served = pushed["served_version"]
        stays = "" if served == str(result.model_version) else f"; version {served} is pinned and stays served"
        return f"version {result.model_version}{stays}"

    def tiles(self, ran: base.Ran) -> Sequence[Tile]:
        version = ran.result.model_version
        return [Tile("pushed version", "none" if version is None else str(version))]
