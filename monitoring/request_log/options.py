"""What a request log is told: keys of the section `monitoring.request_log`. Imports nothing heavy."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

KEY_VARIABLE = "GRAFT_REQUEST_LOG_KEY"
"""Environment variable of the secret that `hash` needs; it stands in no file."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""Of an input or output of a signature."""


class Options(BaseModel):
    """Which served requests are written where, and for how long they are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str | None = Field(None, min_length=1, description="Folder of the log; null: there is none.")
    sample: float = Field(
        1.0, gt=0, le=1, description="Share of requests that is written. The id decides, so a repetition decides alike."
    )
    max_bytes: int = Field(
        2**20,
        ge=1024,
        le=2**25,
        description="Longest record. A longer one loses its inputs, and if need be is dropped.",
    )
    rotate_bytes: int = Field(2**26, ge=2**16, description="A file of this size is closed; only then it is read.")
    rotate_seconds: float = Field(300.0, gt=0, description="So is one of this age.")
    keep_days: float | None = Field(30.0, gt=0, description="Closed files that are older are deleted; null: none is.")
    keep_bytes: int | None = Field(
        10 * 2**30, ge=2**16, description="The oldest closed files beyond this size in all are deleted; null: none is."
    )
    inputs: Literal["keep", "drop"] = Field("keep", description="Whether inputs are written, or only the answers.")
    leave_out: tuple[Name, ...] = Field((), description="Inputs and outputs, by name, that are not written.")
    hash: tuple[Name, ...] = Field(
        (),
        description="Inputs and outputs of which a keyed hash is written (HMAC-SHA256): one of each string, or of each "
        f"row of numbers. The key, 16 characters or more, is in the environment variable {KEY_VARIABLE}.",
    )
    queue_bytes: int = Field(
        2**26, ge=2**20, description="What may wait to be written. Beyond it records are dropped, and counted."
    )
