"""Type and size of an encoded image, from its header alone: nothing is unpacked, so bombs cost nothing here.

Imports no TensorFlow: ingestion and servers ask it before anything is decoded.
"""

import dataclasses
import enum
import struct

from graft.models.inputs.image import convert
from graft.models.inputs.image.limits import MAX_GIF_BLOCKS, MAX_SCANS

_PNG = b"\x89PNG\r\n\x1a\n"
# Steps a header's walk may take, in Python: tens of milliseconds. Cameras write some dozen segments.
_MAX_JPEG_STEPS = 2**16
_MAX_GIF_SUB_BLOCKS = 2**19


class Fault(enum.Enum):
    """What is wrong with a header."""

    CORRUPT = enum.auto()
    TOO_COSTLY = enum.auto()
    UNSUPPORTED = enum.auto()


class HeaderError(Exception):
    """The header is of a known type, but no image of that type can be used with it.

    Attributes:
        kind: what is wrong.
    """

    def __init__(self, message: str, kind: Fault = Fault.CORRUPT):
        super().__init__(message)
        self.kind = kind


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """What the header announces.

    Attributes:
        format: One of `inputs.image.decoding.FORMATS`, or of `inputs.image.convert.FORMATS`, which are converted.
        width: Pixels, before EXIF orientation.
        height: Pixels, before EXIF orientation.
        pixels: Pixels that a decoder has to hold: width x height, or all frames of a GIF together,
            or a tile of a TIFF that is larger than the image.
    """

    format: str
    width: int
    height: int
    pixels: int


def announced(encoded: bytes) -> Header | None:
    """Reads type and size; None for bytes of no type that `inputs.image.decoding` or `inputs.image.convert` takes.

    Args:
        encoded: the whole encoded image.

    Raises:
        HeaderError: the header is cut or nonsense, or announces more than a decoder should be asked for.
    """
    try:
        if encoded.startswith(_PNG):
            header = _png(encoded)
        elif encoded.startswith(b"\xff\xd8"):
            header = _jpeg(encoded)
        elif encoded.startswith(b"GIF8"):
            header = _gif(encoded)
        elif encoded.startswith(b"BM"):
            header = _bmp(encoded)
        else:
            converted = _converted(encoded)
            if converted is None:
                return None
            header = converted
    except (struct.error, IndexError) as error:
        raise HeaderError(f"the file ends within its header ({len(encoded)} bytes)") from error
    if header.width <= 0 or header.height <= 0:
        raise HeaderError(f"{header.format} of {header.width} x {header.height} pixels")
    return header


def _png(encoded: bytes) -> Header:
    # Portable Network Graphics (W3C, 2003), 11.2.2: IHDR comes first.
    kind, width, height = struct.unpack_from(">4sII", encoded, 12)
    if kind != b"IHDR":
        raise HeaderError(f"PNG starts with chunk {kind!r} where IHDR belongs")
    return Header("PNG", width, height, width * height)


def _jpeg(encoded: bytes) -> Header:
    # ITU-T T.81, B.1.1: segments up to a frame header SOF0..SOF15, which is none of DHT, JPG, DAC.
    position = 2
    steps = 0
    while (position := encoded.find(b"\xff", position)) >= 0:
        steps += 1
        if steps > _MAX_JPEG_STEPS:
            raise HeaderError(f"JPEG of more than {_MAX_JPEG_STEPS} segments and fill bytes", Fault.TOO_COSTLY)
        marker = encoded[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # without a length
            position += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", encoded, position + 5)
            scans = encoded.count(b"\xff\xda")
            if scans > MAX_SCANS:
                raise HeaderError(f"JPEG of {scans} scans; at most {MAX_SCANS} are decoded", Fault.TOO_COSTLY)
            return Header("JPEG", width, height, width * height)
        elif marker in (0xD9, 0xDA):  # the end, or pixels
            break
        else:
            position += 2 + max(2, struct.unpack_from(">H", encoded, position + 2)[0])
    raise HeaderError("JPEG without a frame header")


def _gif(encoded: bytes) -> Header:
    # GIF89a specification, sections 18 to 25. The decoder unpacks every frame, so all of them count, into an image as
    # wide as the widest and as high as the highest of them.
    width, height, flags = struct.unpack_from("<HHB", encoded, 6)
    position = 13 + _color_table(flags)
    frames = blocks = sub_blocks = widest = highest = 0
    while position < len(encoded):
        block = encoded[position]
        blocks += 1
        if blocks > MAX_GIF_BLOCKS:
            raise HeaderError(f"GIF of more than {MAX_GIF_BLOCKS} blocks", Fault.TOO_COSTLY)
        if block == 0x2C and position + 10 <= len(encoded):
            frame_width, frame_height, flags = struct.unpack_from("<HHB", encoded, position + 5)
            frames += frame_width * frame_height
            widest, highest = max(widest, frame_width), max(highest, frame_height)
            position, sub_blocks = _skip_sub_blocks(encoded, position + 11 + _color_table(flags), sub_blocks)
        elif block == 0x21:
            position, sub_blocks = _skip_sub_blocks(encoded, position + 2, sub_blocks)
        else:  # the trailer, or damage that decoding will tell
            break
    return Header("GIF", width, height, max(width * height, frames, widest * highest))


def _color_table(flags: int) -> int:
    return 3 * 2 ** ((flags & 0x07) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(encoded: bytes, position: int, before: int) -> tuple[int, int]:
    """The place after a chain of sub-blocks, and how many were passed, those `before` included."""
    while position < len(encoded) and (size := encoded[position]):
        before += 1
        if before > _MAX_GIF_SUB_BLOCKS:
            raise HeaderError(f"GIF of more than {_MAX_GIF_SUB_BLOCKS} sub-blocks", Fault.TOO_COSTLY)
        position += 1 + size
    return position + 1, before


def _bmp(encoded: bytes) -> Header:
    # BITMAPINFOHEADER: a negative height means rows from the top.
    width, height = struct.unpack_from("<ii", encoded, 18)
    return Header("BMP", width, abs(height), width * abs(height))


def _converted(encoded: bytes) -> Header | None:
    try:
        found = convert.announced(encoded)
    except convert.ConversionError as error:
        raise HeaderError(str(error), Fault.UNSUPPORTED if error.unsupported else Fault.CORRUPT) from error
    return None if found is None else Header(found.format, found.width, found.height, found.pixels)
