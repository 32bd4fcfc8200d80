"""Executor of `train`."""

import importlib
import json
import pathlib
import types as plain
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from tfx.proto import trainer_pb2
from tfx.utils import path_utils

from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters
from graft.models.errors import GraftError
from graft.models.settings import Settings


class Parameters(BaseParameters):
    """Parameters of `Trainer`.

    Attributes:
        custom_config: what `models.trainer.run_fn` reads; TFX knows it by this name.
    """

    custom_config: Settings


class Executor(BaseExecutor):
    """Calls `run_fn` as TFX's generic trainer does, and tells it where the feature vectors lie.

    TFX's own imports Beam and TFDV, for ways to read examples that `run_fn` does not use.
    """

    def run(self, inputs: Artifacts, outputs: Artifacts, given: dict[str, Any]) -> None:
        """Trains and exports.

        Args:
            inputs: `examples`, `transform_graph` and `features`.
            outputs: `model`, `model_run`.
            given: of TFX's Trainer and `Parameters`; `run_fn` is `package.module.function`.

        Raises:
            GraftError: `run_fn` left no model.
        """
        train_args, eval_args = (
            json_format.Parse(given[name], kind())
            for name, kind in (("train_args", trainer_pb2.TrainArgs), ("eval_args", trainer_pb2.EvalArgs))
        )
        model_dir = path_utils.serving_model_dir(outputs.uri("model"))
        features = inputs.uri("features")
        fn_args = plain.SimpleNamespace(
            custom_config={**json.loads(given["custom_config"]), "features_path": features},
            train_files=_patterns(inputs, train_args.splits),
            eval_files=_patterns(inputs, eval_args.splits),
            transform_graph_path=inputs.uri("transform_graph"),
            serving_model_dir=model_dir,
            model_run_dir=outputs.uri("model_run"),
        )
        module, _, name = given["run_fn"].rpartition(".")
        getattr(importlib.import_module(module), name)(fn_args)
        if not pathlib.Path(model_dir).exists():
            raise GraftError(f"{given['run_fn']}: left no model in {model_dir}")


def _patterns(inputs: Artifacts, splits: Iterable[str]) -> list[str]:
    """Of the files of splits of the examples."""
    return [f"{inputs.split_uri('examples', split)}/*" for split in splits]
