"""Encoded images."""

import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def png():
    """png((r, g, b), size=(8, 8)): a PNG of one colour."""

    def made(colour, size=(8, 8)):
        buffer = io.BytesIO()
        Image.new("RGB", size, colour).save(buffer, "PNG")
        return buffer.getvalue()

    return made


@pytest.fixture(scope="session")
def encode():
    """encode(seed, kind="PNG", size=(8, 6)): random pixels; the same seed gives the same bytes."""

    def made(seed, kind="PNG", size=(8, 6)):
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        return buffer.getvalue()

    return made
