"""A served half_plus_two and friends; the models are made once a session."""

import numpy as np
import pytest
from small_images import one_colour
from small_models import save_counter, save_images, save_linear, save_odd, save_texts, save_zoo
from store_kinds import exports, files, kind, make_store, store  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folders of SavedModels by name."""
    root = tmp_path_factory.mktemp("models")
    return {
        "half_plus_two": save_linear(root / "half_plus_two" / "1", 0.5, 2.0),
        "zoo": save_zoo(root / "zoo" / "7"),
        "images": save_images(root / "images" / "1"),
        "texts": save_texts(root / "texts" / "1"),
        "odd": save_odd(root / "odd" / "1"),
        "counter": save_counter(root / "counter" / "1"),
    }


@pytest.fixture(scope="session")
def png():
    """Encoded one-colour images, by colour (r, g, b)."""
    return one_colour


@pytest.fixture(scope="session")
def linear():
    """Writes a linear model: `linear(folder, slope, offset)`."""
    return save_linear


@pytest.fixture
def held(monkeypatch):
    """Holds every run of a model until its event is set; then the answer is y = [1.0]."""
    import threading

    from graft.serving.engine import Engine

    gate = threading.Event()

    def run(*_, **__):
        assert gate.wait(60)
        return {"y": np.float32([1.0])}

    monkeypatch.setattr(Engine, "run", run)
    yield gate
    gate.set()


@pytest.fixture(scope="session")
def server(models):
    """One server with all small models, for tests that change nothing."""
    from graft.serving.server import EmbeddedServer

    with EmbeddedServer(models={name: path.parent for name, path in models.items()}) as running:
        yield running
