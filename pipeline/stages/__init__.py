"""The stages in their order, a room each. A new one is a module here, its component, and one entry in STAGES."""

from collections.abc import Iterator

from graft.models.errors import GraftError
from graft.pipeline.config import Config
from graft.pipeline.stages.base import Stage
from graft.pipeline.stages.data_gate import DataGate
from graft.pipeline.stages.evaluate import Evaluate
from graft.pipeline.stages.features import Features
from graft.pipeline.stages.ingest import Ingest
from graft.pipeline.stages.labels import Labels
from graft.pipeline.stages.negative_transfer import NegativeTransfer
from graft.pipeline.stages.predict import Predict
from graft.pipeline.stages.push import Push
from graft.pipeline.stages.quality_gate import QualityGate
from graft.pipeline.stages.schema import Schema
from graft.pipeline.stages.serving_check import ServingCheck
from graft.pipeline.stages.statistics import Statistics
from graft.pipeline.stages.train import Train
from graft.pipeline.stages.transform import Transform
from graft.pipeline.stages.validate import Validate

STAGES: list[Stage] = [
    Ingest(),
    Statistics(),
    Schema(),
    Validate(),
    DataGate(),
    Transform(),
    Features(),
    Train(),
    Predict(),
    Evaluate(),
    Labels(),
    NegativeTransfer(),
    QualityGate(),
    ServingCheck(),
    Push(),
]
"""Each after those whose outputs it takes."""


def enabled(config: Config) -> Iterator[Stage]:
    """The stages of a pipeline."""
    return (stage for stage in STAGES if stage.enabled(config))


def check_from(config: Config, name: str | None) -> None:
    """Refuses `--from` with what is no stage of a pipeline.

    Raises:
        GraftError: it is none.
    """
    names = [stage.name for stage in enabled(config)]
    if name is not None and name not in names:
        raise GraftError(f"--from {name}: no such stage; stages: {', '.join(names)}")


def find(name: str) -> Stage | None:
    """The stage of a name; None for one that this version does not know."""
    return next((stage for stage in STAGES if stage.name == name), None)
