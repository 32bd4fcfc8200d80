"""Images that their first bytes rule out, with the reason code that ingestion gives them."""

from graft.components.ingest.reasons import Reason
from graft.models.inputs.image.header import Fault, Header, HeaderError, announced

# Image types that are neither decoded nor converted for it, by their first bytes.
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

_REASONS = {
    Fault.CORRUPT: Reason.CORRUPT,
    Fault.TOO_COSTLY: Reason.TOO_MANY_PIXELS,
    Fault.UNSUPPORTED: Reason.UNSUPPORTED_TYPE,
}


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
        header = announced(encoded)
    except HeaderError as error:
        raise Refused(_REASONS[error.kind], str(error)) from error
    if header is None:
        raise _foreign(encoded)
    return header


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
