"""Executor of `predict`."""

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from graft.components.parameters import BaseParameters
from graft.components.predict.predictions import predict
from graft.models.examples import split_files


class Parameters(BaseParameters):
    """Parameters of `BulkPredictor`.

    Attributes:
        slices: the columns to keep for slicing.
    """

    slices: tuple[str, ...] = ()


class Executor(base_executor.BaseExecutor):
    """Writes the predictions as arrays and as tf.Examples."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Predicts.

        Raises:
            GraftError: the target of a test example is none that the model can answer.
        """
        model_path = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        files = split_files(artifact_utils.get_single_uri(input_dict["examples"]), "test")
        found = predict(model_path, files, "predict", Parameters.load(exec_properties).slices)
        output = artifact_utils.get_single_instance(output_dict["predictions"])
        output.split_names = artifact_utils.encode_split_names(["test"])
        found.save(output.uri)
