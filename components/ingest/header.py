"""Type and size of an encoded image, from its header alone: nothing is unpacked, so bombs cost nothing here."""

import dataclasses
import struct

from components.ingest.reasons import Reason
from models import convert
from models.image_limits import MAX_GIF_BLOCKS, MAX_SCANS

_PNG = b"\x89PNG\r\n\x1a\n"

# Image types that are neither decoded by the rule in models/images.py nor converted for it, by their first bytes.
_UNSUPPORTED = (
    (b"II+\x00", "BigTIFF"),
    (b"MM\x00+", "BigTIFF"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x00\x00\x02\x00", "CUR"),
    (b"8BPS", "PSD"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"DDS ", "DDS"),
    (b"v/1\x01", "OpenEXR"),
    (b"P4", "PBM"),
    (b"P5", "PGM"),
    (b"P6", "PPM"),
)
_HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_OTHER = ((b"%PDF", "PDF"), (b"PK\x03\x04", "ZIP"), (b"\x1f\x8b", "gzip"), (b"\x93NUMPY", "NumPy array"))


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """What the header announces.

    Attributes:
      format: One of `models.images.FORMATS`, or of `models.convert.FORMATS`, which are converted.
      width: Pixels, before EXIF orientation.
      height: Pixels, before EXIF orientation.
      pixels: Pixels that a decoder has to hold: width x height, or all frames of a GIF together,
        or a tile of a TIFF that is larger than the image.
    """

    format: str
    width: int
    height: int
    pixels: int


class Refused(Exception):
    """The image is not to be used.

    Attributes:
      reason: The code.
      detail: What was found.
    """

    def __init__(self, reason: Reason, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def read_header(encoded: bytes) -> Header:
    """Reads type and size; the file's extension plays no part.

    Args:
      encoded: The whole encoded image.

    Raises:
      Refused: The bytes are empty, of another type, or their header is cut or nonsense.
    """
    if not encoded:
        raise Refused(Reason.EMPTY, "0 bytes")
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
            header = _converted(encoded)
    except (struct.error, IndexError) as error:
        raise Refused(Reason.CORRUPT, f"the file ends within its header ({len(encoded)} bytes)") from error
    if header.width <= 0 or header.height <= 0:
        raise Refused(Reason.CORRUPT, f"{header.format} of {header.width} x {header.height} pixels")
    return header


def _png(encoded: bytes) -> Header:
    # Portable Network Graphics (W3C, 2003), 11.2.2: IHDR comes first.
    kind, width, height = struct.unpack_from(">4sII", encoded, 12)
    if kind != b"IHDR":
        raise Refused(Reason.CORRUPT, f"PNG starts with chunk {kind!r} where IHDR belongs")
    return Header("PNG", width, height, width * height)


def _jpeg(encoded: bytes) -> Header:
    # ITU-T T.81, B.1.1: segments up to a frame header SOF0..SOF15, which is none of DHT, JPG, DAC.
    position = 2
    while (position := encoded.find(b"\xff", position)) >= 0:
        marker = encoded[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # without a length
            position += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", encoded, position + 5)
            scans = encoded.count(b"\xff\xda")
            if scans > MAX_SCANS:
                raise Refused(Reason.TOO_MANY_PIXELS, f"JPEG of {scans} scans; at most {MAX_SCANS} are decoded")
            return Header("JPEG", width, height, width * height)
        elif marker in (0xD9, 0xDA):  # the end, or pixels
            break
        else:
            position += 2 + max(2, struct.unpack_from(">H", encoded, position + 2)[0])
    raise Refused(Reason.CORRUPT, "JPEG without a frame header")


def _gif(encoded: bytes) -> Header:
    # GIF89a specification, sections 18 to 25. The decoder unpacks every frame, so all of them count, into an image as
    # wide as the widest and as high as the highest of them.
    width, height, flags = struct.unpack_from("<HHB", encoded, 6)
    position = 13 + _color_table(flags)
    frames = blocks = widest = highest = 0
    while position < len(encoded):
        block = encoded[position]
        blocks += 1
        if blocks > MAX_GIF_BLOCKS:
            raise Refused(Reason.TOO_MANY_PIXELS, f"GIF of more than {MAX_GIF_BLOCKS} blocks")
        if block == 0x2C and position + 10 <= len(encoded):
            frame_width, frame_height, flags = struct.unpack_from("<HHB", encoded, position + 5)
            frames += frame_width * frame_height
            widest, highest = max(widest, frame_width), max(highest, frame_height)
            position = _skip_sub_blocks(encoded, position + 11 + _color_table(flags))
        elif block == 0x21:
            position = _skip_sub_blocks(encoded, position + 2)
        else:  # the trailer, or damage that decoding will tell
            break
    return Header("GIF", width, height, max(width * height, frames, widest * highest))


def _color_table(flags: int) -> int:
    return 3 * 2 ** ((flags & 0x07) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(encoded: bytes, position: int) -> int:
    while position < len(encoded) and (size := encoded[position]):
        position += 1 + size
    return position + 1


def _bmp(encoded: bytes) -> Header:
    # BITMAPINFOHEADER: a negative height means rows from the top.
    width, height = struct.unpack_from("<ii", encoded, 18)
    return Header("BMP", width, abs(height), width * abs(height))


def _converted(encoded: bytes) -> Header:
    try:
        found = convert.announced(encoded)
    except convert.ConversionError as error:
        reason = Reason.UNSUPPORTED_TYPE if error.unsupported else Reason.CORRUPT
        raise Refused(reason, str(error)) from error
    if found is None:
        raise _foreign(encoded)
    return Header(found.format, found.width, found.height, found.pixels)


def _foreign(encoded: bytes) -> Refused:
    for magic, name in _UNSUPPORTED:
        if encoded.startswith(magic):
            return Refused(Reason.UNSUPPORTED_TYPE, name)
    if encoded[4:8] == b"ftyp" and encoded[8:12] in _HEIF_BRANDS:
        return Refused(Reason.UNSUPPORTED_TYPE, f"HEIF ({encoded[8:12].decode()})")
    for magic, name in _OTHER:
        if encoded.startswith(magic):
            return Refused(Reason.UNKNOWN_TYPE, name)
    start = encoded[:64].lstrip()
    if start[:5].lower() in (b"<html", b"<!doc"):
        return Refused(Reason.UNKNOWN_TYPE, "HTML")
    if start[:4].lower() == b"<svg" or start[:5] == b"<?xml":
        return Refused(Reason.UNKNOWN_TYPE, "XML or SVG")
    if start.isascii() and not any(byte < 9 for byte in start):
        return Refused(Reason.UNKNOWN_TYPE, "text")
    return Refused(Reason.UNKNOWN_TYPE, f"first bytes {encoded[:8].hex(' ')}")
