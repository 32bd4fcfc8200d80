"""The pixel rule against Pillow, on files made here and on the hostile collection."""

import io
import struct
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from small_images import image_file, png_by_hand

from graft.models.errors import kernel_reason
from graft.models.frozen import FrozenRunner
from graft.models.inputs.image import decoding

# One trace for all tests, as in a served graph.
decode = tf.function(decoding.decode_image, input_signature=[tf.TensorSpec([], tf.string)])
orientation_of = tf.function(decoding.exif_orientation, input_signature=[tf.TensorSpec([], tf.string)])


def scene(height: int = 24, width: int = 40, channels: int = 3) -> np.ndarray:
    """A smooth picture without symmetry."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [rows * 9, columns * 6, rows * 3 + columns * 2, 255 - rows * 5][:channels]
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def by_pillow(encoded: bytes) -> np.ndarray:
    """Pillow's reading of the documented rule."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return np.asarray(image.convert("RGB"))


def assert_like_pillow(encoded: bytes, tolerance: int = 0) -> None:
    ours, theirs = decode(encoded).numpy(), by_pillow(encoded)
    assert ours.dtype == np.uint8 and ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= tolerance


def exif_block(orientation: int, order: str = "<", kind: int = 3, entries_before: int = 1) -> bytes:
    """An Exif APP1 payload whose IFD0 holds other entries before the orientation."""
    other = struct.pack(order + "HHI4s", 0x010E, 2, 4, b"abc\0") * entries_before
    value = struct.pack(order + "HH", orientation, 0) if kind == 3 else struct.pack(order + "I", orientation)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    mark = b"II" if order == "<" else b"MM"
    directory = struct.pack(order + "H", entries_before + 1) + other + entry + struct.pack(order + "I", 0)
    return b"Exif\0\0" + mark + struct.pack(order + "HI", 42, 8) + directory


def with_segment(jpeg: bytes, payload: bytes, marker: int = 0xE1, padding: bytes = b"") -> bytes:
    """The JPEG with one more segment, after its JFIF header."""
    after = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:after] + padding + bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload + jpeg[after:]


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return image_file(Image.fromarray(scene()), "JPEG", quality=90)


@pytest.mark.slow
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_applied_as_in_pillow(jpeg, orientation, order):
    turned = with_segment(jpeg, exif_block(orientation, order))
    assert orientation_of(turned) == orientation
    assert_like_pillow(turned)
    assert decode(turned).shape == ((40, 24, 3) if orientation >= 5 else (24, 40, 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda jpeg: with_segment(jpeg, exif_block(6, kind=4)),
        lambda jpeg: with_segment(jpeg, exif_block(6), padding=b"\xff\xff\xff"),
        lambda jpeg: with_segment(with_segment(jpeg, exif_block(6)), b"x" * 60000, marker=0xE2),
        lambda jpeg: with_segment(with_segment(jpeg, exif_block(6)), b"http://ns.adobe.com/xap/1.0/\0<x/>"),
        lambda jpeg: jpeg[:2] + with_segment(jpeg, exif_block(6))[2:] + b"trailing",
    ],
    ids=["long value", "padded", "after a long segment", "after XMP", "bytes after the end"],
)
def test_orientation_is_found_wherever_it_may_stand(jpeg, change):
    assert orientation_of(change(jpeg)) == 6
    assert_like_pillow(change(jpeg))


GOOD = exif_block(6)
MALFORMED = {
    "value 0": exif_block(0),
    "value 9": exif_block(9),
    "value 2**31": exif_block(2**31, kind=4),
    "ASCII instead of a number": exif_block(6, kind=2),
    "no byte order": GOOD.replace(b"II*", b"XX*"),
    "not 42": GOOD.replace(b"II*\0", b"II+\0"),
    "directory beyond the end": GOOD[:10] + b"\xff\xff\xff\xff" + GOOD[14:],
    "directory onto itself": GOOD[:10] + b"\0\0\0\0" + GOOD[14:],
    "directory cut": GOOD[:20],
    "only the mark": GOOD[:6],
    "only the byte order": GOOD[:8],
    "empty directory": GOOD[:14] + b"\0\0",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_exif_means_upright(jpeg, name):
    broken = with_segment(jpeg, MALFORMED[name])
    assert orientation_of(broken) == 1
    np.testing.assert_array_equal(decode(broken), decode(jpeg))


@pytest.mark.slow
def test_count_beyond_the_directory_still_reads_what_is_there(jpeg):
    assert orientation_of(with_segment(jpeg, GOOD[:14] + b"\xff\xff" + GOOD[16:])) == 6


ENDLESS = [b"\xff" * 5000, b"\0" * 5000, b"\xff\xe0\0\0" * 1000, b"\xff\xe1\0\2" * 1000, b"\xff\xe1\xff\xff" + GOOD[:5]]


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", *(b"\xff\xd8" + rest for rest in ENDLESS)]
)
def test_orientation_of_anything_ends(data):
    assert orientation_of(data) == 1


def test_random_bytes_never_break_the_orientation(jpeg):
    rng = np.random.default_rng(0)
    turned = bytearray(with_segment(jpeg, exif_block(6)))
    for _ in range(300):
        damaged = bytearray(turned)
        for place in rng.integers(2, 80, 4):
            damaged[place] = rng.integers(256)
        assert 1 <= orientation_of(bytes(damaged)) <= 8


def png(mode: str) -> bytes:
    colour = Image.fromarray(scene())
    if mode == "I;16":
        wide = scene(channels=1)[..., 0].astype(np.uint16) * 256 + 255  # the low byte must not round it up
        return image_file(Image.fromarray(wide), "PNG")
    if mode == "LA":
        return image_file(Image.merge("LA", [colour.convert("L"), Image.fromarray(scene()[..., 1])]), "PNG")
    if mode == "RGBA":
        return image_file(Image.fromarray(scene(channels=4)), "PNG")
    if mode == "P tRNS":
        return image_file(colour.quantize(16), "PNG", transparency=3)
    return image_file(colour.convert(mode), "PNG")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "P tRNS", "1"])
def test_png_modes_as_in_pillow(mode):
    assert_like_pillow(png(mode))


def raw_png(depth: int, colour_type: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 8x1 pixels that counts up, for bit depths that Pillow does not write."""
    row = int("".join(format(value % 2**depth, f"0{depth}b") for value in range(8)), 2).to_bytes(depth, "big")
    return png_by_hand(8, 1, depth, colour_type, b"\0" + row, *chunks)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_shallow_png_as_in_pillow(depth):
    palette = (b"PLTE", bytes(range(0, 5 * 3 * 2**depth, 5)))
    assert_like_pillow(raw_png(depth, 0))
    assert_like_pillow(raw_png(depth, 3, palette))
    assert_like_pillow(raw_png(depth, 3, palette, (b"tRNS", b"\0\x80")))


def test_16_bit_png_keeps_its_high_byte():
    np.testing.assert_array_equal(decode(png("I;16")), np.repeat(scene(channels=1), 3, axis=-1))


def test_transparent_black_becomes_white():
    clear = image_file(Image.new("RGBA", (3, 2), (0, 0, 0, 0)), "PNG")
    assert (decode(clear).numpy() == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_bmp_modes_as_in_pillow(mode):
    picture = Image.fromarray(scene()).quantize(32) if mode == "P" else Image.fromarray(scene()).convert(mode)
    assert_like_pillow(image_file(picture, "BMP"))


def test_fourth_byte_of_bmp_is_no_alpha():
    picture = image_file(Image.fromarray(scene(channels=4)), "BMP")
    assert picture[28] == 32
    np.testing.assert_array_equal(decode(picture), scene())


def test_grey_jpeg_and_cmyk_jpeg():
    assert_like_pillow(image_file(Image.fromarray(scene()).convert("L"), "JPEG"))
    assert_like_pillow(image_file(Image.fromarray(scene()).convert("CMYK"), "JPEG"), tolerance=1)


def test_first_frame_of_gif():
    frames = [Image.fromarray(scene()).quantize(64), Image.new("P", (40, 24))]
    assert_like_pillow(image_file(frames[0], "GIF", save_all=True, append_images=frames[1:]))


def test_gif_of_many_sub_blocks_and_extensions():
    """A walk through the blocks finds the frames as Pillow wrote them, with comments between them."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 110), dtype=np.uint8))
    picture = image_file(noise, "GIF", save_all=True, append_images=[Image.new("L", (110, 90))], comment=b"x" * 900)
    flags = tf.constant(picture[10])
    pixels, blocks = decoding._gif_frames(tf.constant(picture), flags)
    assert pixels == 2 * 110 * 90 and 3 <= blocks <= 8
    assert_like_pillow(picture)


def bmp_with(place: int, value: int) -> bytes:
    picture = bytearray(image_file(Image.fromarray(scene()), "BMP"))
    picture[place : place + 4] = struct.pack("<I", value)
    return bytes(picture)


def png_of_size(width: int, height: int) -> bytes:
    picture = bytearray(png("RGB"))
    picture[16:24] = struct.pack(">II", width, height)
    return bytes(picture)


def gif_of(canvas: tuple[int, int], frames: list[tuple[int, int]]) -> bytes:
    """Frames whose pixels take no bytes: the decoder makes room for them all the same."""
    encoded = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + bytes(6)
    for width, height in frames:
        encoded += b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x01\x00\x00"
    return encoded + b";"


def jpeg_of_scans(count: int) -> bytes:
    picture = image_file(Image.fromarray(scene()), "JPEG", progressive=True)
    first = picture.index(b"\xff\xda")
    scan = picture[first : picture.index(b"\xff", first + 2)]
    return picture[:first] + scan * count + b"\xff\xd9"


REFUSED = {
    "empty": (b"", "none of JPEG, PNG, GIF, BMP"),
    "text": (b"<html>hello</html>", "none of JPEG"),
    "binary": (b"\xa0\xff\x00\x80", "none of JPEG"),
    "tiff": (image_file(Image.fromarray(scene()), "TIFF"), "none of JPEG"),
    "webp": (image_file(Image.fromarray(scene()), "WEBP"), "none of JPEG"),
    "jpeg mark only": (b"\xff\xd8\xff", "Invalid JPEG"),
    "cut jpeg": (image_file(Image.fromarray(scene(99, 99)), "JPEG")[:900], "JPEG"),
    "cut png": (png("RGB")[:-60], "PNG"),
    "png mark only": (b"\x89PNG\r\n\x1a\n", "must have 1 to"),
    "png bomb": (png_of_size(40000, 40000), "must have 1 to"),
    "png of 2**32 pixels": (png_of_size(2**31, 2), "must have 1 to"),
    "gif with a frame larger than its canvas": (gif_of((1, 1), [(60000, 60000)]), "in all frames"),
    "gif of a wide and a high frame": (gif_of((1, 1), [(60000, 1), (1, 60000)]), "in all frames"),
    "gif of many frames": (gif_of((1, 1), [(1000, 1000)] * 68), "in all frames"),
    "gif of many blocks": (gif_of((1, 1), [(1, 1)] * 20000), "at most 16384 blocks"),
    "jpeg of many scans": (jpeg_of_scans(501), "at most 500 scans"),
    "gif bomb": (b"GIF89a\xff\xff\xff\xff" + b"\0" * 20, "must have 1 to"),
    "bmp bomb": (bmp_with(18, 2**30), "must have 1 to"),
    "compressed bmp": (bmp_with(30, 1), "uncompressed"),
    "bmp palette beyond the end": (bmp_with(28, 8)[:54], ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_reason(name):
    data, reason = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        decode(data)
    assert reason in kernel_reason(raised.value.message)


def test_reason_of_an_eager_error_is_one_line():
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        decoding.decode_image(b"\xff\xd8\xff")
    assert kernel_reason(raised.value.message) == "Invalid JPEG data, size 3"
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        decoding.decode_image(b"GIF")
    assert "none of JPEG, PNG, GIF, BMP" in kernel_reason(raised.value.message)


def test_preprocess_scales_to_the_value_range():
    white, black = (image_file(Image.new("RGB", (9, 7), colour), "PNG") for colour in ("white", "black"))
    pixels = decoding.preprocess([white, black], (5, 6), (-1.0, 3.0)).numpy()
    assert pixels.shape == (2, 5, 6, 3) and pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[0], 3.0, atol=1e-5)
    np.testing.assert_allclose(pixels[1], -1.0, atol=1e-5)


def test_preprocess_antialiases():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = decoding.preprocess([image_file(Image.fromarray(stripes), "PNG")], (8, 8), (0, 1)).numpy()
    np.testing.assert_allclose(shrunk, 0.5, atol=0.1)  # without antialiasing: all 0 or all 1


@pytest.mark.slow
def test_preprocess_in_a_frozen_graph_and_of_nothing(jpeg):
    spec = tf.TensorSpec([None], tf.string, name="encoded")
    graph = tf.function(lambda encoded: decoding.preprocess(encoded, (16, 16), (0, 1)), input_signature=[spec])
    batch = np.array([jpeg, with_segment(jpeg, exif_block(8)), png("RGBA"), bmp_with(34, 0)], dtype=object)
    with FrozenRunner(graph.get_concrete_function()) as runner:
        np.testing.assert_array_equal(runner(encoded=batch)["output"], decoding.preprocess(batch, (16, 16), (0, 1)))
        assert runner(encoded=batch[:0])["output"].shape == (0, 16, 16, 3)
        with pytest.raises(tf.errors.InvalidArgumentError, match="none of JPEG"):
            runner(encoded=np.array([jpeg, b"no image"], dtype=object))
    assert decoding.preprocess([], (16, 16), (0, 1)).shape == (0, 16, 16, 3)


@pytest.mark.slow
def test_published_orientation_examples(graft_data):
    for number in range(9):
        encoded = (graft_data / "hostile_images" / "exif_orientation" / f"Landscape_{number}.jpg").read_bytes()
        assert orientation_of(encoded) == max(number, 1)
        assert_like_pillow(encoded)


def test_hostile_images_are_read_as_in_pillow_or_refused(graft_data):
    """No file breaks the graph; whatever both can read is read alike."""
    outcomes = {"alike": 0, "refused": 0, "only here": 0}
    for file in sorted((graft_data / "hostile_images").glob("[dp]*/*")):
        encoded = file.read_bytes()
        try:
            ours = decode(encoded).numpy()
        except tf.errors.InvalidArgumentError as error:
            assert kernel_reason(error.message)
            outcomes["refused"] += 1
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                theirs = by_pillow(encoded)
        # Pillow raises many kinds; here only the comparison is left out.
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            outcomes["only here"] += 1
            continue
        assert ours.shape == theirs.shape and np.abs(ours.astype(int) - theirs).max() <= 1, file.name
        outcomes["alike"] += 1
    assert outcomes["alike"] >= 30 and outcomes["refused"] >= 20
