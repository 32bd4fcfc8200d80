"""Executor of `negative_transfer`."""

import json
import pathlib
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

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


class Executor(base_executor.BaseExecutor):
    """Writes `comparison.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains the contestants and compares them on the test split."""
        given = Parameters.load(exec_properties)
        config = given.custom_config.model_dump()
        config["features_path"] = artifact_utils.get_single_uri(input_dict["features"])
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        comparison = Comparison.from_config(
            config,
            artifact_utils.get_single_uri(input_dict["transform_graph"]),
            {split: split_files(examples, split) for split in ("train", "eval", "test")},
        )
        seeds = [comparison.settings.train.seed + i for i in range(given.seeds)]
        result = negative_transfer(comparison, seeds, given.references)
        output = pathlib.Path(artifact_utils.get_single_uri(output_dict["comparison"]))
        output.mkdir(parents=True, exist_ok=True)
        (output / "comparison.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
