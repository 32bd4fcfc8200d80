"""Settings of images."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator, field_validator
from pydantic_core import PydanticCustomError

from graft.models.inputs.image.limits import SIDES


def _range_or_auto(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """One message instead of one for each of the two forms."""
    try:
        return handler(value)
    except ValueError:
        raise PydanticCustomError("value_range", "must be two numbers, black and white, or auto") from None


class AugmentOptions(BaseModel):
    """Random changes of the training images; never of those that are evaluated or served."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: bool = Field(default=False, description="Mirror half of the images, left to right.")
    crop: float = Field(default=0.0, ge=0.0, lt=1.0, description="Largest share of each side cut away, then resized.")
    rotate: float = Field(default=0.0, ge=0.0, le=180.0, description="Largest rotation to either side, degrees.")
    color: float = Field(
        default=0.0, ge=0.0, le=1.0, description="Largest relative change of brightness, contrast and saturation."
    )

    @property
    def enabled(self) -> bool:
        """Whether anything is changed at all."""
        return self.flip or self.crop > 0 or self.rotate > 0 or self.color > 0


class Options(BaseModel):
    """Images: which may enter, and what the backbone expects of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ENTERS: ClassVar = frozenset({"max_pixels", "max_bytes"})
    PREPARES: ClassVar = frozenset({"image_size", "value_range"})
    TRAINS: ClassVar = PREPARES | {"augment"}

    kind: Literal["image"] = "image"
    image_size: tuple[int, int] = Field(
        default=(224, 224), description="Height and width the backbone expects, 8 to 2048 pixels."
    )
    value_range: Annotated[tuple[float, float] | Literal["auto"], WrapValidator(_range_or_auto)] = Field(
        default="auto",
        description="What pixel values 0 and 255 become; auto: what the backbone is known to take, else what does best "
        "on training images (docs/images.md).",
    )
    check_range: bool = Field(
        default=True,
        description="Judge before a run, from a few images of the data, whether `value_range` fits; false: trust it.",
    )
    augment: AugmentOptions = Field(default=AugmentOptions(), description="Random changes of training images.")
    max_pixels: int = Field(
        default=50_000_000,
        ge=1,
        le=2**26,
        description="Images of more pixels (all frames together) are rejected before decoding.",
    )
    max_bytes: int = Field(
        default=50_000_000, ge=1, description="Encoded images of more bytes are rejected before reading."
    )

    @field_validator("image_size")
    @classmethod
    def _of_an_image(cls, size: tuple[int, int]) -> tuple[int, int]:
        if min(size) < SIDES[0] or max(size) > SIDES[1]:
            raise ValueError(f"height and width must be {SIDES[0]} to {SIDES[1]} pixels")
        return size

    @field_validator("value_range")
    @classmethod
    def _going_up(cls, value_range: tuple[float, float] | str) -> tuple[float, float] | str:
        if not isinstance(value_range, str) and value_range[0] >= value_range[1]:
            raise ValueError("must go up from black to white")
        return value_range
