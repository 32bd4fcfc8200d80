"""How many pixels a request asks a model to decode, from the headers of its images; nothing is decoded here.

A few kilobytes of PNG unpack to 64 megapixels, half a second of work, and a request may hold a thousand of them.
"""

import numpy as np
from google.protobuf import message

from graft.models.inputs.image.header import Fault, HeaderError, announced
from graft.serving.protos import example_pb2
from graft.serving.status import invalid

_DECODERS = {
    *("DecodeBmp", "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng", "DecodeWebP"),
    *("DecodeAndCropJpeg", "ExtractJpegShape"),
}
# A serialised tf.Example begins with its one field, `features` (tag 1, a message).
_EXAMPLE_MARK = b"\x0a"


def decodes_images(graph) -> bool:
    """Whether a GraphDef holds an operation that decodes images, its functions included."""
    functions = (node.op for function in graph.library.function for node in function.node_def)
    return any(op in _DECODERS for op in (*(node.op for node in graph.node), *functions))


def announced_pixels(values: np.ndarray) -> int:
    """Pixels that a decoder would have to hold for the strings of an input, those inside of tf.Examples included.

    Bytes that are no image, or whose header is broken, count for nothing: the model refuses them by itself.

    Args:
        values: object array of bytes, any shape.

    Raises:
        ServingError: INVALID_ARGUMENT if an image is built to be costly.
    """
    return sum(_pixels_of(value) for value in values.ravel().tolist())


def _pixels_of(value: bytes) -> int:
    try:
        header = announced(value)
    except HeaderError as error:
        if error.kind is Fault.TOO_COSTLY:
            raise invalid(str(error)) from error
        return 0
    if header is not None:
        return header.pixels
    if not value.startswith(_EXAMPLE_MARK):
        return 0
    try:
        features = example_pb2.Example.FromString(value).features.feature
    except message.DecodeError:
        return 0
    strings = (item for feature in features.values() for item in feature.bytes_list.value)
    return sum(_pixels_of(item) for item in strings if not item.startswith(_EXAMPLE_MARK))
