"""Type and size from the header agree with Pillow's, and nonsense is refused with its reason."""

import contextlib
import io
import struct
from typing import NamedTuple

import pytest
from PIL import Image

from graft.models.inputs.base import Refused
from graft.models.inputs.image import Input, Options, convert, decoding
from graft.models.inputs.image.limits import MAX_GIF_BLOCKS, MAX_SCANS


class Read(NamedTuple):
    """What is known of an image that is admitted."""

    format: str
    width: int
    height: int
    pixels: int


def read_header(encoded: bytes) -> Read:
    image = Input(Options.model_construct(max_pixels=2**64))
    facts = image.admit(encoded)
    return Read(facts["format"], facts["width"], facts["height"], image.cost(facts))


@pytest.mark.parametrize("kind", decoding.FORMATS + convert.FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (8, 6), (300, 200)])
def test_size_and_type(encode, kind, size):
    header = read_header(encode(1, kind, size))
    assert (header.format, header.width, header.height, header.pixels) == (kind, *size, size[0] * size[1])


def test_hostile_images_that_pillow_reads_have_the_size_it_says(graft_data):
    seen = 0
    for path in (graft_data / "hostile_images").rglob("*"):
        if not path.is_file() or "bomb" in path.name:
            continue
        try:
            with Image.open(path) as image:
                size, kind = image.size, image.format
        except (OSError, ValueError):
            continue
        refused = "Lab" in path.name or path.name[:10] in ("crash-0c7e", "crash-0e16")  # tags too large
        if kind in decoding.FORMATS + convert.FORMATS and not refused:
            header = read_header(path.read_bytes())
            assert (header.width, header.height, header.format) == (*size, kind), path.name
            seen += 1
    assert seen > 30


def test_progressive_jpeg_with_comment_and_fill_bytes(encode):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(encode(1))).save(buffer, "JPEG", progressive=True, comment=b"\xff\xc0" * 40)
    encoded = buffer.getvalue()
    filled = encoded[:2] + b"\xff\xff\xff" + encoded[2:]
    for data in (encoded, filled):
        assert (read_header(data).width, read_header(data).height) == (8, 6)


def test_jpeg_with_a_flood_of_scans_is_refused():
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "JPEG", progressive=True)
    encoded = buffer.getvalue()
    first = encoded.index(b"\xff\xda")
    scan = encoded[first : encoded.index(b"\xff", first + 2)]
    assert read_header(encoded[:first] + scan * MAX_SCANS + b"\xff\xd9").width == 64
    with pytest.raises(Refused, match="JPEG of 501 scans; at most 500") as refused:
        read_header(encoded[:first] + scan * (MAX_SCANS + 1) + b"\xff\xd9")
    assert refused.value.reason == "too_many_pixels"


def test_all_frames_of_a_gif_count(encode):
    frames = [Image.open(io.BytesIO(encode(seed, "GIF", (50, 40)))) for seed in range(5)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], disposal=2)
    header = read_header(buffer.getvalue())
    assert (header.width, header.height) == (50, 40)
    assert header.pixels == 5 * 50 * 40


def test_gif_frame_larger_than_its_canvas_counts():
    encoded = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, 60000, 60000, 0)
    assert read_header(encoded + b"\x08\x00;").pixels == 60000 * 60000


def gif(canvas, frames, extensions=0):
    """Frames without pixels, which a decoder makes room for all the same."""
    encoded = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0, 0, 0) + b"!\xfe\x01x\0" * extensions
    for width, height in frames:
        encoded += b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08\0"
    return encoded + b";"


def test_gif_as_wide_as_its_widest_and_as_high_as_its_highest_frame():
    assert read_header(gif((1, 1), [(60000, 1), (1, 60000)])).pixels == 60000 * 60000


def test_gif_of_too_many_blocks():
    assert read_header(gif((1, 1), [(1, 1)], MAX_GIF_BLOCKS - 2)).pixels == 1
    with pytest.raises(Refused, match=f"more than {MAX_GIF_BLOCKS} blocks") as refused:
        read_header(gif((1, 1), [(1, 1)], MAX_GIF_BLOCKS))
    assert refused.value.reason == "too_many_pixels"


def test_bmp_from_the_top_has_a_positive_height():
    encoded = bytearray(b"BM" + bytes(52))
    struct.pack_into("<ii", encoded, 18, 7, -5)
    assert (read_header(bytes(encoded)).width, read_header(bytes(encoded)).height) == (7, 5)


@pytest.mark.parametrize(
    ("encoded", "reason", "detail"),
    [
        (b"", "empty", "0 bytes"),
        (b"\x89PNG\r\n\x1a\n", "corrupt", "ends within its header"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIDAT" + bytes(8), "corrupt", "IHDR"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(8), "corrupt", "0 x 0"),
        (b"\xff\xd8\xff\xd9", "corrupt", "without a frame header"),
        (b"\xff\xd8\xff", "corrupt", "ends within its header"),
        (b"\xff\xd8" + b"\xff\xe0\x00\x04" * 3, "corrupt", "without a frame header"),
        (b"GIF89a", "corrupt", "ends within its header"),
        (b"BM123", "corrupt", "ends within its header"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "corrupt", "ends within its header"),
        (b"II*\0\x08\0\0\0", "corrupt", "ends within its header"),
        (b"II+\0\x08\0\0\0", "unsupported_type", "BigTIFF"),
        (b"\0\0\0\x1cftypavif", "unsupported_type", "HEIF (avif)"),
        (b"%PDF-1.7", "unknown_type", "PDF"),
        (b"\n<!DOCTYPE html>", "unknown_type", "HTML"),
        (b"<svg>", "unknown_type", "SVG"),
        (b"just words", "unknown_type", "text"),
        (b"\x00\x01\x02\x03", "unknown_type", "00 01 02 03"),
    ],
)
def test_refused(encoded, reason, detail):
    with pytest.raises(Refused) as refused:
        read_header(encoded)
    assert refused.value.reason == reason
    assert detail in refused.value.detail


def test_tiff_of_a_kind_that_is_not_converted():
    buffer = io.BytesIO()
    Image.new("F", (4, 3)).save(buffer, "TIFF")
    with pytest.raises(Refused, match="TIFF of floating-point numbers") as refused:
        read_header(buffer.getvalue())
    assert refused.value.reason == "unsupported_type"


def test_every_prefix_of_an_image_is_read_or_refused(encode):
    for kind in decoding.FORMATS + convert.FORMATS:
        encoded = encode(3, kind)
        for length in range(len(encoded)):
            with contextlib.suppress(Refused):
                read_header(encoded[:length])
