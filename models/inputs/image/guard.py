"""How many pixels a request asks a model to decode, from the headers of its images; nothing is decoded here.

A few kilobytes of PNG unpack to 64 megapixels, half a second of work, and a request may hold a thousand of them.
"""

from typing import TYPE_CHECKING

from graft.models.inputs.base import Refused
from graft.models.inputs.image.header import Fault, HeaderError, announced

if TYPE_CHECKING:
    import numpy as np

_DECODERS = {
    *("DecodeBmp", "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng", "DecodeWebP"),
    *("DecodeAndCropJpeg", "ExtractJpegShape"),
}
# A serialised tf.Example begins with its one field, `features` (tag 1, a message).
_EXAMPLE_MARK = b"\x0a"


class PixelGuard:
    """A `models.inputs.guards.Guard` for models that decode images."""

    things = "images"
    unit = "pixels"
    limit = 1 << 29

    def applies(self, operations: frozenset[str]) -> bool:
        """Whether one of them decodes images."""
        return not _DECODERS.isdisjoint(operations)

    def cost(self, values: "np.ndarray") -> int:
        """Pixels that a decoder would have to hold, for images inside of tf.Examples too.

        Bytes that are no image, or whose header is broken, count for nothing: the model refuses them by itself.

        Args:
            values: object array of bytes, any shape.

        Raises:
            Refused: an image is built to be costly.
        """
        return sum(_pixels_of(value) for value in values.ravel().tolist())


def _pixels_of(value: bytes) -> int:
    pixels = _announced(value)
    if pixels is not None:
        return pixels
    if not value.startswith(_EXAMPLE_MARK):
        return 0
    from google.protobuf import message  # imported here: who serves a model has both
    from tensorflow.core.example import example_pb2

    try:
        features = example_pb2.Example.FromString(value).features.feature
    except message.DecodeError:
        return 0
    strings = (item for feature in features.values() for item in feature.bytes_list.value)
    return sum(_announced(item) or 0 for item in strings)


def announced_pixels(content: bytes) -> int:
    """Pixels that an image announces; 0 for what is none, and for what the server will refuse."""
    try:
        return _announced(content) or 0
    except Refused:
        return 0


def _announced(value: bytes) -> int | None:
    """Pixels of an image; None for what is none."""
    try:
        header = announced(value)
    except HeaderError as error:
        if error.kind is Fault.TOO_COSTLY:
            raise Refused("too_costly", str(error)) from error
        return 0
    return None if header is None else header.pixels
