"""Fixtures every test may use."""

import gc
import os
import pathlib
import signal
import sys

os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else the CPU decides; `make test` runs both

import pytest
from s3_loopback import s3, s3_server  # noqa: F401 - fixtures
from server_process import attacked  # noqa: F401 - fixture
from workshop import first_run, workshop  # noqa: F401 - fixtures

# Until the tests are collected: imports leave nothing behind, and the search for it is a quarter of their time.
gc.disable()


SLOW_FIXTURES = {"first_run", "mlflow_server", "site", "workshop"}
"""A whole pipeline, a server or a site is made for the first test that asks; who asks for one is slow."""

SLOW_FILES: set[pathlib.Path] = set()
"""Those with a slow test, once the tests are collected."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests begin first: one of minutes that begins last keeps one worker, and the others idle."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    SLOW_FILES.update(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: item.path not in SLOW_FILES)


def pytest_collection_finish() -> None:
    """What the tests import (TensorFlow, TFX, Beam) stays to the end: the collector shall not walk through it again."""
    gc.collect()
    gc.freeze()
    # By default after 700 new objects, of which one graph has a hundred thousand: a tenth of the tests' time.
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_unconfigure() -> None:
    """The interpreter ends as it would have."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def graft_data() -> pathlib.Path:
    """The folder of real data sets and backbones; tests that need it skip where it is absent."""
    folder = os.environ.get("GRAFT_DATA")
    candidates = [folder] if folder else [str(pathlib.Path(__file__).parents[2] / "shared" / "data")]
    for candidate in candidates:
        if (pathlib.Path(candidate) / "MANIFEST.tsv").is_file():
            return pathlib.Path(candidate)
    pytest.skip(f"needs the data folder: set GRAFT_DATA (looked at {', '.join(candidates)})")


@pytest.fixture(autouse=True, scope="module")
def _quick_beam(request):
    """Beam looks at each piece of code once, where a file is slow or Beam is there already."""
    wanted = "apache_beam" in sys.modules or request.path in SLOW_FILES
    if not wanted or request.module.__name__ == "test_beam_introspection":
        yield
        return
    from beam_introspection import remembered

    with remembered():
        yield


@pytest.fixture
def heard_signals():
    """Who runs the tests may ignore SIGINT and SIGHUP (`nohup`, a job in the background); children inherit that."""
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGTERM: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
