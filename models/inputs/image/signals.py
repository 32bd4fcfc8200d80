"""What is watched of an image: header and a small grey picture of it. Pillow only, as for the report's previews.

The picture is small before anything is computed: a JPEG is unpacked at a fraction of its size, others are averaged
down. So sharpness is that of the picture at this size, near what a backbone sees, whatever camera took it.
"""

import io
from typing import Any

import numpy as np
from PIL import Image

SIDE = 128
"""Longest side of the picture, pixels; a smaller image keeps its pixels."""


def of_header(width: int, height: int, format: str) -> dict[str, Any]:
    """Signals that the header gives."""
    return {"megapixels": width * height / 1e6, "aspect": width / height, "format": format}


def of_pixels(encoded: bytes) -> dict[str, Any] | None:
    """Signals of the pixels; None where they cannot be decoded."""
    try:
        grey = _small(encoded).astype(np.float32)
    # On damaged bytes Pillow's readers raise about anything: OSError, SyntaxError, struct.error, IndexError, ...
    except Exception:
        return None
    return {"brightness": float(grey.mean()), "contrast": float(grey.std()), "sharpness": sharpness(grey)}


def sharpness(grey: np.ndarray) -> float | None:
    """Variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000).

    Args:
        grey: float [height, width].

    Returns:
        None where a side has fewer than 3 pixels.
    """
    if min(grey.shape) < 3:
        return None
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())


def _small(encoded: bytes) -> np.ndarray:
    """uint8 [height, width], grey."""
    image: Image.Image = Image.open(io.BytesIO(encoded))
    image.draft("L", (SIDE, SIDE))  # JPEG only: unpacks no more than is needed
    if image.mode.startswith("I"):  # 16 bits of grey: the high byte
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
    elif image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if max(image.size) > SIDE:
        size = [max(1, round(side * SIDE / max(image.size))) for side in image.size]
        image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    if image.mode == "RGBA":
        # As the model sees what is clear; TensorFlow's GIF decoder leaves black there.
        behind = Image.new("RGBA", image.size, "black" if encoded.startswith(b"GIF8") else "white")
        image = Image.alpha_composite(behind, image)
    return np.asarray(image.convert("L"))
