"""WebP and TIFF become PNG, losslessly, before they meet the rule of `inputs.image.decoding`; imports no TensorFlow.

TensorFlow decodes neither, so Pillow does: at ingestion, and in the client when it predicts. Size and kind are read
from the header here and not by Pillow's lazy opening, which already takes memory for the canvas of a WebP and reads all
tags of a TIFF: limits must hold before that.

| input | what the PNG holds |
|---|---|
| WebP | the first frame, upright by its Exif; alpha is kept |
| TIFF | the first page, upright by its orientation; of 16 and 12 bits the high 8, which is what the rule keeps; |
| | palette and CMYK become RGB; alpha is kept, and divided out where the colours hold it already |
"""

import contextlib
import dataclasses
import io
import struct
import zlib
from typing import TYPE_CHECKING

from graft.models.errors import GraftError, one_line
from graft.models.inputs.image.limits import MAX_PIXELS, MAX_TIFF_PARTS

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("WEBP", "TIFF")

# TIFF 6.0, section 2: sizes of the field types BYTE, SHORT and LONG; section 8 and 15: the tags.
_FIELDS = {1: "B", 3: "H", 4: "I"}
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 256, 257, 258, 262, 322, 323, 339
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
_ORIENTATION = 274
_TAGS = (_ORIENTATION, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT)
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_BIT_DEPTHS = (1, 2, 4, 8, 12, 16)
_PHOTOMETRICS = {0: "white is zero", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"}
_SAMPLE_FORMATS = {2: "signed integers", 3: "floating-point numbers", 5: "complex integers", 6: "complex numbers"}

_MODES = {
    **{"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA"},
    **{"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA"},
    **{"P": "RGB", "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB"},
}
"""Pillow's mode -> the one to store."""


class ConversionError(GraftError):
    """A WebP or TIFF file that cannot be used.

    Attributes:
        unsupported: whether the file is sound, but of a kind that is not converted.
    """

    def __init__(self, message: str, *, unsupported: bool = False):
        super().__init__(message)
        self.unsupported = unsupported


@dataclasses.dataclass(frozen=True, slots=True)
class Announced:
    """What the header says.

    Attributes:
        format: one of `FORMATS`.
        width: pixels, before orientation.
        height: pixels, before orientation.
        pixels: pixels that a decoder has to hold: width x height, or those of a larger tile.
    """

    format: str
    width: int
    height: int
    pixels: int


def announced(encoded: bytes) -> Announced | None:
    """Reads kind and size from the header of a WebP or TIFF; None for anything else.

    Raises:
        ConversionError: the header is cut or nonsense, or it is a TIFF of a kind that is not converted.
    """
    try:
        if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
            width, height = _webp_size(encoded)
            found = Announced("WEBP", width, height, width * height)
        elif encoded[:4] in (b"II*\0", b"MM\0*"):
            tags = _tiff_tags(encoded)
            _check_kind(tags)
            width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
            tile = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0)
            found = Announced("TIFF", width, height, max(width * height, tile))
        else:
            return None
    except struct.error as error:
        raise ConversionError(f"the file ends within its header ({len(encoded)} bytes)") from error
    if not width or not height:
        raise ConversionError(f"{found.format} of {width} x {height} pixels")
    return found


def to_supported(encoded: bytes) -> bytes:
    """The bytes of a file that the rule decodes: a PNG for WebP and TIFF, for all others the same bytes.

    Whether those others are images at all, the rule itself tells.

    Raises:
        ConversionError: a WebP or TIFF is damaged, goes beyond `MAX_PIXELS`, or is a TIFF that is not converted.
    """
    header = announced(encoded)
    if header is None:
        return encoded
    if header.pixels > MAX_PIXELS:
        size = f"{header.format} of {header.width} x {header.height}, {header.pixels} pixels in all"
        raise ConversionError(f"{size}; at most {MAX_PIXELS} are decoded")
    try:
        image = _open(encoded, header.format)
        if image.width * image.height > header.pixels:
            raise ConversionError(f"{header.format}: the header announces {header.pixels} pixels, then there are more")
        image.load()
        return _png(_turn_upright(image) if header.format == "WEBP" else _grey_of_16_bits(image, encoded))
    except ConversionError:
        raise
    except ModuleNotFoundError as error:  # at a client, which is installed without
        raise ConversionError(f"{header.format} is converted with Pillow, which is not installed here") from error
    # Pillow raises about anything on a damaged file: OSError, SyntaxError, struct.error, MemoryError, RuntimeError...
    except Exception as error:
        reason = one_line(error, None)
        raise ConversionError(f"{header.format} cannot be decoded: {reason}") from error


def _webp_size(encoded: bytes) -> tuple[int, int]:
    # RFC 9649, sections 2.5 to 2.7; RFC 6386, section 9.1.
    kind = encoded[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", encoded, 24)
        return low_width + (high_width << 16) + 1, low_height + (high_height << 16) + 1
    if kind == b"VP8L":
        mark, bits = struct.unpack_from("<BI", encoded, 20)
        if mark == 0x2F:
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        mark, width, height = struct.unpack_from("<3sHH", encoded, 23)
        if mark == b"\x9d\x01\x2a":
            return width & 0x3FFF, height & 0x3FFF
    raise ConversionError(f"WEBP starts with {encoded[12:24].hex(' ')} where VP8, VP8L or VP8X belongs")


def _tiff_tags(encoded: bytes) -> dict[int, int]:
    """The first value of each tag of `_TAGS` in the first directory; of offsets, how many there are.

    Raises:
        ConversionError: The values of all tags together are larger than the file: Pillow would read each.
        struct.error: The directory is cut.
    """
    order = "<" if encoded[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", encoded, 4)
    (count,) = struct.unpack_from(order + "H", encoded, directory)
    tags: dict[int, int] = {}
    size = 0
    for place in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", encoded, place)
        length = _VALUE_BYTES.get(kind, 0) * values
        size += length if length > 4 else 0
        if size > len(encoded):
            raise ConversionError(f"TIFF of {len(encoded)} bytes, whose tags hold {size} and more")
        if tag in (_STRIP_OFFSETS, _TILE_OFFSETS):
            tags[tag] = max(tags.get(tag, 0), values)
        elif tag in _TAGS and kind in _FIELDS and values:
            field = order + _FIELDS[kind]
            at = place + 8
            if struct.calcsize(field) * values > 4:
                (at,) = struct.unpack_from(order + "I", encoded, at)
            # Readers do not agree on which of two equal tags counts: for a limit it is the larger.
            tags[tag] = max(tags.get(tag, 0), *struct.unpack_from(field, encoded, at))
    return tags


def _check_kind(tags: dict[int, int]) -> None:
    bits, photometric = tags.get(_BITS, 1), tags.get(_PHOTOMETRIC, 0)
    if kind := _SAMPLE_FORMATS.get(tags.get(_SAMPLE_FORMAT, 1)):
        raise ConversionError(f"TIFF of {kind}; unsigned integers are converted", unsupported=True)
    if bits not in _BIT_DEPTHS:
        depths = ", ".join(map(str, _BIT_DEPTHS))
        raise ConversionError(f"TIFF of {bits} bits a sample; {depths} are converted", unsupported=True)
    if photometric not in _PHOTOMETRICS:
        known = ", ".join(f"{number} ({name})" for number, name in _PHOTOMETRICS.items())
        raise ConversionError(f"TIFF of photometric interpretation {photometric}; converted: {known}", unsupported=True)
    parts = max(tags.get(_STRIP_OFFSETS, 0), tags.get(_TILE_OFFSETS, 0))
    if parts > MAX_TIFF_PARTS:
        raise ConversionError(f"TIFF of {parts} strips or tiles; at most {MAX_TIFF_PARTS} are read", unsupported=True)


def _open(encoded: bytes, kind: str) -> "Image.Image":
    """Opens with the one plugin that fits: `Image.open` would try others too, and hide what the plugin says."""
    from PIL import TiffImagePlugin, WebPImagePlugin

    plugin = {"WEBP": WebPImagePlugin.WebPImageFile, "TIFF": TiffImagePlugin.TiffImageFile}[kind]
    return plugin(io.BytesIO(encoded))


def _turn_upright(image: "Image.Image") -> "Image.Image":
    """Turns by the Exif block; a malformed one means upright, as it does in a JPEG. Loading a TIFF turns it already."""
    from PIL.Image import Transpose

    # Read here and not by Pillow, which would read every tag, and those of all directories below.
    turns = {
        **{2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE},
        **{6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90},
    }
    block = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    orientation = 1
    if block[:4] in (b"II*\0", b"MM\0*"):
        with contextlib.suppress(struct.error, ConversionError):
            orientation = _tiff_tags(block).get(_ORIENTATION, 1)
    return image.transpose(turns[orientation]) if orientation in turns else image


def _grey_of_16_bits(image: "Image.Image", encoded: bytes) -> "Image.Image":
    """12 and 16 bits of grey as their high 8; other images as they are."""
    from PIL import Image

    if not image.mode.startswith("I;16"):
        return image
    import numpy as np

    tags = _tiff_tags(encoded)
    high = (np.asarray(image).astype(np.uint16) >> (tags[_BITS] - 8)).astype(np.uint8)
    # Pillow turns the scale round for up to 8 bits only.
    return Image.fromarray(high if tags.get(_PHOTOMETRIC, 0) else 255 - high)


def _png(image: "Image.Image") -> bytes:
    """Encodes pixels and nothing else: no profile, no Exif.

    Run lengths on filtered rows: on photographs 0.98 MB and 0.05 s a megapixel, where zlib's level 6 takes 0.95 MB and
    0.25 s, and no compression at all 3 MB. The bytes may change with zlib; digest and split are of the original's.
    """
    if image.mode not in _MODES:
        raise ConversionError(f"{image.mode} pixels are not converted")
    if image.mode != _MODES[image.mode]:
        image = image.convert(_MODES[image.mode])
    image.info = {}
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_type=zlib.Z_RLE)
    return stream.getvalue()
