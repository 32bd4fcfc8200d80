"""What the trainer is given, as TFX gives it."""

from typing import Any, Protocol

TENSORBOARD = "tensorboard"
"""Folder of TensorBoard's log, in `model_run_dir`."""


class FnArgs(Protocol):
    """What is read of TFX's `FnArgs`.

    Attributes:
        custom_config: the keys of `Settings`.
        train_files: glob patterns of the training Examples.
        eval_files: glob patterns of the eval Examples.
        transform_graph_path: output folder of Transform; its label vocabulary, where there is one, names the classes.
        serving_model_dir: where the SavedModel goes.
        model_run_dir: where history.json, head.keras and TensorBoard logs go.
    """

    custom_config: dict[str, Any]
    train_files: list[str]
    eval_files: list[str]
    transform_graph_path: str
    serving_model_dir: str
    model_run_dir: str
