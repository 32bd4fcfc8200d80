"""Several labels of k."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """Any number of the classes at once: the head gives a probability for each by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    PARSES: ClassVar = frozenset({"column", "separator", "class_names"})

    kind: Literal["labels"] = "labels"
    column: str = Field(
        default="labels", description="Holds the classes: a list of names, or one text with `separator` between them."
    )
    separator: str = Field(
        default="|", min_length=1, description="Stands between the names of a text; spaces do not count."
    )
    class_names: tuple[str, ...] | None = Field(
        default=None, description="The classes allowed, in the order of the outputs. Null: whatever is found."
    )


class Gates(BaseModel):
    """Floors and ceilings on the figures of several labels."""

    model_config = ConfigDict(extra="forbid")

    mean_average_precision: Fraction | None = Field(None, description="Least mean over classes of average precision.")
    micro_f1: Fraction | None = Field(None, description="Least F1 over all decisions together.")
    macro_f1: Fraction | None = Field(None, description="Least unweighted mean of the classes' F1.")
    calibration_error: Fraction | None = Field(None, description="Largest expected calibration error, beyond chance.")
    baseline_tolerance: Fraction | None = Field(
        0.02,
        description="Mean score of an example that the candidate may lose against the served model; a loss that may be "
        "luck (5 % false alarms) is none. Null: no gate.",
    )
    classes: Literal["same", "grow", "any"] = Field(
        "same",
        description="How the list of classes may differ from the served model's: not, by new ones, or in any way.",
    )


class SliceGates(BaseModel):
    """Floors that must hold in every slice of a column."""

    model_config = ConfigDict(extra="forbid")

    micro_f1: Fraction | None = Field(None, description="Least F1 over all decisions together, in each slice.")
    macro_f1: Fraction | None = Field(None, description="Least macro F1 in each slice.")
