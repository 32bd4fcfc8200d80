"""Settings of head and training. Pydantic only, so that a configuration is checked without TensorFlow.

The settings of one transfer method stand beside it, in `models/transfer/`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

_TRAINED_DROPOUT, _TRAINED_L2 = 0.2, 1e-4


class HeadOptions(BaseModel):
    """The layers between the feature vector and the logits, and how they are fitted on frozen features."""

    model_config = ConfigDict(extra="forbid")

    hidden: list[PositiveInt] = Field(
        default=[], description="Units of each hidden layer (ReLU); empty: a linear head."
    )
    solver: Literal["auto", "lbfgs", "adam"] = Field(
        default="auto",
        description="`lbfgs` solves a linear head to its optimum (logistic regression), `adam` trains it by epochs; "
        "`auto` solves where the head is linear and has no dropout.",
    )
    dropout: float | None = Field(
        default=None,
        ge=0.0,
        lt=1.0,
        description="Share of inputs dropped before each layer; null: none in a head that is solved, 0.2 in one "
        "that is trained.",
    )
    l2: float | None = Field(
        default=None,
        ge=0.0,
        description="Weight of the squared norm of the head's kernels; null: chosen by the eval loss for a head that "
        "is solved, 1e-4 for one that is trained.",
    )
    refit: bool = Field(
        default=False,
        description="Solve once more on train and eval together, at the strength that eval chose; method `frozen`.",
    )

    @model_validator(mode="after")
    def _fits_solver(self) -> "HeadOptions":
        if self.solver == "lbfgs" and (self.hidden or self.dropout):
            raise ValueError(
                f"solver lbfgs solves a linear head without dropout; hidden is {self.hidden}, dropout {self.dropout}"
            )
        if self.refit and not self.solved:
            raise ValueError(
                "refit needs a head that is solved; "
                f"solver is {self.solver}, hidden {self.hidden}, dropout {self.dropout}"
            )
        return self

    @property
    def solved(self) -> bool:
        """Whether the head is solved to its optimum; else it is trained."""
        return self.solver != "adam" and not self.hidden and not self.dropout

    @property
    def dropout_rate(self) -> float:
        """`dropout` with its default."""
        if self.dropout is None:
            return 0.0 if self.solved else _TRAINED_DROPOUT
        return self.dropout

    @property
    def penalty(self) -> float:
        """`l2` with its default; 0 where it is still to be chosen."""
        if self.l2 is None:
            return 0.0 if self.solved else _TRAINED_L2
        return self.l2


class TrainOptions(BaseModel):
    """The training of a head, and what every transfer method has in common."""

    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(
        default=20, ge=1, description="Most epochs of a head that is trained; also what a network from scratch gets."
    )
    batch_size: int = Field(default=32, ge=1, description="Examples in a step, over all devices.")
    learning_rate: float = Field(default=1e-3, gt=0.0, description="Adam's learning rate for a head that is trained.")
    patience: int = Field(default=5, ge=1, description="Epochs without a better eval loss before training stops.")
    min_delta: float = Field(default=0.0, ge=0.0, description="Smallest fall of the eval loss that counts as better.")
    seed: int = Field(default=0, ge=0, description="Seed of weights, dropout, shuffling and augmentation.")
    mixed_precision: Literal["auto", "on", "off"] = Field(
        default="auto", description="Compute the backbone in 16 bit: `auto` does so on a GPU that is faster with it."
    )
    checkpoint_seconds: float = Field(
        default=5.0, ge=0.0, description="Least time between checkpoints; a killed run repeats at most this much."
    )


class ExportOptions(BaseModel):
    """What is written beside the exported model."""

    model_config = ConfigDict(extra="forbid")

    warmup: Literal["synthetic", "examples"] = Field(
        default="synthetic",
        description="The requests that a server replays before it answers: drawn ones, or `examples` of the eval "
        "split, which then lie in the model store.",
    )


class BackboneOptions(BaseModel):
    """Which pre-trained network the head is grafted on."""

    model_config = ConfigDict(extra="forbid")

    handle: str = Field(
        description="SavedModel folder, TF-Hub or Kaggle URL, `.keras` file, keras.applications name, or `KIND:NAME` "
        "of an installed package."
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="Hash that the backbone's content must have, as `graft backbone check` prints it; null: any.",
    )
    trust: bool = Field(
        default=False,
        description="Run a backbone that does more than compute, for instance reads or writes files. See backbones.md.",
    )
    allow_http: bool = Field(
        default=False, description="Download from http://, which anybody on the way can change; use it with `sha256`."
    )
    feature_layer: str | None = Field(
        default=None, description="Layer of a `.keras` file whose output is the feature; null: the last one."
    )
