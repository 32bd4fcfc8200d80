"""What the trainer is told. Pydantic only, so that a graph is wired without TensorFlow."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from graft.models import inputs, targets
from graft.models.options import BackboneOptions, ExportOptions, HeadOptions, TrainOptions


class Settings(BaseModel):
    """The `custom_config` of the Trainer.

    Attributes:
        input: what the data is made of; the Options of a kind.
        target: what is predicted; the Options of a kind.
        backbone: which network.
        head: layers of the head.
        transfer: `method` and the method's own settings.
        train: settings of all methods.
        export: what is written beside the model.
        model_name: what the model is called in the store.
        code: version of the code, for the checkpoint's name.
        checkpoint_dir: folder for the state of an unfinished training, which outlives the run; None to keep none.
        features_path: folder of the features artifact; the executor fills it in.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    input: inputs.KINDS.union() = inputs.KINDS.options("image")()  # type: ignore[valid-type]
    target: targets.KINDS.union() = targets.KINDS.options("label")()  # type: ignore[valid-type]
    backbone: BackboneOptions
    head: HeadOptions = HeadOptions()
    transfer: dict[str, Any] = {"method": "frozen"}
    train: TrainOptions = TrainOptions()
    export: ExportOptions = ExportOptions()
    model_name: str = "model"
    code: str = ""
    checkpoint_dir: str | None = None
    features_path: str = ""
