"""One or several numbers."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Regression: the head gives a number for each column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    PARSES: ClassVar = frozenset({"columns"})

    kind: Literal["numbers"] = "numbers"
    columns: tuple[str, ...] = Field(min_length=1, description="Columns that hold the numbers, each a finite number.")


class Gates(BaseModel):
    """Floors and ceilings on the figures of numbers; means over columns, each in units of its own."""

    model_config = ConfigDict(extra="forbid")

    mean_absolute_error: float | None = Field(None, gt=0, description="Largest mean absolute error.")
    root_mean_squared_error: float | None = Field(None, gt=0, description="Largest root of the mean squared error.")
    r2: float | None = Field(None, le=1, description="Least coefficient of determination.")
    baseline_tolerance: float | None = Field(
        0.0,
        ge=0,
        description="Mean absolute error that the candidate may add to the served model's; a rise that may be luck "
        "(5 % false alarms) is none. Null: no gate.",
    )


class SliceGates(BaseModel):
    """Floors and ceilings that must hold in every slice of a column."""

    model_config = ConfigDict(extra="forbid")

    mean_absolute_error: float | None = Field(None, gt=0, description="Largest mean absolute error in each slice.")
