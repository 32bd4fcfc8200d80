"""Texts: UTF-8 strings, which the backbone takes as they are."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Texts: which may enter. The backbone takes strings; what it does with them is its own business."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["text"] = "text"
    max_bytes: int = Field(default=100_000, ge=1, description="Texts of more bytes in UTF-8 are rejected.")
