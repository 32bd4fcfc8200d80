"""What is watched of an image follows the pixels, whatever the file's type, and no content makes it raise."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image, ImageFilter

from graft.models.inputs import image

IMAGES = image.Input(image.Options())
WATCH = IMAGES.watcher()


def encoded(pixels, kind: str = "PNG", **options) -> bytes:
    written = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(written, kind, **options)
    return written.getvalue()


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Coarse noise with fine noise on it, 320 x 240."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(40, 200, (12, 16, 3), np.uint8)).resize((320, 240), Image.Resampling.BICUBIC)
    return Image.fromarray((np.asarray(coarse) * 0.8 + rng.integers(0, 40, (240, 320, 3))).astype(np.uint8))


def test_the_types_of_a_picture_agree_on_its_pixels(photo):
    found = [WATCH(encoded(photo, kind)) for kind in ("PNG", "BMP", "JPEG")]
    for one in found:
        assert one.keys() == IMAGES.SIGNALS.keys()
        assert one["brightness"] == pytest.approx(found[0]["brightness"], abs=1)
        assert one["contrast"] == pytest.approx(found[0]["contrast"], rel=0.03)
        assert (one["megapixels"], one["aspect"], one["readable"]) == (0.0768, pytest.approx(4 / 3), "yes")
    assert [one["format"] for one in found] == ["PNG", "BMP", "JPEG"]


def test_each_change_moves_its_signal(photo):
    before = WATCH(encoded(photo))
    dark = WATCH(encoded(photo.point(lambda value: value // 2)))
    assert dark["brightness"] == pytest.approx(before["brightness"] / 2, rel=0.02)
    assert dark["contrast"] == pytest.approx(before["contrast"] / 2, rel=0.05)
    blurred = WATCH(encoded(photo.filter(ImageFilter.GaussianBlur(6))))
    assert blurred["sharpness"] < before["sharpness"] / 4
    assert blurred["brightness"] == pytest.approx(before["brightness"], rel=0.02)
    assert WATCH(encoded(photo.resize((160, 240))))["aspect"] == pytest.approx(2 / 3)


def test_every_mode_is_read_as_the_model_sees_it():
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    deep = np.full((8, 8), 0x80FF, np.uint16)
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([77] * 768)
    bright = [WATCH(encoded(one))["brightness"] for one in (clear, deep, palette, Image.new("LA", (8, 8), (9, 255)))]
    assert bright == [255.0, 128.0, 77.0, 9.0]
    assert WATCH(encoded(palette, "GIF", transparency=0))["brightness"] == 0
    assert WATCH(encoded(np.zeros((2, 9), np.uint8)))["sharpness"] is None, "too small for a Laplacian"


def test_what_may_not_enter_or_cannot_be_decoded_is_unreadable(photo):
    sound = encoded(photo, "JPEG")
    # Ingestion and Graft's client convert a WebP; sent as it is, no model reads it.
    for content in (b"", b"no image", sound[: len(sound) // 2], encoded(photo)[:-900], encoded(photo, "WEBP")):
        found = WATCH(content)
        assert found.pop("readable") == "no" and found == dict.fromkeys(found)
    small = image.Input(image.Options(max_pixels=100))
    assert small.watcher()(sound)["readable"] == "no" and small.violation(sound) == "too_many_pixels"
    assert IMAGES.violation(sound) is None


def test_no_hostile_file_makes_it_raise(graft_data: pathlib.Path):
    files = sorted(path for path in (graft_data / "hostile_images").rglob("*") if path.is_file())
    found = [WATCH(path.read_bytes())["readable"] for path in files]
    assert {"yes", "no"} == set(found)
