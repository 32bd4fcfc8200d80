"""What training and comparison are told alike."""

from graft.models.options import BackboneOptions
from graft.models.settings import Settings
from graft.pipeline.stages.base import Wiring


def settings(wiring: Wiring) -> Settings:
    """The trainer's settings; executors add where the features lie."""
    config, keys = wiring.config, wiring.keys
    return Settings(
        backbone=unchecked(config.backbone),
        head=config.head,
        transfer=config.transfer,
        train=config.train,
        export=config.export,
        model_name=config.name,
        code=keys.code,
        checkpoint_dir=keys.checkpoint_dir,
    )


def unchecked(options: BackboneOptions) -> BackboneOptions:
    """How the backbone is checked before a run decides nothing of what it gives."""
    return options.model_copy(update={"check_range": True})
