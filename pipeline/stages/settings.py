"""What training and comparison are told alike."""

from graft.models.settings import Settings
from graft.pipeline.stages.base import Wiring


def settings(wiring: Wiring) -> Settings:
    """The trainer's settings; executors add where the features lie."""
    config, keys = wiring.config, wiring.keys
    return Settings(
        input=wiring.trained,
        target=config.target,
        backbone=config.backbone,
        head=config.head,
        transfer=keys.transfer or config.transfer.model_dump(),
        train=config.train,
        export=config.export,
        model_name=config.name,
        code=keys.code,
        checkpoint_dir=keys.checkpoint_dir,
    )
