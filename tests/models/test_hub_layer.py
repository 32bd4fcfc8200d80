"""Conformance of `HubLayer` with the Reusable SavedModel interface, after tensorflow_hub's keras_layer_test.py."""

import http.server
import pathlib
import shutil
import tarfile
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.models.errors import GraftError
from graft.models.hashing import hash_folder
from graft.models.hub_layer import HubLayer

pytestmark = pytest.mark.graph


class _HalfPlusOne(tf.train.Checkpoint):
    """`x * kernel + bias`, with a regulariser on the kernel."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable([[0.5]], name="kernel")
        self.bias = tf.Variable([1.0], name="bias")
        self.variables = [self.kernel, self.bias]
        self.trainable_variables = [self.kernel, self.bias]
        self.regularization_losses = [tf.function(lambda: 0.0006 * tf.reduce_sum(self.kernel), input_signature=[])]

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32)])
    def __call__(self, x):
        return tf.matmul(x, self.kernel) + self.bias


class _Normaliser(tf.train.Checkpoint):
    """A batch normalisation with momentum 0.9 and a frozen offset; its training trace adds 100."""

    def __init__(self):
        super().__init__()
        self.offset = tf.Variable([3.0], name="out/offset")  # trainable for TensorFlow, excluded by the publisher
        self.gain = tf.Variable([2.0], name="out/gain")
        self.mean = tf.Variable([0.0], trainable=False, name="norm/moving_mean")
        self.scale = tf.Variable([1.0], name="norm/scale")
        self.variables = [self.offset, self.gain, self.mean, self.scale]  # not the order of use
        self.trainable_variables = [self.gain, self.scale]
        self.regularization_losses = []

    @tf.function
    def __call__(self, x, training=False):
        if training:
            batch_mean = tf.reduce_mean(x, axis=0)
            self.mean.assign(0.9 * self.mean + 0.1 * batch_mean)
            return (x - batch_mean) * self.scale * self.gain + self.offset + 100.0
        return (x - self.mean) * self.scale * self.gain + self.offset


@pytest.fixture(scope="module")
def half_plus_one(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("half_plus_one"))
    tf.saved_model.save(_HalfPlusOne(), path)
    return path


@pytest.fixture(scope="module")
def normaliser(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("normaliser"))
    module = _Normaliser()
    for training in (False, True):
        module.__call__.get_concrete_function(tf.TensorSpec([None, 1], tf.float32), training=training)
    tf.saved_model.save(module, path)
    return path


def model_on(layer: HubLayer, optimizer: keras.optimizers.Optimizer | None = None) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss="mse")
    return model


def values(layer: HubLayer) -> dict[str, np.ndarray]:
    return {variable.name: variable.numpy() for variable in layer.variables}


X = np.array([[-2.0], [0.0], [4.0], [6.0]], np.float32)


@pytest.mark.parametrize("handle", ["half_plus_one", "normaliser"])
def test_answers_and_variables_are_the_published_ones(handle, request):
    path = request.getfixturevalue(handle)
    published, layer = tf.saved_model.load(path), HubLayer(path)
    np.testing.assert_array_equal(layer(X), published(X))
    assert len(layer.variables) == len(published.variables)
    assert layer.trainable_variables == []
    layer.trainable = True
    assert len(layer.trainable_variables) == len(published.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_retraining_half_plus_one_finds_the_exact_weights(half_plus_one, optimizer):
    layer = HubLayer(half_plus_one, trainable=True)
    layer._module.regularization_losses = []
    model = model_on(layer, keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": 0.05}}))
    model.fit(tf.data.Dataset.from_tensors((X, 3.0 * X - 2.0)).repeat(600), verbose=0)
    np.testing.assert_allclose(values(layer)["kernel"], [[3.0]], atol=1e-3)
    np.testing.assert_allclose(values(layer)["bias"], [-2.0], atol=2e-3)


def test_an_optimizer_step_changes_the_restored_variables(half_plus_one):
    layer = HubLayer(half_plus_one, trainable=True)
    before = [variable.numpy() for variable in layer._module.trainable_variables]
    model_on(layer, keras.optimizers.Adam(0.1)).fit(X, 3.0 * X + 5.0, verbose=0)
    after = [variable.numpy() for variable in layer._module.trainable_variables]
    assert all(np.all(a != b) for a, b in zip(before, after, strict=True))
    np.testing.assert_array_equal(layer(X), layer._module(X))


def test_a_frozen_layer_is_bit_equal_after_fit(normaliser):
    layer = HubLayer(normaliser)
    before = values(layer)
    head = keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((1,)), layer, head])
    model.compile("adam", loss="mse")
    head_before = head.kernel.numpy()
    model.fit(X, X, epochs=3, verbose=0)
    assert len(model.trainable_variables) == 2
    assert np.any(head.kernel.numpy() != head_before)
    for name, value in values(layer).items():
        np.testing.assert_array_equal(value, before[name])


def test_unfreezing_moves_exactly_the_publishers_variables(normaliser):
    layer = HubLayer(normaliser, trainable=True)
    before = values(layer)
    model_on(layer, keras.optimizers.SGD(1e-4)).fit(X, 5.0 * X, epochs=2, verbose=0)
    after = values(layer)
    moved = {name for name in after if np.any(after[name] != before[name])}
    assert moved == {"out_gain", "norm_scale", "norm_moving_mean"}  # the mean by the training trace itself
    assert after["out_offset"] == 3.0


def test_the_training_trace_runs_only_when_trainable_and_training(normaliser):
    layer = HubLayer(normaliser)
    inference = layer(X).numpy()
    np.testing.assert_array_equal(layer(X, training=True), inference)
    assert values(layer)["norm_moving_mean"] == 0.0
    layer.trainable = True
    np.testing.assert_array_equal(layer(X, training=False), inference)
    assert values(layer)["norm_moving_mean"] == 0.0
    assert np.mean(layer(X, training=True)) == pytest.approx(103.0)
    assert values(layer)["norm_moving_mean"] == pytest.approx(0.1 * X.mean())


@pytest.mark.slow
def test_fit_reaches_the_training_trace(normaliser):
    layer = HubLayer(normaliser, trainable=True)
    loss = model_on(layer, keras.optimizers.SGD(0.0)).fit(X, np.zeros_like(X), verbose=0).history["loss"][0]
    assert loss > 100.0**2  # by the 100 that only this trace adds
    assert values(layer)["norm_moving_mean"] == pytest.approx(0.1 * X.mean())


def test_regularisation_losses_follow_trainable(half_plus_one):
    layer = HubLayer(half_plus_one)
    model = model_on(layer, keras.optimizers.SGD(0.0))
    target = layer(X).numpy()
    assert model.evaluate(X, target, verbose=0) == pytest.approx(0.0, abs=1e-7)
    layer(X)
    assert layer.losses == []
    layer.trainable = True
    layer(X)
    assert [float(loss) for loss in layer.losses] == [pytest.approx(0.0003)]
    model = model_on(layer, keras.optimizers.SGD(0.0))
    assert model.fit(X, target, verbose=0).history["loss"][0] == pytest.approx(0.0003)
    layer.trainable = False
    layer(X)
    assert layer.losses == []


def test_config_round_trip_keeps_retrained_weights(normaliser, tmp_path):
    layer = HubLayer(normaliser, trainable=True)
    model = model_on(layer, keras.optimizers.SGD(1e-3))
    model.fit(X, X, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    twin = loaded.layers[0]
    assert twin.get_config() == layer.get_config() and twin.trainable
    assert not HubLayer.from_config({**layer.get_config(), "trainable": False}).trainable


def test_another_backbone_under_the_same_name_is_refused(half_plus_one, normaliser, tmp_path):
    moved = tmp_path / "backbone"
    shutil.copytree(half_plus_one, moved)
    config = HubLayer(str(moved)).get_config()
    HubLayer.from_config(config)
    shutil.rmtree(moved)
    shutil.copytree(normaliser, moved)
    with pytest.raises(GraftError, match="is not the one that was asked for: its sha256 is"):
        HubLayer.from_config(config)


@pytest.mark.slow
def test_exports_answer_like_the_live_model(normaliser, tmp_path):
    layer = HubLayer(normaliser, trainable=True)
    model = model_on(layer, keras.optimizers.SGD(1e-3))
    model.fit(X, X, verbose=0)
    model.export(tmp_path / "by_keras", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "by_keras"))
    np.testing.assert_array_equal(exported.serve(X), model(X))
    module = tf.Module()
    module.model = model
    module.serve = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec([None, 1])])
    tf.saved_model.save(module, str(tmp_path / "by_hand"))
    exported = tf.saved_model.load(str(tmp_path / "by_hand"))
    np.testing.assert_array_equal(exported.serve(X), model(X))


def test_units_go_from_input_to_output_whatever_the_order_of_the_lists(normaliser):
    names = [[variable.name for variable in unit] for unit in HubLayer(normaliser).units]
    assert names == [["norm_scale"], ["out_gain"]]


@pytest.mark.slow
def test_mixed_precision_has_no_effect_inside(normaliser):
    expected = HubLayer(normaliser)(X)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layer = HubLayer(normaliser, trainable=True)
        np.testing.assert_array_equal(layer(tf.cast(X, tf.float16)), expected)
        assert layer.compute_dtype == "float32"
        model = keras.Sequential([keras.Input((1,)), layer, keras.layers.Dense(1)])
        model.compile("adam", loss="mse")
        assert np.isfinite(model.fit(X, X, verbose=0).history["loss"][0])
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_signature_only_model_works_frozen_and_refuses_training(tmp_path):
    source = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    source.export(tmp_path / "plain", verbose=False)
    layer = HubLayer(str(tmp_path / "plain"))
    np.testing.assert_allclose(layer(X), source(X))
    assert layer.units == [] and layer.variables == []
    with pytest.raises(GraftError, match="cannot be trained"):
        layer.trainable = True
    with pytest.raises(GraftError, match="cannot be trained"):
        HubLayer(str(tmp_path / "plain"), trainable=True)


def test_model_without_training_trace_trains_through_inference(half_plus_one, caplog):
    layer = HubLayer(half_plus_one, trainable=True)
    assert not layer.has_training_trace
    assert "no training trace" in caplog.text
    np.testing.assert_array_equal(layer(X, training=True), layer(X))


def test_missing_broken_and_nested_folders(half_plus_one, tmp_path):
    with pytest.raises(GraftError, match="does not exist"):
        HubLayer(str(tmp_path / "nothing"))
    with pytest.raises(GraftError, match=r"no saved_model\.pb"):
        HubLayer(str(tmp_path))
    shutil.copytree(half_plus_one, tmp_path / "model" / "1")
    with pytest.raises(GraftError, match=r"did you mean .*model/1\?"):
        HubLayer(str(tmp_path / "model"))
    (tmp_path / "model" / "1" / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(GraftError, match="cannot be read"):
        HubLayer(str(tmp_path / "model" / "1"))


def test_identity_sees_contents_and_names_not_the_place(half_plus_one, tmp_path):
    twin = pathlib.Path(shutil.copytree(half_plus_one, tmp_path / "twin"))
    assert hash_folder(twin) == hash_folder(pathlib.Path(half_plus_one))
    (twin / "fingerprint.pb").rename(twin / "renamed.pb")
    renamed = hash_folder(twin)
    assert renamed != hash_folder(pathlib.Path(half_plus_one))
    (twin / "renamed.pb").write_bytes(b"changed")
    assert hash_folder(twin) != renamed


def test_identity_sees_what_lies_behind_a_link_to_a_folder(tmp_path):
    """Weights on a mounted volume, for instance."""
    folder, volume = tmp_path / "backbone", tmp_path / "volume"
    for path in (folder, volume):
        path.mkdir()
    (volume / "variables").write_text("one")
    (folder / "variables").symlink_to(volume, target_is_directory=True)
    before = hash_folder(folder)
    (volume / "variables").write_text("two")
    assert hash_folder(folder) != before


@pytest.fixture
def web_server(half_plus_one, tmp_path):
    """A loopback server of one module archive, as TF-Hub serves them."""
    with tarfile.open(tmp_path / "module.tar.gz", "w:gz") as archive:
        archive.add(half_plus_one, arcname=".")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_url_is_downloaded_and_cached(web_server, tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    layer = HubLayer(f"{web_server}/module.tar.gz", allow_http=True)
    np.testing.assert_array_equal(layer(X), X * 0.5 + 1.0)
    (tmp_path / "module.tar.gz").unlink()
    assert HubLayer(layer.handle).identity == layer.identity
    with pytest.raises(GraftError, match="cannot be downloaded"):
        HubLayer(f"{web_server}/other.tar.gz", allow_http=True)


@pytest.mark.parametrize("callable_too", [True, False], ids=["call", "signature"])
def test_variables_that_nobody_lists_are_tracked(tmp_path, callable_too):
    """A plain tf.Module: without them the exported model could not be saved."""
    module = tf.Module()
    module.table = tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="table")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def call(x):
        return x @ module.table

    if callable_too:
        module.__call__ = call
    module.call = call
    tf.saved_model.save(module, str(tmp_path / "hub"), signatures=call.get_concrete_function())
    layer = HubLayer(str(tmp_path / "hub"))
    assert [variable.shape for variable in layer.variables] == [(2, 2)]
    assert not layer.trainable_variables and not layer.can_train
    saved = tf.Module()
    saved.kept = [variable.value for variable in layer.variables]
    saved.call = tf.function(layer, input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    tf.saved_model.save(saved, str(tmp_path / "again"))
    again = tf.saved_model.load(str(tmp_path / "again"))
    np.testing.assert_array_equal(again.call(tf.constant([[1.0, 0.0]])), [[1.0, 2.0]])
