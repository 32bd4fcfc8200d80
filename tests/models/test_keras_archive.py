"""What a `.keras` file holds is looked at before Keras makes objects of it."""

import json
import pathlib
import zipfile

import keras
import pytest

import graft.models.hub_layer  # noqa: F401 - registers HubLayer with Keras, which a file could then name
from graft.models.applications import ReverseChannels
from graft.models.errors import GraftError
from graft.models.keras_archive import require_plain_layers


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> pathlib.Path:
    images = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(
        4, 3, activation="relu", kernel_regularizer="l2", kernel_constraint=keras.constraints.MaxNorm()
    )(ReverseChannels()(images))
    hidden = keras.layers.Dropout(0.1, seed=1)(keras.ops.maximum(hidden, 0.0) * 2.0)
    hidden = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, dtype="mixed_float16")])(hidden)
    path = tmp_path_factory.mktemp("plain") / "net.keras"
    keras.Model(images, keras.layers.Activation(keras.activations.gelu)(hidden)).save(path)
    return path


def rewrite(source: pathlib.Path, target: pathlib.Path, change=None, extra=(), compression=zipfile.ZIP_STORED):
    """Copies an archive, changing its config and adding members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename == "config.json" and change is not None:
                config = json.loads(content)
                change(config["config"]["layers"])
                content = json.dumps(config).encode()
            new.writestr(member.filename, content)
        for name, content in extra:
            new.writestr(name, content)
    return target


def test_a_plain_network_passes(plain):
    require_plain_layers(plain)


@keras.saving.register_keras_serializable("theirs")
class _Loss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return y_pred


def test_a_compiled_network_passes(tmp_path):
    """How it was trained, by a class of its publisher, is not loaded; how a network inside of it was, is Keras' own."""
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    inner.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9)), "mse", ["mae"])
    model = keras.Sequential([keras.Input((8,)), inner])
    model.compile("adam", _Loss())
    model.save(tmp_path / "net.keras")
    require_plain_layers(tmp_path / "net.keras")
    inner.compile("adam", _Loss())
    model.save(tmp_path / "net.keras")
    with pytest.raises(GraftError, match="theirs>_Loss"):
        require_plain_layers(tmp_path / "net.keras")


def test_real_networks_pass(graft_data):
    files = list((graft_data / "backbones").glob("*.keras"))
    assert len(files) == 2
    for file in files:
        require_plain_layers(file)


def described(**changes):
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None}
    return {**layer, **changes}


@pytest.mark.parametrize(
    "layer",
    [
        described(class_name="Lambda"),
        described(class_name="TFSMLayer", config={"filepath": "/somewhere"}),
        described(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
        described(class_name="TextVectorization"),
        # Registered by this process: would download and run a SavedModel.
        described(registered_name="graft>HubLayer", config={"handle": "https://example.com/1"}),
        described(class_name="graft>HubLayer", registered_name=None),
        described(class_name="HubLayer", module="graft.models.hub_layer", registered_name="graft>HubLayer"),
        # A class of another module, a function as a class, a module that only begins like Keras' (CVE-2025-1550).
        described(module="os", class_name="system"),
        described(module="keras.utils", class_name="get_file"),
        described(module="keras.config", class_name="enable_unsafe_deserialization"),
        described(module="kerasmore.layers"),
        described(module=None),
        {"class_name": "function", "config": "get_file", "module": "keras.utils", "registered_name": "get_file"},
        {"class_name": "function", "config": "HubLayer", "module": "builtins", "registered_name": "function"},
        {"class_name": "__lambda__", "config": {"value": "x"}},
        {"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": [], "registered_name": "x"},
        described(config={"units": 1, "activation": "graft>HubLayer"}),
        described(class_name=["Dense"]),
        described(class_name="Dense\n", module="\x1b[2Jkeras.layers"),
    ],
)
def test_other_classes_are_refused(plain, tmp_path, layer):
    file = rewrite(plain, tmp_path / "net.keras", lambda layers: layers[1]["config"].update(extra={"deep": [layer]}))
    with pytest.raises(GraftError, match=r"holds the class .*; allowed: layers of Keras that only compute") as caught:
        require_plain_layers(file)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["../evil", "assets/../../evil", "/evil", "..\\evil"])
def test_paths_out_of_the_archive_are_refused(plain, tmp_path, name):
    file = rewrite(plain, tmp_path / "net.keras", extra=[(name, b"x")])
    with pytest.raises(GraftError, match="a path that leads out of it"):
        require_plain_layers(file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(plain, tmp_path):
    file = rewrite(plain, tmp_path / "net.keras", extra=[("config.json", b"{}")])
    with pytest.raises(GraftError, match="holds a name twice"):
        require_plain_layers(file)


def test_a_bomb_is_refused(plain, tmp_path):
    bomb = [("assets/zeros", bytes(80 << 20))]
    file = rewrite(plain, tmp_path / "net.keras", extra=bomb, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(GraftError, match=r"holds \d+ bytes that unpack to \d+"):
        require_plain_layers(file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", bytes(range(1, 101))])
def test_damaged_files(tmp_path, content):
    (tmp_path / "net.keras").write_bytes(content)
    with pytest.raises(GraftError, match=r"cannot be loaded: it is no `.keras` file or damaged"):
        require_plain_layers(tmp_path / "net.keras")


@pytest.mark.parametrize("config", [b"no json", b"[" * 100_000, b'{"class_name": '])
def test_a_damaged_config(tmp_path, config):
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", config)
    with pytest.raises(GraftError, match="damaged"):
        require_plain_layers(tmp_path / "net.keras")
