"""WebP and TIFF as PNG: the pixels that Pillow sees, within the limits, and an answer for every damaged file."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageCms

from graft.models.inputs.image import convert
from graft.models.inputs.image.convert import Announced, ConversionError, announced, to_supported
from graft.models.inputs.image.decoding import decode_image
from graft.models.inputs.image.limits import MAX_PIXELS

# Pillow warns of odd tags beside what it raises.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SIZE = (24, 16)
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"]
COMPRESSIONS = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]
ORIENTATION = 0x0112


def scene(mode: str = "RGB") -> Image.Image:
    """Smooth, different in each corner, with every alpha."""
    x, y = np.meshgrid(np.linspace(0, 255, SIZE[0]), np.linspace(0, 255, SIZE[1]))
    pixels = np.stack([x, y, 255 - x, (x + y) / 2], axis=-1).astype(np.uint8)
    image = Image.fromarray(pixels)
    return image if mode == "RGBA" else image.convert("LA" if mode == "LA" else "RGB").convert(mode)


def encode(image: Image.Image, kind: str, **more) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


def expected(image: Image.Image) -> np.ndarray:
    """RGB, alpha over white by the formula of the rule."""
    rgba = np.asarray(image.convert("RGBA"), np.int64)
    colour, alpha = rgba[..., :3], rgba[..., 3:]
    return (colour * alpha + 255 * (255 - alpha) + 127) // 255


def served(encoded: bytes) -> np.ndarray:
    """What the graph makes of the converted file."""
    return decode_image(tf.constant(to_supported(encoded))).numpy()


def tiff(tags: dict[int, tuple[str, list[int]]], data: bytes = b"", order: str = "<") -> bytes:
    """A TIFF of one directory; StripOffsets (273) is filled in."""
    tags = {273: ("I", [0]), 279: ("I", [len(data)]), **tags}
    extra_at = 8 + 2 + 12 * len(tags) + 4
    extra, entries = b"", b""
    kinds = {"B": 1, "H": 3, "I": 4}
    sizes = {tag: struct.calcsize(f"{order}{len(values)}{kind}") for tag, (kind, values) in tags.items()}
    data_at = extra_at + sum(size for size in sizes.values() if size > 4)
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{kind}", *([data_at] if tag == 273 else values))
        if len(packed) > 4:
            packed, extra = struct.pack(order + "I", extra_at + len(extra)), extra + packed
        entries += struct.pack(order + "HHI", tag, kinds[kind], len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + extra + data


def grey(bits: int, photometric: int, data: bytes, width: int, height: int, order: str = "<", **more) -> bytes:
    tags = {256: ("H", [width]), 257: ("I", [height]), 258: ("H", [bits]), 262: ("H", [photometric])}
    return tiff(tags | {277: ("H", [1]), 278: ("I", [height])} | more.get("tags", {}), data, order)


def test_what_the_rule_decodes_and_what_nobody_knows_stay_as_they_are():
    for kind in ("JPEG", "PNG", "GIF", "BMP"):
        encoded = encode(scene(), kind)
        assert to_supported(encoded) is encoded and announced(encoded) is None
    for encoded in (b"", b"RIFF", b"II", b"no image", b"II+\0\x08\0\0\0", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x1cftypavif"):
        assert to_supported(encoded) is encoded and announced(encoded) is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [True, False])
def test_webp_has_the_pixels_that_pillow_decodes(mode, lossless):
    encoded = encode(scene(mode), "WEBP", lossless=lossless, exact=True)
    assert announced(encoded) == Announced("WEBP", *SIZE, SIZE[0] * SIZE[1])
    np.testing.assert_array_equal(served(encoded), expected(Image.open(io.BytesIO(encoded))))
    if lossless:
        np.testing.assert_array_equal(served(encoded), expected(scene(mode)))


def test_first_frame_of_an_animated_webp():
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "lime", "blue")]
    encoded = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert announced(encoded) == Announced("WEBP", *SIZE, SIZE[0] * SIZE[1])
    assert np.unique(served(encoded).reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "orientation"),
    [(kind, orientation) for kind in ("WEBP", "TIFF", "TIFF in JPEG") for orientation in range(1, 9)]
    + [("WEBP", 0), ("WEBP", 9), ("TIFF", 0), ("TIFF", 9)],
)
def test_orientation_is_applied_as_in_a_jpeg(kind, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    jpeg = encode(scene(), "JPEG", exif=exif, quality=100, subsampling=0)
    upright = decode_image(tf.constant(jpeg)).numpy().astype(int)
    if kind == "WEBP":
        encoded = encode(scene(), "WEBP", exif=exif, lossless=True)
    else:
        more = {"compression": "jpeg", "quality": 100} if kind == "TIFF in JPEG" else {}
        encoded = encode(scene(), "TIFF", tiffinfo={ORIENTATION: orientation}, **more)
    pixels = served(encoded)
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).mean() < 4


def test_malformed_exif_of_a_webp_means_upright():
    for block in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0no", b"MM\0*\0\0\0\x08\xff\xff\1\x12", b"\0"):
        encoded = encode(scene(), "WEBP", exif=block, lossless=True)
        np.testing.assert_array_equal(served(encoded), expected(scene()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_tiff_of_every_mode(mode, compression):
    image = scene(mode)
    encoded = encode(image, "TIFF", compression=compression)
    assert announced(encoded) == Announced("TIFF", *SIZE, SIZE[0] * SIZE[1])
    try:
        reference = Image.open(io.BytesIO(encoded)).convert("RGB") if mode in ("CMYK", "YCbCr") else image
    except OSError:
        pytest.skip("this version of Pillow cannot read what it wrote")
    np.testing.assert_array_equal(served(encoded), expected(reference))


@pytest.mark.parametrize(("mode", "compression"), [("1", "group4"), ("1", "group3"), ("L", "jpeg"), ("RGB", "jpeg")])
def test_tiff_of_scanners_and_cameras(mode, compression):
    encoded = encode(scene(mode), "TIFF", compression=compression)
    np.testing.assert_array_equal(served(encoded), expected(Image.open(io.BytesIO(encoded)).convert("RGB")))


@pytest.mark.parametrize(("order", "turned"), [("<", False), ("<", True), (">", False)])
def test_16_bits_of_grey_keep_their_high_byte_as_in_png(order, turned):
    values = np.linspace(0, 65535, 60).astype(np.uint16).reshape(6, 10)
    encoded = grey(16, 0 if turned else 1, values.astype(f"{order}u2").tobytes(), 10, 6, order)
    png = encode(Image.fromarray(65535 - values if turned else values), "PNG")
    np.testing.assert_array_equal(served(encoded), decode_image(tf.constant(png)).numpy())


def test_12_bits_of_grey_use_the_whole_scale():
    pairs = np.array([[0, 4095], [2048, 16], [15, 4080]])
    packed = b"".join(((int(a) << 12) | int(b)).to_bytes(3, "big") for a, b in pairs)
    assert served(grey(12, 1, packed, 2, 3))[..., 0].tolist() == [[0, 255], [128, 1], [0, 255]]


def test_16_bits_of_colour_keep_their_high_byte():
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), np.uint16)
    tags = {256: ("H", [5]), 257: ("H", [4]), 258: ("H", [16] * 3), 262: ("H", [2]), 277: ("H", [3]), 278: ("H", [4])}
    for order in "<>":
        encoded = tiff(tags, values.astype(f"{order}u2").tobytes(), order)
        np.testing.assert_array_equal(served(encoded), values >> 8)


def test_alpha_that_the_colours_hold_already_is_divided_out():
    pixels = np.array([[[100, 50, 0, 100], [255, 128, 0, 255], [0, 0, 0, 0]]], np.uint8)
    tags = {256: ("H", [3]), 257: ("H", [1]), 258: ("H", [8] * 4), 262: ("H", [2]), 277: ("H", [4]), 338: ("H", [1])}
    assert served(tiff(tags | {278: ("H", [1])}, pixels.tobytes())).tolist() == [
        [[255, 205, 155], [255, 128, 0], [255, 255, 255]]
    ]


def test_first_page_of_several():
    pages = [Image.new("L", SIZE, value) for value in (10, 200)]
    assert np.unique(served(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]))) == [10]


def test_the_png_holds_pixels_and_nothing_else():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "maker"
    for kind in convert.FORMATS:
        png = to_supported(encode(scene(), kind, exif=exif, icc_profile=profile))
        kinds, at = [], 8
        while at < len(png):
            kinds.append(png[at + 4 : at + 8])
            at += 12 + int.from_bytes(png[at : at + 4], "big")
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (
            encode(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"),
            "floating-point numbers; unsigned integers are",
        ),
        (encode(Image.fromarray(np.zeros((2, 2), np.int32)), "TIFF"), "TIFF of signed integers"),
        (grey(32, 1, bytes(16), 2, 2), "TIFF of 32 bits a sample; 1, 2, 4, 8, 12, 16 are converted"),
        (
            grey(8, 1, b"0", 1, 2, tags={324: ("B", [0] * (2**18 + 1))}),
            "TIFF of 262145 strips or tiles; at most 262144",
        ),
        (encode(Image.new("LAB", (2, 2)), "TIFF"), r"photometric interpretation 8; converted: 0 \(white is zero\)"),
    ],
    ids=["float", "signed", "32 bits", "parts", "Lab"],
)
def test_tiff_of_a_kind_that_is_not_converted(encoded, message):
    with pytest.raises(ConversionError, match=message) as refused:
        to_supported(encoded)
    assert refused.value.unsupported


def test_header_that_names_a_tag_twice_is_held_to_the_larger():
    encoded = bytearray(grey(8, 1, bytes(6), 3, 2))
    entry = encoded.index(struct.pack("<HHI", 278, 4, 1))
    struct.pack_into("<HHII", encoded, entry, 257, 4, 1, 70000)
    assert announced(bytes(encoded)).height == 70000


def vp8x(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x20\0\0\0WEBPVP8X" + struct.pack("<II", 10, 0) + size + bytes(8)


@pytest.mark.parametrize(
    "bomb",
    [
        vp8x(16384, 16384),
        b"RIFF\x20\0\0\0WEBPVP8L" + struct.pack("<IBI", 20, 0x2F, (16383 << 14) | 16383) + bytes(20),
        b"RIFF\x20\0\0\0WEBPVP8 " + struct.pack("<I3s3sHH", 20, b"\0\0\0", b"\x9d\x01\x2a", 16383, 16383) + bytes(9),
        grey(1, 1, bytes(8), 60000, 60000),
        grey(8, 1, bytes(8), 10, 10, tags={322: ("I", [2**31]), 323: ("I", [2**31])}),
    ],
    ids=["vp8x", "vp8l", "vp8", "tiff", "tile"],
)
def test_bombs_are_refused_before_pillow_opens_them(bomb, monkeypatch):
    monkeypatch.setattr(convert, "_open", lambda *_: pytest.fail("opened"))
    assert announced(bomb).pixels > MAX_PIXELS
    with pytest.raises(ConversionError, match=rf"pixels in all; at most {MAX_PIXELS} are decoded") as refused:
        to_supported(bomb)
    assert not refused.value.unsupported


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"RIFF\0\0\0\0WEBPVP8 ", "the file ends within its header"),
        (b"RIFF\0\0\0\0WEBPVP8Z" + bytes(30), "WEBP starts with 56 50 38 5a .* where VP8, VP8L or VP8X belongs"),
        (b"II*\0\x08\0\0\0", "the file ends within its header"),
        (b"II*\0\xff\xff\xff\xff", "the file ends within its header"),
        (tiff({}), "TIFF of 0 x 0 pixels"),
        (grey(8, 1, b"", 5, 5), "TIFF cannot be decoded: "),
        (grey(8, 1, bytes(4), 2, 2, tags={259: ("H", [9999])}), "TIFF cannot be decoded: 9999"),
    ],
)
def test_damaged(encoded, message):
    with pytest.raises(ConversionError, match=message) as refused:
        to_supported(encoded)
    assert "\n" not in str(refused.value) and not refused.value.unsupported


@pytest.mark.parametrize("kind", ["WEBP", "lossless WEBP", "TIFF", "TIFF in JPEG", "TIFF in LZW"])
def test_cut_and_changed_files_all_get_an_answer(kind):
    more = {"TIFF in JPEG": {"compression": "jpeg"}, "TIFF in LZW": {"compression": "tiff_lzw"}}
    options = {"lossless WEBP": {"lossless": True}, **more}.get(kind, {})
    encoded = encode(scene("RGB"), "WEBP" if "WEBP" in kind else "TIFF", **options)
    rng = np.random.default_rng(5)
    damaged = [encoded[:length] for length in range(0, len(encoded), 3)]
    for _ in range(150):
        changed = bytearray(encoded)
        for place in rng.integers(0, len(encoded), 3):
            changed[place] = rng.integers(256)
        damaged.append(bytes(changed))
    refused = 0
    for one in damaged:
        try:
            to_supported(one)
        except ConversionError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


def test_neither_tensorflow_nor_pillow_until_there_is_something_to_convert():
    program = """
import sys
from graft.models.inputs.image.convert import to_supported
to_supported(b"no image")
assert not {"tensorflow", "PIL", "numpy"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def tags_that_repeat(count: int, size: int, header: bytes = b"") -> bytes:
    """A TIFF directory of `count` tags that all name the same bytes."""
    first = 10 + 12 * count + 4
    entries = b"".join(struct.pack("<HHII", 40_000 + number, 7, size, first) for number in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4) + header + bytes(size)


def test_tags_that_hold_more_than_the_file():
    """3,000 tags of the same megabyte: read one by one they are 3 GB."""
    with pytest.raises(convert.ConversionError, match=r"TIFF of \d+ bytes, whose tags hold \d+ and more"):
        convert.to_supported(tags_that_repeat(3000, 10**6))


def test_exif_tags_that_hold_more_than_the_block_mean_upright(recwarn):
    stream = io.BytesIO()
    Image.new("RGB", (7, 5)).save(stream, "WEBP", exif=b"Exif\0\0" + tags_that_repeat(300, 10**5))
    assert Image.open(io.BytesIO(convert.to_supported(stream.getvalue()))).size == (7, 5)
    assert not list(recwarn)
