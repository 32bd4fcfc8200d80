"""Which images may enter: limits and type from the header, then the pixels as the served graph decodes them."""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from graft.models.errors import kernel_reason
from graft.models.inputs.base import Facts, Refused
from graft.models.inputs.image import convert
from graft.models.inputs.image.header import Fault, HeaderError, announced
from graft.models.inputs.image.png import encode_png

if TYPE_CHECKING:
    import tensorflow as tf

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
_FAULTS = {Fault.CORRUPT: "corrupt", Fault.TOO_COSTLY: "too_many_pixels", Fault.UNSUPPORTED: "unsupported_type"}

_compile_lock = threading.Lock()
_large_lock = threading.Lock()


class Admission:
    """The entering side of `models.inputs.image.Input`; methods are those of `models.inputs.base.Input`."""

    options: Any

    REASONS: ClassVar[Mapping[str, str]] = {
        "empty": "the file has no bytes",
        "too_large": "the encoded file is larger than input.max_bytes",
        "too_many_pixels": "the header announces more pixels than input.max_pixels, or hundreds of passes over them",
        "unknown_type": "the first bytes are of no known image type",
        "unsupported_type": "an image, but not JPEG, PNG, GIF, BMP, WebP or a TIFF that is converted",
        "corrupt": "the header or the pixels cannot be decoded",
    }
    FACTS: ClassVar[Mapping[str, type]] = {"width": int, "height": int, "format": str}
    BATCH_COST: ClassVar[int] = 2**24
    """Pixels decoded in one call; a larger image goes alone, one at a time in the process."""

    def admit(self, content: bytes) -> Facts:
        """Looks at size and header; the extension of a file plays no part."""
        if len(content) > self.options.max_bytes:
            raise Refused("too_large", f"{len(content)} bytes, at most {self.options.max_bytes} are read")
        if not content:
            raise Refused("empty", "0 bytes")
        try:
            header = announced(content)
        except HeaderError as error:
            raise Refused(_FAULTS[error.kind], str(error)) from error
        if header is None:
            raise _foreign(content)
        if header.pixels > self.options.max_pixels:
            size = f"{header.format} of {header.width} x {header.height}, {header.pixels} pixels in all"
            raise Refused("too_many_pixels", f"{size}; at most {self.options.max_pixels} are decoded")
        return {"width": header.width, "height": header.height, "format": header.format, "_pixels": header.pixels}

    def packer(self, shape: Sequence[int]) -> Callable[[bytes], bytes]:
        """PNGs of grey or RGB, row by row, of no more pixels than are taken."""
        if len(shape) not in (2, 3) or tuple(shape[2:]) not in ((), (1,), (3,)):
            raise Refused(
                "unreadable",
                f"has dimensions {tuple(shape)} for each; images have (height, width) or (height, width, 3)",
            )
        height, width, most = shape[0], shape[1], self.options.max_pixels
        if not 0 < height * width <= most:
            raise Refused(
                "too_many_pixels",
                f"has images of {width} x {height} pixels; 1 to {most} in all (input.max_pixels) fit",
            )
        channels = shape[2] if len(shape) == 3 else 1
        return lambda values: encode_png(values, width, height, channels)

    def cost(self, facts: Facts) -> int:
        """Pixels that a decoder has to hold."""
        return int(facts["_pixels"])

    def verify(self, contents: Sequence[bytes], facts: Sequence[Facts]) -> list[bytes | Refused]:
        """Converts what the rule does not decode, then decodes images and drops the pixels."""
        large = any(self.cost(one) > self.BATCH_COST for one in facts)
        with _large_lock if large else contextlib.nullcontext():
            found = [
                _converted(content) if one["format"] in convert.FORMATS else content
                for content, one in zip(contents, facts, strict=True)
            ]
            sound = [i for i, one in enumerate(found) if isinstance(one, bytes)]
            faults = _check([found[i] for i in sound])  # type: ignore[misc]
            for i, fault in zip(sound, faults, strict=True):
                if fault is not None:
                    found[i] = Refused("corrupt", fault)
            return found


def _foreign(encoded: bytes) -> Refused:
    for magic, name in _UNSUPPORTED:
        if encoded.startswith(magic):
            return Refused("unsupported_type", name)
    if encoded[4:8] == b"ftyp" and encoded[8:12] in _HEIF_BRANDS:
        return Refused("unsupported_type", f"HEIF ({encoded[8:12].decode()})")
    for magic, name in _OTHER:
        if encoded.startswith(magic):
            return Refused("unknown_type", name)
    start = encoded[:64].lstrip()
    if start[:5].lower() in (b"<html", b"<!doc"):
        return Refused("unknown_type", "HTML")
    if start[:4].lower() == b"<svg" or start[:5] == b"<?xml":
        return Refused("unknown_type", "XML or SVG")
    if start.isascii() and not any(byte < 9 for byte in start):
        return Refused("unknown_type", "text")
    return Refused("unknown_type", f"first bytes {encoded[:8].hex(' ')}")


def _converted(encoded: bytes) -> bytes | Refused:
    try:
        return convert.to_supported(encoded)
    except convert.ConversionError as error:
        return Refused("corrupt", str(error))


def _check(encoded: Sequence[bytes]) -> list[str | None]:
    """For each image None when `inputs.image.decoding.decode_image` decodes it, else what it says."""
    import tensorflow as tf

    from graft.models.inputs.image import decoding

    faults: list[str | None] = [None] * len(encoded)
    is_png = [one.startswith(b"\x89PNG") for one in encoded]
    for chosen, decodes in (
        # What the rule does with a PNG, without what cannot fail: six times faster on small ones.
        ([i for i, png in enumerate(is_png) if png], ("pngs", lambda one: tf.io.decode_png(one, channels=4))),
        ([i for i, png in enumerate(is_png) if not png], ("any", decoding.decode_image)),
    ):
        try:
            if chosen:
                _Compiled.get(*decodes)(tf.constant([encoded[i] for i in chosen]))
        except tf.errors.InvalidArgumentError:
            for i in chosen:
                try:
                    _Compiled.get("any", decoding.decode_image)(tf.constant([encoded[i]]))
                except tf.errors.InvalidArgumentError as error:
                    faults[i] = kernel_reason(error.message)
    return faults


class _Compiled:
    """The graphs, compiled once per process."""

    _functions: dict[str, "tf.types.experimental.ConcreteFunction"] = {}

    @classmethod
    def get(cls, name: str, decode):
        """The heights of images as `decode` has them, of string [n]."""
        import tensorflow as tf

        with _compile_lock:
            if name not in cls._functions:

                @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
                def heights(encoded):
                    return tf.map_fn(
                        lambda one: tf.shape(decode(one))[0],
                        encoded,
                        fn_output_signature=tf.int32,
                        parallel_iterations=1,  # bounds memory; other threads decode other batches
                    )

                cls._functions[name] = heights.get_concrete_function()
            return cls._functions[name]
