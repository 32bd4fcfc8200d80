"""The checks before and after decoding, and that the fast path for PNG is the rule."""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.components.ingest import check
from graft.components.ingest.header import Header, Refused, read_header
from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources.base import Item
from graft.models.inputs.image import decoding


def options(**limits) -> DataOptions:
    return DataOptions(source="image_folder", path="unused", **limits)


def check_all(encoded: list[bytes]) -> list[str | None]:
    return check.check_batch([(Item("a", "a", encoded=one), read_header(one)) for one in encoded])


def test_good_header_passes(encode):
    assert check.check_header(Item("a.png", "a", encoded=encode(1)), options()) == Header("PNG", 8, 6, 48)


def test_limits_refuse(encode):
    item = Item("a.png", "a", encoded=encode(1))
    with pytest.raises(Refused, match="48 pixels in all; at most 47") as refused:
        check.check_header(item, options(max_pixels=47))
    assert refused.value.reason is Reason.TOO_MANY_PIXELS
    with pytest.raises(Refused, match="at most 20 are read") as refused:
        check.check_header(item, options(max_bytes=20))
    assert refused.value.reason is Reason.TOO_LARGE


def test_what_the_source_could_not_read_keeps_its_reason():
    with pytest.raises(Refused, match="unreadable: gone"):
        check.check_header(Item("a.png", "a", reason=Reason.UNREADABLE, detail="gone"), options())


def test_largest_limit_is_what_the_rule_decodes():
    assert options(max_pixels=decoding.MAX_PIXELS).max_pixels == decoding.MAX_PIXELS
    with pytest.raises(ValueError, match="max_pixels"):
        options(max_pixels=decoding.MAX_PIXELS + 1)


@pytest.mark.parametrize("kind", decoding.FORMATS)
def test_only_the_damaged_image_of_a_batch_is_told(encode, kind):
    good, other = encode(1, kind, (40, 40)), encode(2, kind, (40, 40))
    faults = check_all([good, other[: len(other) // 2], other])
    assert faults[0] is None and faults[2] is None
    assert faults[1] and "\n" not in faults[1]


def test_a_refusal_of_the_rule_is_told_without_the_words_of_the_graph(encode):
    compressed = bytearray(encode(1, "BMP"))
    struct.pack_into("<I", compressed, 30, 1)
    [fault] = check_all([bytes(compressed)])
    assert fault == "[BMP must be uncompressed with a BITMAPINFOHEADER; header size, compression:] [40] [1]"


def test_webp_and_tiff_become_png_and_keep_the_identity_of_their_file(encode):
    originals = [encode(seed, kind) for seed, kind in enumerate(["WEBP", "PNG", "TIFF", "WEBP", "TIFF"])]
    batch = [(Item("a", "a", encoded=one), read_header(one)) for one in originals]
    batch[3][0].encoded = originals[3][:40]
    assert [header.format for _, header in batch] == ["WEBP", "PNG", "TIFF", "WEBP", "TIFF"]
    faults = check.check_batch(batch)
    assert [fault is None for fault in faults] == [True, True, True, False, True]
    assert faults[3].startswith("WEBP cannot be decoded: ")
    for place in (0, 2, 4):
        item = batch[place][0]
        assert item.encoded.startswith(b"\x89PNG") and item.digest == hashlib.sha256(originals[place]).digest()
        pixels = np.asarray(Image.open(io.BytesIO(originals[place])))
        np.testing.assert_array_equal(decoding.decode_image(tf.constant(item.encoded)), pixels)
    assert (batch[1][0].encoded, batch[1][0].digest) == (originals[1], None)


def _png(width: int, height: int, bits: int, color: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_fast_path_for_png_answers_as_the_rule(graft_data):
    """The rule itself is asked for each PNG of the collection and some more; both accept and refuse the same."""
    cases = {path.name: path.read_bytes() for path in (graft_data / "hostile_images").rglob("*") if path.is_file()}
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        buffer = io.BytesIO()
        image = Image.fromarray(np.zeros((5, 7), np.uint16)) if mode == "I;16" else Image.new(mode, (7, 5))
        image.save(buffer, "PNG")
        cases[mode] = buffer.getvalue()
    cases["rows missing"] = _png(9, 9, 8, 0, b"\0" * 30)
    cases["bad filter"] = _png(2, 2, 8, 0, b"\x09\0\0" * 2)
    cases["bad depth"] = _png(2, 2, 3, 0, b"\0\0\0" * 2)
    cases["palette missing"] = _png(2, 2, 8, 3, b"\0\0\0" * 2)
    accepted = refused = 0
    for name, encoded in cases.items():
        try:
            header = read_header(encoded)
        except Refused:
            continue
        if header.format != "PNG" or header.pixels > 10**7:
            continue
        try:
            decoding.decode_image(tf.constant(encoded))
            by_rule = True
        except tf.errors.InvalidArgumentError:
            by_rule = False
        assert (check_all([encoded]) == [None]) == by_rule, name
        accepted, refused = accepted + by_rule, refused + (not by_rule)
    assert accepted > 10 and refused > 4


def test_decode_ahead_keeps_the_order(encode):
    batches = [[(Item(str(i), "a", encoded=data), read_header(data))] for i, data in enumerate(map(encode, range(9)))]
    batches[4][0][0].encoded = batches[4][0][0].encoded[:60]
    answers = list(check.decode_ahead(iter(batches)))
    assert [batch[0][0].file for batch, _ in answers] == [str(i) for i in range(9)]
    assert [faults[0] is None for _, faults in answers] == [i != 4 for i in range(9)]
