"""The exported SavedModel: signatures, equality with the model in memory, no tables where it is served."""

import numpy as np
import pytest
import tensorflow as tf
from small_inputs import pictures, publish_text_encoder, texts
from training_input import CLASSES, IMAGE_SIZE, make_example

from graft.models import export
from graft.models.backbone import load_backbone
from graft.models.errors import GraftError
from graft.models.frozen import FrozenRunner
from graft.models.heads import build_head
from graft.models.inputs import exported_input
from graft.models.inputs.image.decoding import preprocess
from graft.models.options import HeadOptions
from graft.models.predict import SavedModelPredictor
from graft.models.targets import KINDS, exported_target, make_target
from graft.models.transfer import METHODS

pytestmark = [pytest.mark.graph, pytest.mark.slow]


@pytest.fixture(scope="module")
def exported(training_input, tmp_path_factory):
    """A fine-tuned model on disk, and its task."""
    task = training_input.task({"method": "fine_tune", "epochs": 1, "head_epochs": 2, "learning_rate": 1e-2})
    METHODS.module("fine_tune").fit(task)
    directory = tmp_path_factory.mktemp("export") / "model"
    write(task, training_input, directory)
    return task, directory


def write(task, training_input, directory, **changes):
    arguments = {
        "backbone": task.backbone,
        "head": task.head,
        "target": task.target,
        "transform_graph_path": training_input.transform,
        "directory": directory,
        "contents": training_input.images["eval"][:2],
        "model_name": "colours",
    }
    export.export_model(**{**arguments, **changes})


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported[1]))


def in_memory(task, images):
    features = task.backbone(preprocess(tf.constant(images), IMAGE_SIZE, (-1.0, 1.0)), training=False)
    return features.numpy(), task.head(features, training=False).numpy()


def test_all_test_images_get_the_answers_of_the_model_in_memory(exported, loaded, training_input):
    task, _ = exported
    images = training_input.images["test"]
    features, scores = in_memory(task, images)
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(images))
    assert set(answer) == {"classes", "probabilities", "scores", "label"}
    np.testing.assert_allclose(answer["scores"], scores, atol=1e-5)
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(scores), atol=1e-5)
    np.testing.assert_allclose(answer["probabilities"].numpy().sum(axis=1), 1.0, atol=1e-6)
    classes = [name.encode() for name in list(task.target.names)]
    assert answer["classes"].numpy().tolist() == [classes] * len(images)
    assert answer["label"].numpy().tolist() == [classes[i] for i in scores.argmax(axis=1)]
    vectors = loaded.signatures["features"](image_bytes=tf.constant(images))["feature_vector"]
    np.testing.assert_allclose(vectors, features, atol=1e-5)


def test_bulk_answers_and_vectors_of_one_pass_are_those_of_the_signatures(exported, loaded, training_input):
    _, path = exported
    images = training_input.images["test"]
    vectors = []
    with SavedModelPredictor(path, embeds=True) as predictor:
        answers = predictor.predict(images, embedded=vectors.append)
    signatures, given = loaded.signatures, tf.constant(images)
    np.testing.assert_allclose(answers, signatures["serving_default"](image_bytes=given)["probabilities"], atol=1e-6)
    expected = signatures["features"](image_bytes=given)["feature_vector"]
    np.testing.assert_allclose(np.concatenate(vectors), expected, atol=1e-5)


def test_batch_of_none(loaded):
    none = tf.constant([], tf.string)
    answer = loaded.signatures["serving_default"](image_bytes=none)
    assert {name: tuple(value.shape) for name, value in answer.items()} == {
        "classes": (0, 3),
        "probabilities": (0, 3),
        "scores": (0, 3),
        "label": (0,),
    }
    assert loaded.signatures["features"](image_bytes=none)["feature_vector"].shape == (0, 16)


def test_evaluation_signatures_take_examples(exported, loaded, training_input):
    task, _ = exported
    image = training_input.images["test"][0]
    examples = tf.constant([make_example(image, name, "a.png") for name in [*CLASSES, "purple"]])
    probabilities = loaded.signatures["evaluate_examples"](examples=examples)["probabilities"]
    np.testing.assert_allclose(probabilities, tf.nn.softmax(in_memory(task, [image] * 4)[1]), atol=1e-5)
    label = loaded.signatures["transform_features"](examples=examples)["label"]
    assert label.dtype == tf.int64
    assert label.numpy().tolist() == [list(task.target.names).index(name) for name in CLASSES] + [-1]


def test_corrupt_image_is_refused(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["serving_default"](image_bytes=tf.constant([b"no image"]))


@pytest.mark.parametrize("signature", ["serving_default", "features"])
def test_serving_signatures_can_be_frozen(loaded, training_input, signature):
    images = training_input.images["test"][:3]
    runner = FrozenRunner(loaded.signatures[signature])
    try:
        frozen = runner(image_bytes=np.array(images, object))
    finally:
        runner.close()
    for name, value in loaded.signatures[signature](image_bytes=tf.constant(images)).items():
        if value.dtype == tf.string:
            assert frozen[name].tolist() == value.numpy().tolist()
        else:
            np.testing.assert_allclose(frozen[name], value, atol=1e-5)


def test_session_loader_reads_it_too(exported, training_input):
    task, directory = exported
    images = training_input.images["test"][:3]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(directory))
        names = {key: graph.signature_def[key] for key in ("serving_default", "transform_features")}
        scores = session.run(
            names["serving_default"].outputs["scores"].name,
            {names["serving_default"].inputs["image_bytes"].name: images},
        )
        label = session.run(
            names["transform_features"].outputs["label"].name,
            {names["transform_features"].inputs["examples"].name: [make_example(images[0], "red", "a.png")]},
        )
    np.testing.assert_allclose(scores, in_memory(task, images)[1], atol=1e-5)
    assert label.tolist() == [list(task.target.names).index("red")]


def test_variables_are_saved_as_variables(exported):
    task, directory = exported
    stored = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
    values = [stored.get_tensor(name) for name in stored.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    for variable in [*task.backbone.weights, *task.head.weights]:
        assert any(v.shape == variable.shape and np.array_equal(v, variable.numpy()) for v in values), variable.path


def test_it_says_what_it_takes_and_answers(exported):
    task, directory = exported
    assert exported_input(directory) == pictures(IMAGE_SIZE, (-1.0, 1.0))
    assert exported_target(directory).description() == task.target.description()
    assert exported_target(directory).names == task.target.names


def test_an_export_of_the_version_before_holds_images_and_one_label(exported, tmp_path):
    task, _ = exported
    old = tmp_path / "old" / "assets.extra"
    old.mkdir(parents=True)
    (old / "labels.txt").write_text("".join(f"{name}\n" for name in list(task.target.names)))
    assert exported_input(old.parent).kind == "image" and exported_target(old.parent).kind == "label"
    (old / "labels.txt").unlink()
    with pytest.raises(GraftError, match=r"graft\.json: missing; the train stage writes it"):
        exported_input(old.parent)


def test_labels_are_listed(exported):
    task, directory = exported
    assert (directory / "assets.extra" / "labels.txt").read_text().splitlines() == list(task.target.names)


@pytest.mark.parametrize("asked_for", [False, True])
def test_images_of_the_data_are_in_the_export_only_if_asked_for(exported, training_input, tmp_path, asked_for):
    task, directory = exported
    images = training_input.images["eval"]
    if asked_for:
        directory = tmp_path / "model"
        write(task, training_input, directory, contents=images[:2], warmup_contents=images[:2])
    written = b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())
    # A part from the middle, too: it would show an image that was written in another envelope.
    found = [image in written or image[500:600] in written for image in images]
    assert found == [asked_for and place < 2 for place in range(len(images))]


def test_an_export_that_answers_otherwise_is_refused(exported, training_input):
    task, directory = exported
    bias = task.head.trainable_variables[-1]
    before = bias.numpy()
    bias.assign(before + np.array([1, 0, 0], np.float32))
    try:
        with pytest.raises(GraftError, match=r"differ from the trained model's by .*; allowed: 1e-05"):
            export.compare_export(directory, task.backbone, task.head, task.target, training_input.images["eval"])
    finally:
        bias.assign(before)


def test_nothing_to_compare_with_is_refused(exported, training_input, tmp_path):
    with pytest.raises(GraftError, match="at least one image is needed to compare"):
        write(exported[0], training_input, tmp_path / "model", contents=[])
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("kind", ["label", "labels"])
def test_a_model_of_texts_takes_strings(training_input, tmp_path, kind):
    publish_text_encoder(tmp_path / "encoder")
    backbone = load_backbone(str(tmp_path / "encoder"), texts())
    head = build_head(3, backbone.feature_dim, HeadOptions(), 0)
    target = make_target(KINDS.options(kind)(), CLASSES)
    contents = [b"the sea is blue", b"green", "größer".encode()]
    folder = tmp_path / "model"
    export.export_model(backbone, head, target, training_input.transform, folder, contents, model_name="words")
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    assert served.structured_input_signature[1]["text"].dtype == tf.string
    answer = served(text=tf.constant(contents))
    expected = target.measured(head(backbone(tf.constant(contents)), training=False))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    assert served(text=tf.constant([], tf.string))["probabilities"].shape == (0, 3)
    assert exported_input(folder) == texts() and exported_target(folder).kind == kind
    with SavedModelPredictor(folder) as predictor:
        np.testing.assert_allclose(predictor.predict(contents), expected, atol=1e-5)
