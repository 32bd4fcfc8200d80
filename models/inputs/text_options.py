"""Settings of texts."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Texts: which may enter. The backbone takes strings; what it does with them is its own business."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ENTERS: ClassVar = frozenset({"max_bytes"})
    PREPARES: ClassVar = frozenset[str]()
    TRAINS: ClassVar = PREPARES

    kind: Literal["text"] = "text"
    max_bytes: int = Field(default=100_000, ge=1, description="Texts of more bytes in UTF-8 are rejected.")
