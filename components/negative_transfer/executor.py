"""Executor of `negative_transfer`."""

import json

from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters
from graft.models.examples import split_files
from graft.models.references import Comparison, negative_transfer
from graft.models.settings import Settings


class Parameters(BaseParameters):
    """Parameters of `NegativeTransfer`.

    Attributes:
        custom_config: as of `train`.
        seeds: trainings of each contestant.
        references: the contestants that do not transfer.
    """

    custom_config: Settings
    seeds: int
    references: tuple[str, ...]


class Executor(BaseExecutor):
    """Writes `comparison.json`."""

    PARAMETERS = Parameters

    def run(self, inputs: Artifacts, outputs: Artifacts, given: Parameters) -> None:
        """Trains the contestants and compares them on the test split."""
        config = given.custom_config.model_dump()
        config["features_path"] = inputs.uri("features")
        examples = inputs.uri("examples")
        comparison = Comparison.from_config(
            config,
            inputs.uri("transform_graph"),
            {split: split_files(examples, split) for split in ("train", "eval", "test")},
        )
        seeds = [comparison.settings.train.seed + i for i in range(given.seeds)]
        result = negative_transfer(comparison, seeds, given.references)
        output = outputs.path("comparison")
        output.mkdir(parents=True, exist_ok=True)
        (output / "comparison.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
