"""Small pictures for people show what the model sees."""

import base64
import io

import numpy as np
import tensorflow as tf
from PIL import Image

from graft.models.inputs.image.decoding import decode_image
from graft.models.inputs.image.preview import thumbnail


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def test_pictures_follow_the_rule_of_the_model():
    """Upright, nothing clear, high byte of 16 bits, three channels: as `inputs.image.decoding` decodes."""
    turned = Image.new("RGB", (64, 32), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([10, 200, 30] * 256)
    cases = {
        "turned": (_encoded(turned, "JPEG", exif=exif), (32, 64), (254, 0, 0)),
        "clear": (_encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"), (8, 8), (255, 255, 255)),
        "clear palette": (_encoded(palette, "PNG", transparency=0), (8, 8), (255, 255, 255)),
        "clear GIF": (_encoded(palette, "GIF", transparency=0), (8, 8), (0, 0, 0)),
        "palette": (_encoded(palette, "PNG"), (8, 8), (10, 200, 30)),
        "16 bits": (_encoded(Image.fromarray(np.full((8, 8), 0x80FF, np.uint16)), "PNG"), (8, 8), (128, 128, 128)),
        "grey": (_encoded(Image.new("L", (8, 8), 77), "BMP"), (8, 8), (77, 77, 77)),
    }
    for name, (encoded, size, colour) in cases.items():
        shown = Image.open(io.BytesIO(base64.b64decode(thumbnail(encoded).partition(",")[2])))
        assert shown.size == size, name
        assert shown.getpixel((2, 2)) == colour, name
        seen = decode_image(tf.constant(encoded)).numpy()
        assert (seen.shape[1], seen.shape[0]) == size, name
        assert tuple(seen[2, 2]) == colour, name
