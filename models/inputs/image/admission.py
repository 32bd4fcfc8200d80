"""Which images may enter: limits and type from the header, then the pixels as the served graph decodes them."""

import contextlib
import functools
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

_PNGS = 64
"""PNGs that one run of their graph decodes, on all cores; `BATCH_COST` bounds the pixels that it holds."""

_ONE_PIXEL = encode_png(b"\0", 1, 1, 1)

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

    faults: list[str | None] = [None] * len(encoded)
    pngs = [i for i, one in enumerate(encoded) if one.startswith(b"\x89PNG")]
    others = [i for i, one in enumerate(encoded) if not one.startswith(b"\x89PNG")]
    for chosen, decode in ((pngs, _decode_pngs), (others, _decode)):
        try:
            decode([encoded[i] for i in chosen])
        except tf.errors.InvalidArgumentError:
            for i in chosen:
                try:
                    _decode([encoded[i]])
                except tf.errors.InvalidArgumentError as error:
                    faults[i] = kernel_reason(error.message)
    return faults


def _decode(encoded: Sequence[bytes]) -> None:
    """Decodes by the rule; raises InvalidArgumentError."""
    import tensorflow as tf

    if encoded:
        _compiled(_heights)(tf.constant(encoded))


def _decode_pngs(encoded: Sequence[bytes]) -> None:
    """As `_decode`, what the rule does with PNGs without what cannot fail: ten times faster on small ones."""
    import tensorflow as tf

    for start in range(0, len(encoded), _PNGS):
        together = encoded[start : start + _PNGS]
        _compiled(_sizes_of_pngs)(tf.constant([*together, *[_ONE_PIXEL] * (_PNGS - len(together))]))


def _compiled(trace: Callable[[], "tf.types.experimental.ConcreteFunction"]) -> Callable[["tf.Tensor"], "tf.Tensor"]:
    """A graph that is traced once a process, whichever thread asks first."""
    with _compile_lock:
        return trace()


@functools.cache
def _heights() -> "tf.types.experimental.ConcreteFunction":
    """The heights of images, of string [n]."""
    import tensorflow as tf

    from graft.models.inputs.image.decoding import decode_image

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def heights(encoded):
        return tf.map_fn(
            lambda one: tf.shape(decode_image(one))[0],
            encoded,
            fn_output_signature=tf.int32,
            parallel_iterations=1,  # bounds memory; other threads decode other batches
        )

    return heights.get_concrete_function()


@functools.cache
def _sizes_of_pngs() -> "tf.types.experimental.ConcreteFunction":
    """The sizes of PNGs, of string [_PNGS]. Without a loop, whose steps take longer than a small image."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([_PNGS], tf.string)], autograph=False)
    def sizes(encoded):
        return tf.stack([tf.size(tf.io.decode_png(one, channels=4)) for one in tf.unstack(encoded)])

    return sizes.get_concrete_function()
