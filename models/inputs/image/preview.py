"""Small pictures for the report, as data URIs.

Pillow decodes them, upright and with nothing clear as the model decodes it: tracing that graph takes seconds.
"""

import base64
import io

import numpy as np
from PIL import Image, ImageOps

SIDE = 96
"""Longest side of a picture, pixels."""


def thumbnail(encoded: bytes) -> str:
    """A data URI of an image, at most `SIDE` pixels wide and high; a small image keeps its pixels.

    Args:
        encoded: bytes of an image file that ingestion took.
    """
    image = _decode(encoded)
    written = io.BytesIO()
    if max(image.size) <= SIDE:
        image.save(written, "PNG")
        return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
    image.thumbnail((SIDE, SIDE))
    image.save(written, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode()


def _decode(encoded: bytes) -> Image.Image:
    """An RGB image."""
    image: Image.Image = Image.open(io.BytesIO(encoded))
    image.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG only: unpacks no more than is shown
    if image.format == "JPEG":
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits of grey: the high byte
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        # TensorFlow's GIF decoder leaves black where a pixel is clear.
        behind = Image.new("RGBA", image.size, "black" if image.format == "GIF" else "white")
        return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
