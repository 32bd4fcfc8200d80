"""One label of k."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """One class of several: the head gives a probability for each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["label"] = "label"
    column: str = Field(
        default="label",
        description="Holds the class, in sources with columns: a name, or an integer that indexes `class_names`.",
    )
    class_names: tuple[str, ...] | None = Field(
        default=None,
        description="The classes allowed, in the order that integer labels index. Null: whatever is found.",
    )
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        default="none",
        description="`balanced` weighs a class by n / (classes * n of the class); or a weight by class name.",
    )
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0, description="Share of the label given to all classes.")


class Gates(BaseModel):
    """Floors and ceilings on the figures of one label."""

    model_config = ConfigDict(extra="forbid")

    accuracy: Fraction | None = Field(None, description="Least test accuracy.")
    macro_f1: Fraction | None = Field(None, description="Least unweighted mean of the classes' F1.")
    precision: Fraction | dict[str, Fraction] | None = Field(
        None, description="Least precision of every class, or a mapping from class to floor."
    )
    recall: Fraction | dict[str, Fraction] | None = Field(
        None, description="Least recall of every class, or a mapping from class to floor."
    )
    calibration_error: Fraction | None = Field(
        None,
        description="Largest expected calibration error (15 equal-width bins, Guo et al. ICML 2017), beyond chance.",
    )
    baseline_tolerance: Fraction | None = Field(
        0.02,
        description="Accuracy the candidate may lose against the served model, on the test examples of the classes "
        "both know; a loss that may be luck (5 % false alarms) is none. Null: no gate.",
    )
    classes: Literal["same", "grow", "any"] = Field(
        "same",
        description="How the list of classes may differ from the served model's: not, by new ones, or in any way.",
    )


class SliceGates(BaseModel):
    """Floors that must hold in every slice of a column."""

    model_config = ConfigDict(extra="forbid")

    accuracy: Fraction | None = Field(None, description="Least accuracy in each slice.")
    macro_f1: Fraction | None = Field(None, description="Least macro F1 in each slice.")
