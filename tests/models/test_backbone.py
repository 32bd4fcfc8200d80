"""Backbones of each kind: answers, freezing, round trips, scratch twins, and clear errors before any training."""

import math
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from hostile_models import save, write_to
from small_inputs import WIDTH, pictures, publish_text_encoder, texts

from graft.models.backbone import Backbone, check_backbone, load_backbone, scratch_backbone
from graft.models.errors import GraftError
from graft.models.features import feature_runner
from graft.models.hub_layer import HubLayer
from graft.models.publish import publish_backbone

pytestmark = pytest.mark.graph

SIZE = (16, 16)
RANGE = (0.0, 1.0)


def network(seed: int = 0) -> keras.Model:
    """Two convolutions with batch normalisation whose statistics fit pixels in [0, 1]."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((*SIZE, 3), name="images")
    hidden = images
    for number, filters in enumerate((8, 12)):
        hidden = keras.layers.Conv2D(filters, 3, 2, use_bias=False, name=f"conv{number}")(hidden)
        hidden = keras.layers.BatchNormalization(momentum=0.0, name=f"norm{number}")(hidden)
        hidden = keras.layers.ReLU(name=f"relu{number}")(hidden)
    model = keras.Model(images, hidden)
    for _ in range(2):
        model(pixels(32), training=True)
    return model


def pixels(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).uniform(*RANGE, (count, *SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def handles(tmp_path_factory) -> dict[str, str]:
    """One network as a SavedModel and as a `.keras` file."""
    folder = tmp_path_factory.mktemp("backbones")
    model = network()
    publish_backbone(model, folder / "hub", pictures(SIZE).spec)
    model.save(folder / "net.keras")
    return {"hub": str(folder / "hub"), "keras": str(folder / "net.keras")}


KINDS = pytest.mark.parametrize("kind", ["hub", "keras"])


def trainable_flags(backbone: Backbone) -> list[list[bool]]:
    return [[variable.trainable for variable in unit] for unit in backbone.units]


@pytest.mark.slow
@KINDS
def test_features_are_the_pooled_map(handles, kind):
    backbone = load_backbone(handles[kind], pictures(SIZE, RANGE))
    expected = tf.reduce_mean(network()(pixels()), axis=[1, 2])
    np.testing.assert_allclose(backbone(pixels()), expected, atol=1e-6)
    assert backbone.feature_dim == 12 and backbone(pixels()).dtype == tf.float32
    assert backbone(pixels()[:0]).shape == (0, 12)
    assert (backbone.handle, backbone.takes) == (handles[kind], pictures(SIZE, RANGE))
    check_backbone(backbone)


def test_trust_holds_for_the_content_and_is_not_saved(tmp_path):
    """The architecture with weights drawn anew is made of a saved configuration, which grants nothing by itself."""
    folder = str(save(tmp_path / "model", "call", write_to(tmp_path / "evil")))
    with pytest.raises(GraftError, match="does more than compute"):
        load_backbone(folder, pictures((16, 16), RANGE))
    with pytest.raises(GraftError, match="does more than compute"):
        HubLayer.from_config({"handle": folder, "trust": True})
    trusted = load_backbone(folder, pictures((16, 16), RANGE), trust=True)
    assert scratch_backbone(trusted, 0).feature_dim == 3
    assert "trust" not in trusted.body.get_config()


@pytest.mark.slow
def test_a_batch_of_none_through_convolutions_of_somebody_else(tmp_path):
    """A SavedModel that was not published here: its own call fails where a kernel answers no images wrongly."""
    module = tf.train.Checkpoint()
    module.kernel = tf.Variable(tf.random.stateless_normal([3, 3, 3, 5], [0, 0]), name="kernel")
    module.variables = module.trainable_variables = [module.kernel]

    @tf.function(input_signature=[tf.TensorSpec([None, *SIZE, 3])])
    def call(images):
        maps = tf.nn.relu(tf.nn.conv2d(images, module.kernel, 2, "VALID") * tf.range(5.0))
        return tf.reduce_mean(maps, axis=[1, 2])

    module.__call__ = call
    tf.saved_model.save(module, str(tmp_path))
    backbone = load_backbone(str(tmp_path), pictures(SIZE, RANGE))
    assert backbone(pixels()[:0]).shape == (0, 5)
    np.testing.assert_array_equal(backbone(pixels()), call(pixels()))
    with feature_runner(backbone) as runner:
        assert runner(contents=np.array([], object))["output"].shape == (0, 5)


@KINDS
def test_units_go_from_input_to_output(handles, kind):
    units = load_backbone(handles[kind], pictures(SIZE, RANGE)).units
    assert [[tuple(variable.shape) for variable in unit] for unit in units] == [
        [(3, 3, 3, 8)],
        [(8,), (8,)],
        [(3, 3, 8, 12)],
        [(12,), (12,)],
    ]


@KINDS
def test_groups_have_names_and_patterns_of_them_open(handles, kind):
    backbone = load_backbone(handles[kind], pictures(SIZE, RANGE))
    assert [(group.name, [layer.name for layer in group.layers]) for group in backbone.groups] == [
        ("conv0", ["conv0", "norm0"]),
        ("conv1", ["conv1", "norm1"]),
    ]
    for patterns, flags in {
        ("conv0",): [[True], [True, True], [False], [False, False]],
        ("norm?", "conv1"): [[False], [True, True], [True], [True, True]],
    }.items():
        assert backbone.unfreeze(list(patterns)) == sum(all(unit) for unit in flags)
        assert trainable_flags(backbone) == flags
        twin = Backbone.from_config(backbone.get_config())
        assert trainable_flags(twin) == flags and twin.unfrozen == list(patterns)
    with pytest.raises(GraftError, match=r"transfer\.unfreeze: 'conv_1' matches no .* output: conv0, conv1$"):
        backbone.unfreeze(["conv0", "conv_1"])
    assert backbone.unfreeze(0.0) == 0


@KINDS
@pytest.mark.parametrize(("fraction", "count"), [(0, 0), (0.25, 1), (0.3, 2), (0.75, 3), (1, 4)])
def test_unfreeze_opens_the_top(handles, kind, fraction, count):
    backbone = load_backbone(handles[kind], pictures(SIZE, RANGE))
    for start in (1.0, 0.0, 0.5):  # whatever was open before
        backbone.unfreeze(start)
        assert backbone.unfreeze(fraction) == count
        flags = trainable_flags(backbone)
        assert all(not any(unit) for unit in flags[: 4 - count]) and all(all(unit) for unit in flags[4 - count :])
        assert len(backbone.trainable_variables) == sum(map(len, flags[4 - count :]))


@pytest.fixture(scope="module")
def nested(tmp_path_factory) -> str:
    """Scaling, a whole network and the pooling in one file, as Keras's own guides have it."""
    base = keras.models.clone_model(network())
    layers = [keras.Input((*SIZE, 3)), keras.layers.Rescaling(1.0), base, keras.layers.GlobalAveragePooling2D()]
    path = tmp_path_factory.mktemp("nested") / "net.keras"
    keras.Sequential(layers).save(path)
    return str(path)


@pytest.mark.parametrize(("fraction", "opened"), [(0, 0), (0.17, 1), (0.5, 2), (1, 4)])
def test_a_nested_network_opens_from_the_top(nested, fraction, opened):
    backbone = load_backbone(nested, pictures(SIZE, RANGE))
    assert backbone.unfreeze(fraction) == opened
    order = ["conv0", "norm0", "conv1", "norm1"]
    expected = {name: name in order[4 - opened :] for name in order}
    layers = {layer.name: layer for layer in backbone._flatten_layers() if layer.name in expected}
    assert {name: layers[name].trainable for name in order} == expected
    assert {v.path.split("/")[-2] for v in backbone.trainable_variables} == set(order[4 - opened :])


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 1])
def test_what_the_publisher_froze_stays_frozen(tmp_path, fraction):
    model = network()
    model.get_layer("conv0").trainable = model.get_layer("norm1").trainable = False
    model.save(tmp_path / "net.keras")
    backbone = load_backbone(str(tmp_path / "net.keras"), pictures(SIZE, RANGE))
    twin = Backbone.from_config({**backbone.get_config(), "unfrozen": 0.0})  # whose layers are all frozen now
    for one in (backbone, twin):
        assert [[tuple(variable.shape) for variable in unit] for unit in one.units] == [[(8,), (8,)], [(3, 3, 8, 12)]]
        count = one.unfreeze(fraction)
        assert count == math.ceil(2 * fraction)
        opened = [v.path.split("/")[-2] for v in one.trainable_variables]
        assert opened == ["norm0", "norm0", "conv1"][(3, 2, 0)[count] :]
    backbone.unfreeze(fraction)
    backbone(pixels(), training=True)
    np.testing.assert_array_equal(backbone.body.get_layer("norm1").moving_mean, model.get_layer("norm1").moving_mean)
    scratch = scratch_backbone(backbone, 0)
    scratch.unfreeze(1.0)  # the publisher's weights are gone, so nothing is kept
    assert len(scratch.units) == 4 and len(scratch.trainable_variables) == 6
    assert np.all(scratch.units[0][0].numpy() != backbone.body.get_layer("conv0").kernel.numpy())


@pytest.mark.parametrize("nested", [False, True])
def test_a_network_that_its_publisher_froze_cannot_be_opened(tmp_path, nested):
    model = network()
    model.trainable = False
    if nested:
        model = keras.Sequential([keras.Input((*SIZE, 3)), model, keras.layers.GlobalAveragePooling2D()])
    model.save(tmp_path / "net.keras")
    backbone = load_backbone(str(tmp_path / "net.keras"), pictures(SIZE, RANGE))
    assert backbone.unfreeze(0) == 0 and backbone(pixels()).shape == (4, 12)
    with pytest.raises(GraftError, match="no layer with weights as trainable"):
        backbone.unfreeze(0.5)
    assert not backbone.trainable and backbone.unfrozen == 0


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_unfreeze_refuses_other_fractions(handles, fraction):
    with pytest.raises(GraftError, match="from 0 to 1; received"):
        load_backbone(handles["hub"], pictures(SIZE, RANGE)).unfreeze(fraction)


@pytest.mark.slow
@KINDS
def test_fit_moves_the_open_part_only(handles, kind):
    backbone = load_backbone(handles[kind], pictures(SIZE, RANGE))
    backbone.training_trace = False
    backbone.unfreeze(0.5)
    model = keras.Sequential([keras.Input((*SIZE, 3)), backbone, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), loss="mse")
    before = {id(variable): variable.numpy() for variable in backbone.variables}
    model.fit(pixels(), np.ones((4, 1)), epochs=2, verbose=0)
    moved = [v for v in backbone.variables if np.any(v.numpy() != before[id(v)])]
    assert {id(v) for v in moved} == {id(v) for unit in backbone.units[2:] for v in unit}


@KINDS
@pytest.mark.parametrize("training_trace", [True, False])
def test_training_trace_switches_batch_normalisation(handles, kind, training_trace):
    backbone = load_backbone(handles[kind], pictures(SIZE, RANGE), trainable=True)
    backbone.training_trace = training_trace
    inference = backbone(pixels(), training=False).numpy()
    differs = np.any(np.abs(backbone(pixels(), training=True) - inference) > 1e-4)
    assert differs == training_trace
    backbone.unfreeze(0)
    inference = backbone(pixels(), training=False).numpy()
    np.testing.assert_array_equal(backbone(pixels(), training=True), inference)


@pytest.mark.slow
@KINDS
def test_round_trip_in_a_keras_file(handles, kind, tmp_path):
    backbone = load_backbone(handles[kind], pictures(SIZE, RANGE))
    backbone.unfreeze(0.5)
    backbone.training_trace = False
    model = keras.Sequential([keras.Input((*SIZE, 3)), backbone, keras.layers.Dense(2)])
    model.compile("adam", loss="mse")
    model.fit(pixels(), np.ones((4, 2)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(pixels()), model(pixels()))
    twin = loaded.layers[0]
    assert isinstance(twin, Backbone) and twin.identity == backbone.identity and not twin.training_trace
    assert trainable_flags(twin) == trainable_flags(backbone)
    model.export(tmp_path / "export", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_allclose(exported.serve(pixels()), model(pixels()), atol=1e-6)


@pytest.mark.slow
def test_check_on_given_images(handles):
    encoded = [tf.io.encode_png((image * 255).astype(np.uint8)).numpy() for image in pixels()]
    check_backbone(load_backbone(handles["keras"], pictures(SIZE, RANGE)), encoded)
    with pytest.raises(GraftError, match=r"value_range \[0\.0, 255\.0\] gives features .* narrower"):
        check_backbone(load_backbone(handles["keras"], pictures(SIZE, (0, 255))), encoded)
    check_backbone(load_backbone(handles["keras"], pictures(SIZE, (0, 255), check_range=False)), encoded)
    with pytest.raises(GraftError, match="narrower"):  # one image says nothing of a spread: noise does
        check_backbone(load_backbone(handles["keras"], pictures(SIZE, (0, 255))), encoded[:1])


def test_a_backbone_of_texts(tmp_path):
    publish_text_encoder(tmp_path)
    backbone = load_backbone(str(tmp_path), texts())
    check_backbone(backbone)
    check_backbone(backbone, [b"green", b"small and green"])
    assert backbone.feature_dim == WIDTH
    one, twin, other, none = backbone(tf.constant(["Green and small", "small green and", "it rains", ""])).numpy()
    np.testing.assert_allclose(one, twin, atol=1e-6)
    assert np.abs(one - other).max() > 0.1 and not none.any()
    assert backbone(tf.constant([], tf.string)).shape == (0, WIDTH)
    again = Backbone.from_config(backbone.get_config())
    assert again.takes == backbone.takes
    np.testing.assert_array_equal(again(tf.constant(["it rains"]))[0], other)
    assert (
        backbone.unfreeze(1.0) == 1 and np.abs(scratch_backbone(backbone, 1)(tf.constant(["it"])) - other).max() > 0.1
    )


def test_a_backbone_of_another_input_is_refused(handles, tmp_path):
    publish_text_encoder(tmp_path / "texts")
    with pytest.raises(GraftError, match=r"takes string; allowed: float32 images"):
        load_backbone(str(tmp_path / "texts"), pictures(SIZE))
    for kind in ("hub", "keras"):
        with pytest.raises(GraftError, match=r"takes float32; allowed: string texts"):
            load_backbone(handles[kind], texts())
    with pytest.raises(GraftError, match=r"keras\.applications, which take images; input\.kind is text"):
        load_backbone("MobileNetV2?weights=none", texts())


def test_a_keras_network_of_texts(tmp_path):
    words = keras.Input((), dtype="string")
    hashed = keras.layers.Hashing(50)(words)
    keras.Model(words, keras.layers.Embedding(50, 3)(hashed)).save(tmp_path / "texts.keras")
    backbone = load_backbone(str(tmp_path / "texts.keras"), texts())
    check_backbone(backbone)
    assert backbone(tf.constant(["one", "two"])).shape == (2, 3)


def test_identity_follows_the_content(handles, tmp_path):
    network(seed=5).save(tmp_path / "other.keras")
    one, twin, other = (
        load_backbone(h, pictures(SIZE, RANGE)) for h in (handles["keras"], handles["keras"], f"{tmp_path}/other.keras")
    )
    assert one.identity == twin.identity != other.identity
    assert len(one.identity) == 64


def test_feature_layer_cuts_the_network(handles):
    backbone = load_backbone(handles["keras"], pictures(SIZE, RANGE), feature_layer="relu0")
    assert backbone.feature_dim == 8 and len(backbone.units) == 2
    with pytest.raises(GraftError, match=r"has no layer 'relu_0'; near names: relu0"):
        load_backbone(handles["keras"], pictures(SIZE, RANGE), feature_layer="relu_0")
    with pytest.raises(GraftError, match="cannot be cut"):
        load_backbone(handles["hub"], pictures(SIZE, RANGE), feature_layer="relu0")


@KINDS
def test_wrong_image_size(handles, kind):
    with pytest.raises(GraftError, match=r"16, 16.*input\.image_size is \[20, 16\]"):
        load_backbone(handles[kind], pictures((20, 16), RANGE))


def test_not_a_feature_vector(tmp_path):
    images = keras.Input((*SIZE, 3))
    flat = keras.layers.Flatten(name="flat")(images)
    sequence = keras.Model(images, keras.layers.Reshape((16, 48), name="tokens")(images))
    classifier = keras.Model(images, keras.layers.Dense(5, activation="softmax", name="top")(flat))
    logits = keras.Model(images, keras.layers.Dense(5, name="logits")(flat))
    for model, message in ((sequence, r"neither.*\(None, 16, 48\)"), (classifier, "'top'"), (logits, "'logits'")):
        model.save(tmp_path / "model.keras")
        with pytest.raises(GraftError, match=message):
            load_backbone(str(tmp_path / "model.keras"), pictures(SIZE, RANGE))
    assert load_backbone(str(tmp_path / "model.keras"), pictures(SIZE, RANGE), feature_layer="flat").feature_dim == 768

    module = tf.train.Checkpoint()
    spec = tf.TensorSpec([None, *SIZE, 3])
    module.__call__ = tf.function(lambda x: x, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "map"))
    with pytest.raises(GraftError, match="not a feature vector: it returns float32"):
        load_backbone(str(tmp_path / "map"), pictures(SIZE, RANGE))
    serve = tf.function(lambda x: {"logits": x[:, 0, 0]}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "logits"), signatures={"serving_default": serve})
    with pytest.raises(GraftError, match="classifier"):
        load_backbone(str(tmp_path / "logits"), pictures(SIZE, RANGE))


def test_file_that_keras_cannot_read(handles, tmp_path):
    (tmp_path / "broken.keras").write_bytes(b"no zip file")
    with pytest.raises(GraftError, match=r"cannot be loaded: it is no `.keras` file or damaged"):
        load_backbone(str(tmp_path / "broken.keras"), pictures(SIZE, RANGE))
    with pytest.raises(GraftError, match=r"does not exist; that folder holds net\.keras"):
        load_backbone(handles["keras"].replace("net", "nett"), pictures(SIZE, RANGE))


@KINDS
def test_scratch_is_the_same_network_with_other_weights(handles, kind):
    published = load_backbone(handles[kind], pictures(SIZE, RANGE))
    before = [variable.numpy() for variable in published.variables]
    scratch, twin, other = (scratch_backbone(published, seed) for seed in (1, 1, 2))
    for old, fresh, same, different in zip(before, *(b.variables for b in (scratch, twin, other)), strict=True):
        assert fresh.shape == old.shape
        np.testing.assert_array_equal(fresh, same)
        if len(old.shape) > 1:
            assert np.all(fresh.numpy() != old) and np.all(fresh.numpy() != different.numpy())
    values = {variable.name.rpartition("norm0")[2].strip("_"): variable.numpy() for variable in scratch.body.variables}
    kernel = scratch.units[2][0].numpy()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 8)), rel=0.1)
    for name, expected in (("gamma", 1), ("beta", 0), ("moving_mean", 0), ("moving_variance", 1)):
        assert np.all(values[name] == expected)
    assert scratch.identity != published.identity and not scratch.trainable_variables
    for old, variable in zip(before, published.variables, strict=True):
        np.testing.assert_array_equal(variable, old)
    scratch.unfreeze(1.0)
    assert len(scratch.trainable_variables) == 6


@pytest.mark.slow
def test_two_replicas_train_like_one(handles):
    """In a process of its own: logical devices must be made before TensorFlow starts."""
    script = textwrap.dedent(f"""
        import keras, numpy as np, tensorflow as tf
        from graft.models.backbone import load_backbone
        from graft.models.inputs import image
        pictures = image.Input(image.Options(image_size=(16, 16), value_range=(0, 1)))
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        images = np.random.default_rng(1).uniform(size=(8, 16, 16, 3)).astype(np.float32)
        found = []
        for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
            with tf.distribute.MirroredStrategy(devices).scope():
                backbone = load_backbone({handles["hub"]!r}, pictures)
                backbone.training_trace = False
                backbone.unfreeze(0.5)
                head = keras.layers.Dense(1, kernel_initializer="ones")
                model = keras.Sequential([keras.Input((16, 16, 3)), backbone, head])
                model.compile(keras.optimizers.SGD(0.01), loss="mse")
            assert [len(unit) for unit in backbone.units] == [1, 2, 1, 2]
            model.fit(images, np.ones((8, 1)), batch_size=8, epochs=3, shuffle=False, verbose=0)
            found.append([v.numpy() for v in model.trainable_variables])
        for one, two in zip(*found, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-5)
    """)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


@pytest.mark.slow
def test_mixed_precision_keeps_features_in_float32(handles):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        for handle in (*handles.values(), "MobileNetV3Small?weights=none"):
            size, values = ((32, 32), (0, 255)) if handle.startswith("Mobile") else (SIZE, RANGE)
            backbone = load_backbone(handle, pictures(size, values))
            assert backbone(np.zeros((2, *size, 3), np.float32)).dtype == tf.float32
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.slow
def test_the_published_mobilenet(graft_data):
    folder = graft_data / "backbones"
    hub = load_backbone(str(folder / "hub_style_mobilenet_v2_feature_vector" / "1"), pictures((224, 224), (0, 1)))
    assert hub.feature_dim == 1280 and len(hub.units) == 106
    assert [variable.name for variable in hub.units[0]] == ["stem_kernel"]
    hub.unfreeze(1)
    assert (len(hub.trainable_variables), len(hub.variables)) == (159, 265)
    check_backbone(hub)
    # The .keras file holds the same weights without the normalisation to ImageNet's mean and deviation.
    file = load_backbone(str(folder / "mobilenet_v2_1.00_224_imagenet_notop.keras"), pictures((224, 224), (-2.1, 2.6)))
    images = np.random.default_rng(0).uniform(size=(2, 224, 224, 3)).astype(np.float32)
    normalised = (images - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(hub(images), file(normalised.astype(np.float32)), atol=1e-4)
    for backbone in (hub, file):
        backbone.takes = pictures((224, 224), (0, 255))
        with pytest.raises(GraftError, match="narrower value range"):
            check_backbone(backbone)


@pytest.mark.slow
def test_squeezenet_at_its_feature_layer(graft_data):
    handle = str(graft_data / "backbones" / "squeezenet_1.1_224_imagenet_top.keras")
    with pytest.raises(GraftError, match="classifier 'logits'"):
        load_backbone(handle, pictures((224, 224), (-2.1, 2.6)))
    assert load_backbone(handle, pictures((224, 224), (-2.1, 2.6)), feature_layer="fire9_concat").feature_dim == 512
    with pytest.raises(GraftError, match="fire9_concat"):
        load_backbone(handle, pictures((224, 224), (-2.1, 2.6)), feature_layer="fire9")
