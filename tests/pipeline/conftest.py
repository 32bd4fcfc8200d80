"""Fixtures of tests that run whole pipelines."""

from matrix_data import materials  # noqa: F401 - fixture
