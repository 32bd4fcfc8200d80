"""Executor of `train`."""

from typing import Any

from tfx.components.trainer import executor
from tfx.types import artifact_utils

from graft.components.parameters import BaseParameters
from graft.models.settings import Settings


class Parameters(BaseParameters):
    """Parameters of `Trainer`.

    Attributes:
        custom_config: what `models.trainer.run_fn` reads; TFX knows it by this name.
    """

    custom_config: Settings


class Executor(executor.GenericExecutor):
    """TFX's generic trainer, which tells `run_fn` where the feature vectors lie."""

    def _GetFnArgs(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]):
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        fn_args.custom_config["features_path"] = artifact_utils.get_single_uri(input_dict["features"])
        return fn_args
