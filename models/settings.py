"""What the trainer is told. Pydantic only, so that a graph is wired without TensorFlow."""

from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from graft.models import inputs, targets
from graft.models.options import BackboneOptions, ExportOptions, HeadOptions, TrainOptions

if TYPE_CHECKING:
    InputOptions: TypeAlias = BaseModel
    TargetOptions: TypeAlias = BaseModel
else:
    InputOptions, TargetOptions = inputs.KINDS.union(), targets.KINDS.union()
"""The settings of any kind of input and of target."""


class Settings(BaseModel):
    """The `custom_config` of the Trainer.

    Attributes:
        input: what the backbone is fed, and how examples are augmented.
        target: what is learned.
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

    input: InputOptions = inputs.KINDS.options(str(inputs.KINDS.default))()
    target: TargetOptions = targets.KINDS.options(str(targets.KINDS.default))()
    backbone: BackboneOptions
    head: HeadOptions = HeadOptions()
    transfer: dict[str, Any] = {"method": "frozen"}
    train: TrainOptions = TrainOptions()
    export: ExportOptions = ExportOptions()
    model_name: str = "model"
    code: str = ""
    checkpoint_dir: str | None = None
    features_path: str = ""
