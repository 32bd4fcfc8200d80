"""Images: what may enter, the one rule from encoded bytes to pixels, and how they are shown."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError
from graft.models.inputs import base
from graft.models.inputs.image.admission import Admission
from graft.models.inputs.image.convert import FORMATS, ConversionError, to_supported
from graft.models.inputs.image.decoded import Pixels
from graft.models.inputs.image.guard import PixelGuard, announced_pixels
from graft.models.inputs.image.known_range import CANDIDATES, known_range
from graft.models.inputs.image.limits import SIDES

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

    from graft.models.inputs.image.options import AugmentOptions as AugmentOptions
    from graft.models.inputs.image.options import Options as Options

AUTO = "auto"
"""A value range that is yet to be chosen."""

GUARD = PixelGuard()
"""Of requests to models that decode images."""


def __getattr__(name: str) -> Any:
    """The settings, from a module of their own: a client of a server lacks pydantic."""
    if name in ("AugmentOptions", "Options"):
        from graft.models.inputs.image import options

        return getattr(options, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Input(Admission, base.Input):
    """Encoded images; what needs TensorFlow or Pillow is imported by the call that needs it."""

    kind = "image"
    unit = "images"
    one = "image"
    rows = "rows of pixels"
    signature_name = "image_bytes"
    column = "image"
    reads_paths = True
    suffixes = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
    blends = True
    MISFIT = "the value range does not fit"
    SHAPING, SETTLES = ("image_size",), "value_range"
    SIGNALS = {
        "brightness": "mean grey, 0 to 255",
        "contrast": "standard deviation of grey",
        "sharpness": "variance of the Laplacian",
        "megapixels": "MP",
        "aspect": "width / height",
        "format": None,
        "readable": None,
    }

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.options.image_size

    @property
    def value_range(self) -> tuple[float, float]:
        """What pixel values 0 and 255 become.

        Raises:
            GraftError: nobody has chosen it yet.
        """
        if self.unsettled:
            raise GraftError("input.value_range is auto, and none was chosen; give a range, such as [0, 1]")
        return self.options.value_range

    @property
    def unsettled(self) -> bool:
        return self.options.value_range == AUTO

    def known(self, handle: str) -> base.Known | None:
        found = known_range(handle)
        if found is None:
            return None
        return base.Known(self._within(found.value_range), found.how, found.reason)

    @property
    def alternatives(self) -> Sequence[base.Input]:
        return [self._within(value_range) for value_range in CANDIDATES]

    def fitting(self, taken: "tf.TensorSpec") -> "Input":
        if taken.shape.rank != 4 or not all(side and SIDES[0] <= side <= SIDES[1] for side in taken.shape[1:3]):
            return self
        return Input(self.options.model_copy(update={"image_size": tuple(taken.shape[1:3])}))

    def _within(self, value_range: tuple[float, float]) -> "Input":
        return Input(self.options.model_copy(update={"value_range": value_range}))

    @property
    def spec(self) -> "tf.TensorSpec":
        import tensorflow as tf

        return tf.TensorSpec([None, *self.image_size, 3], tf.float32)

    def prepare(self, contents: "tf.Tensor") -> "tf.Tensor":
        from graft.models.inputs.image.decoding import preprocess

        return preprocess(contents, self.image_size, self.value_range)

    @property
    def values(self) -> Pixels:
        return Pixels(self)

    @property
    def prepared_by(self) -> dict[str, Any]:
        size, values = list(self.image_size), [float(value) for value in self.value_range]
        return {"kind": self.kind, "image_size": size, "value_range": values}

    def converted(self, prepared: "tf.Tensor", maker: base.Input) -> "tf.Tensor":
        """Another size by bilinear interpolation, another value range by the line through its ends."""
        import tensorflow as tf

        assert isinstance(maker, Input)
        if maker.image_size != self.image_size:
            prepared = tf.image.resize(prepared, self.image_size, antialias=True)
        if maker.value_range != self.value_range:
            (low, high), (wanted_low, wanted_high) = maker.value_range, self.value_range
            prepared = wanted_low + (prepared - low) * ((wanted_high - wanted_low) / (high - low))
        return prepared

    def augment(self, prepared: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        from graft.models.inputs.image.augment import augment

        return augment(prepared, seed, self.options.augment, self.value_range)

    @property
    def augments(self) -> bool:
        return self.options.augment.enabled

    def plain(self, splits: Mapping[str, base.Contents], stage: str) -> "dict[str, np.ndarray]":
        from graft.models.inputs.image.plain import raw_pixels

        return raw_pixels(splits, self.image_size, stage)

    @property
    def told(self) -> str:
        return f"input.image_size is {list(self.image_size)}"

    @property
    def fed(self) -> str:
        return f"value_range {list(self.value_range)}"

    def probes(self, contents: Sequence[bytes]) -> "tf.Tensor":
        import tensorflow as tf

        from graft.models.inputs.image.drawn import coarse_noise
        from graft.models.inputs.preparing import preparer

        if len(contents) > 1:
            return preparer(self)(tf.constant(list(contents)))
        return coarse_noise(self.image_size, self.value_range)

    @property
    def unjudged(self) -> str | None:
        return None if self.options.check_range else f"{self.fed} is not judged: input.check_range is false"

    def doubts(self, body: "keras.Layer", probes: "tf.Tensor", features: "np.ndarray") -> str | None:
        from graft.models.inputs.image.value_range import find_misfit

        return find_misfit(body, probes, features) if self.options.check_range else None

    def preview(self, content: bytes) -> Mapping[str, str]:
        from graft.models.inputs.image.preview import thumbnail

        return {"image": thumbnail(content)}

    def drawn(self) -> list[bytes]:
        from graft.models.inputs.image.drawn import synthetic_images

        return synthetic_images(self.image_size)

    REQUEST_COST = PixelGuard.limit

    def request_cost(self, content: bytes) -> int:
        return announced_pixels(content)

    def sendable(self, content: bytes) -> bytes:
        try:
            return to_supported(content)
        except ConversionError as error:
            raise base.Refused("unsupported_type" if error.unsupported else "corrupt", str(error)) from error

    def watcher(self, learned: Mapping[str, Any] | None = None) -> base.Watcher:
        """See `image.signals`; what may not enter, or only converted, no model can read, and is not decoded."""
        from graft.models.inputs.image.signals import of_header, of_pixels

        nothing: dict[str, float | str | None] = dict.fromkeys(self.SIGNALS) | {"readable": base.UNREADABLE}

        def watch(content: bytes) -> dict[str, float | str | None]:
            try:
                facts = self.admit(content)
            except base.Refused:
                return dict(nothing)
            pixels = None if facts["format"] in FORMATS else of_pixels(content)
            if pixels is None:
                return dict(nothing)
            header = of_header(int(facts["width"]), int(facts["height"]), str(facts["format"]))
            return {**pixels, **header, "readable": base.READABLE}

        return watch
