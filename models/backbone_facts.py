"""What is known of a backbone before it is loaded. Imports no Keras."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Facts:
    """What somebody says of a network; None: they do not say.

    Attributes:
        parameters: numbers in its weights, all of them, without a classifier.
        feature_dim: length of the feature vector.
        image_size: height and width in pixels that it was trained on; None also where it takes no images.
        value_range: what black and white are to it.
        licence: of the weights, as an SPDX identifier.
    """

    parameters: int | None = None
    feature_dim: int | None = None
    image_size: tuple[int, int] | None = None
    value_range: tuple[float, float] | None = None
    licence: str | None = None

    @property
    def bytes(self) -> int | None:
        """Size of the weights as float32."""
        return None if self.parameters is None else 4 * self.parameters

    @property
    def input(self) -> dict:
        """The keys of the section `input` that follow."""
        if self.image_size is None:
            return {}
        ranged = {} if self.value_range is None else {"value_range": list(self.value_range)}
        return {"kind": "image", "image_size": list(self.image_size), **ranged}
