"""Fixtures every test may use."""

import os
import pathlib

os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else the CPU decides; `make test` runs both

import pytest
from server_process import attacked  # noqa: F401 - fixture
from workshop import first_run, workshop  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def graft_data() -> pathlib.Path:
    """The folder of real data sets and backbones; tests that need it skip where it is absent."""
    folder = os.environ.get("GRAFT_DATA")
    candidates = [folder] if folder else [str(pathlib.Path(__file__).parents[2] / "shared" / "data")]
    for candidate in candidates:
        if (pathlib.Path(candidate) / "MANIFEST.tsv").is_file():
            return pathlib.Path(candidate)
    pytest.skip(f"needs the data folder: set GRAFT_DATA (looked at {', '.join(candidates)})")
