"""Executor of `train`."""

import importlib
import json
import pathlib
import types as plain
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils
from tfx.utils import path_utils

from graft.components.parameters import BaseParameters
from graft.models.errors import GraftError
from graft.models.settings import Settings


class Parameters(BaseParameters):
    """Parameters of `Trainer`.

    Attributes:
        custom_config: what `models.trainer.run_fn` reads; TFX knows it by this name.
    """

    custom_config: Settings


class Executor(base_executor.BaseExecutor):
    """Calls `run_fn` as TFX's generic trainer does, and tells it where the feature vectors lie.

    TFX's own imports Beam and TFDV, for ways to read examples that `run_fn` does not use.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains and exports.

        Args:
            input_dict: `examples`, `transform_graph` and `features`.
            output_dict: `model`, `model_run`.
            exec_properties: of TFX's Trainer and `Parameters`; `run_fn` is `package.module.function`.

        Raises:
            GraftError: `run_fn` left no model.
        """
        train_args, eval_args = (
            json_format.Parse(exec_properties[name], kind())
            for name, kind in (("train_args", trainer_pb2.TrainArgs), ("eval_args", trainer_pb2.EvalArgs))
        )
        model_dir = path_utils.serving_model_dir(artifact_utils.get_single_uri(output_dict["model"]))
        features = artifact_utils.get_single_uri(input_dict["features"])
        fn_args = plain.SimpleNamespace(
            custom_config={**json.loads(exec_properties["custom_config"]), "features_path": features},
            train_files=_patterns(input_dict["examples"], train_args.splits),
            eval_files=_patterns(input_dict["examples"], eval_args.splits),
            transform_graph_path=artifact_utils.get_single_uri(input_dict["transform_graph"]),
            serving_model_dir=model_dir,
            model_run_dir=artifact_utils.get_single_uri(output_dict["model_run"]),
        )
        module, _, name = exec_properties["run_fn"].rpartition(".")
        getattr(importlib.import_module(module), name)(fn_args)
        if not pathlib.Path(model_dir).exists():
            raise GraftError(f"{exec_properties['run_fn']}: left no model in {model_dir}")


def _patterns(examples: list[types.Artifact], splits: Iterable[str]) -> list[str]:
    """Of the files of splits."""
    return [f"{uri}/*" for split in splits for uri in artifact_utils.get_split_uris(examples, split)]
