"""Fixtures of tests that run whole pipelines."""

import sys

import pytest
from matrix_data import materials  # noqa: F401 - fixture


@pytest.fixture(autouse=True, scope="module")
def _quick_beam():
    """Beam looks at each piece of code once, where a file has imported it."""
    if "apache_beam" not in sys.modules:
        yield
        return
    from beam_introspection import remembered

    with remembered():
        yield
