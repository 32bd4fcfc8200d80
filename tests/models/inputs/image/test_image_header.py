"""Size and type from a header, at a bounded cost; what Pillow says of them is held in ingestion's tests."""

import io

import pytest
from PIL import Image

from graft.models.inputs.image.header import Fault, HeaderError, announced


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_size_and_type(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, kind)
    header = announced(buffer.getvalue())
    assert (header.format, header.width, header.height, header.pixels) == (kind, 30, 20, 600)


@pytest.mark.parametrize("encoded", [b"", b"text", b"<html>", b"\0" * 100])
def test_other_bytes_are_no_image(encoded):
    assert announced(encoded) is None


@pytest.mark.parametrize("encoded", [b"\xff\xd8", b"GIF89a", b"BM", b"\x89PNG\r\n\x1a\n", b"II*\0"])
def test_a_header_that_is_cut(encoded):
    with pytest.raises(HeaderError) as caught:
        announced(encoded)
    assert caught.value.kind is Fault.CORRUPT


@pytest.mark.parametrize(
    ("encoded", "words"),
    [
        (b"\xff\xd8" + b"\xff" * 1_000_000, "JPEG of more than 65536 segments"),
        (b"\xff\xd8" + b"\xff\x01" * 1_000_000, "JPEG of more than 65536 segments"),
        (b"GIF89a" + b"\1\0\1\0\0\0\0" + b"\x21\xfe" + b"\1\0" * 1_000_000, "GIF of more than 524288 sub-blocks"),
    ],
)
def test_a_header_that_would_take_long_to_walk(encoded, words):
    with pytest.raises(HeaderError, match=words) as caught:
        announced(encoded)
    assert caught.value.kind is Fault.TOO_COSTLY
