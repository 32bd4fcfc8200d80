"""Encoded images."""

import pytest
from small_images import noise, one_colour


@pytest.fixture(scope="session")
def png():
    """png((r, g, b), size=(8, 8)): a PNG of one colour."""
    return one_colour


@pytest.fixture(scope="session")
def encode():
    """encode(seed, kind="PNG", size=(8, 6)): random pixels; the same seed gives the same bytes."""
    return noise
