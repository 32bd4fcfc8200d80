"""The checks before and after decoding, and that the fast path for PNG is the rule."""

import io
import math
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_images import png_by_hand

from graft.models.inputs.base import Refused
from graft.models.inputs.image import Input, Options, decoding

IMAGE = Input(Options())


def verified(encoded: list[bytes]) -> list[bytes | Refused]:
    return IMAGE.verify(encoded, [IMAGE.admit(one) for one in encoded])


def check_all(encoded: list[bytes]) -> list[str | None]:
    return [answer.detail if isinstance(answer, Refused) else None for answer in verified(encoded)]


def test_what_is_known_of_an_admitted_image(encode):
    facts = IMAGE.admit(encode(1))
    assert {name: facts[name] for name in IMAGE.FACTS} == {"format": "PNG", "width": 8, "height": 6}
    assert IMAGE.cost(facts) == 48


def test_limits_refuse(encode):
    with pytest.raises(Refused, match="48 pixels in all; at most 47") as refused:
        Input(Options(max_pixels=47)).admit(encode(1))
    assert refused.value.reason == "too_many_pixels"
    with pytest.raises(Refused, match="at most 20 are read") as refused:
        Input(Options(max_bytes=20)).admit(encode(1))
    assert refused.value.reason == "too_large"


def test_largest_limit_is_what_the_rule_decodes():
    assert Options(max_pixels=decoding.MAX_PIXELS).max_pixels == decoding.MAX_PIXELS
    with pytest.raises(ValueError, match="max_pixels"):
        Options(max_pixels=decoding.MAX_PIXELS + 1)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((7, 5), None),
        ((7, 5, 1), None),
        ((7, 5, 3), None),
        ((7, 5, 2), "unreadable"),
        ((7,), "unreadable"),
        ((7, 0), "too_many_pixels"),
        ((9, 9), "too_many_pixels"),
    ],
)
def test_arrays_that_can_be_packed(shape, reason):
    image = Input(Options(max_pixels=80))
    if reason is None:
        packed = image.packer(shape)(bytes(range(math.prod(shape))))
        assert decoding.decode_image(tf.constant(packed)).shape == (7, 5, 3)
        return
    with pytest.raises(Refused) as refused:
        image.packer(shape)
    assert refused.value.reason == reason


@pytest.mark.parametrize("kind", decoding.FORMATS)
def test_only_the_damaged_image_of_a_batch_is_told(encode, kind):
    good, other = encode(1, kind, (40, 40)), encode(2, kind, (40, 40))
    faults = check_all([good, other[: len(other) // 2], other])
    assert faults[0] is None and faults[2] is None
    assert faults[1] and "\n" not in faults[1]


@pytest.mark.parametrize("damaged", [(), (0,), (63,), (64, 129)])
def test_damage_is_told_of_more_pngs_than_a_run_decodes(encode, damaged):
    good = encode(1, "PNG")
    faults = check_all([good[:-30] if number in damaged else good for number in range(130)])
    assert [number for number, fault in enumerate(faults) if fault] == list(damaged)


def test_a_refusal_of_the_rule_is_told_without_the_words_of_the_graph(encode):
    compressed = bytearray(encode(1, "BMP"))
    struct.pack_into("<I", compressed, 30, 1)
    [fault] = check_all([bytes(compressed)])
    assert fault == "[BMP must be uncompressed with a BITMAPINFOHEADER; header size, compression:] [40] [1]"


def test_webp_and_tiff_become_png(encode):
    originals = [encode(seed, kind) for seed, kind in enumerate(["WEBP", "PNG", "TIFF", "WEBP", "TIFF"])]
    facts = [IMAGE.admit(one) for one in originals]
    assert [one["format"] for one in facts] == ["WEBP", "PNG", "TIFF", "WEBP", "TIFF"]
    answers = IMAGE.verify([*originals[:3], originals[3][:40], originals[4]], facts)
    assert isinstance(answers[3], Refused) and answers[3].reason == "corrupt"
    assert answers[3].detail.startswith("WEBP cannot be decoded: ")
    for place in (0, 2, 4):
        assert answers[place].startswith(b"\x89PNG")
        pixels = np.asarray(Image.open(io.BytesIO(originals[place])))
        np.testing.assert_array_equal(decoding.decode_image(tf.constant(answers[place])), pixels)
    assert answers[1] == originals[1]


def test_fast_path_for_png_answers_as_the_rule(graft_data):
    """The rule itself is asked for each PNG of the collection and some more; both accept and refuse the same."""
    cases = {path.name: path.read_bytes() for path in (graft_data / "hostile_images").rglob("*") if path.is_file()}
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        buffer = io.BytesIO()
        image = Image.fromarray(np.zeros((5, 7), np.uint16)) if mode == "I;16" else Image.new(mode, (7, 5))
        image.save(buffer, "PNG")
        cases[mode] = buffer.getvalue()
    cases["rows missing"] = png_by_hand(9, 9, 8, 0, b"\0" * 30)
    cases["bad filter"] = png_by_hand(2, 2, 8, 0, b"\x09\0\0" * 2)
    cases["bad depth"] = png_by_hand(2, 2, 3, 0, b"\0\0\0" * 2)
    cases["palette missing"] = png_by_hand(2, 2, 8, 3, b"\0\0\0" * 2)
    accepted = refused = 0
    for name, encoded in cases.items():
        try:
            facts = IMAGE.admit(encoded)
        except Refused:
            continue
        if facts["format"] != "PNG" or IMAGE.cost(facts) > 10**7:
            continue
        try:
            decoding.decode_image(tf.constant(encoded))
            by_rule = True
        except tf.errors.InvalidArgumentError:
            by_rule = False
        assert (check_all([encoded]) == [None]) == by_rule, name
        accepted, refused = accepted + by_rule, refused + (not by_rule)
    assert accepted > 10 and refused > 4
