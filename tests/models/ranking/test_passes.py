"""A pass of a candidate: its features, and its own classifier's answers where the file has one."""

import keras
import numpy as np
import pytest
from training_input import IMAGE_SIZE, INPUT

from graft.models.backbone import configured_backbone
from graft.models.errors import GraftError
from graft.models.features import extract_features
from graft.models.inputs import make_input, parse_options
from graft.models.options import BackboneOptions
from graft.models.ranking import compare, passes
from graft.models.ranking.drawing import Drawn


@pytest.fixture(scope="module")
def image():
    return make_input(parse_options(INPUT))


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    """The same network with a softmax, and with logits, in .keras files."""
    folder = tmp_path_factory.mktemp("classifiers")
    for name, activation in (("softmax", "softmax"), ("logits", None)):
        keras.utils.set_random_seed(0)
        images = keras.Input((*IMAGE_SIZE, 3))
        maps = keras.layers.Conv2D(6, 3, strides=2, name="maps")(images)
        vector = keras.layers.GlobalAveragePooling2D(name="vector")(maps)
        keras.Model(images, keras.layers.Dense(4, activation=activation, name="top")(vector)).save(
            folder / f"{name}.keras"
        )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("layer", ("vector", "maps"))
def test_features_and_probabilities_of_one_pass(layer, classifiers, image, training_input):
    contents = training_input.images["train"][:9]
    found = {}
    for name in ("softmax", "logits"):
        options = BackboneOptions(handle=str(classifiers / f"{name}.keras"), feature_layer=layer)
        features, found[name] = passes.run(options, image, contents)
        expected = extract_features(configured_backbone(options, image), contents)
        np.testing.assert_allclose(features, expected, atol=1e-5)
    np.testing.assert_allclose(found["softmax"], found["logits"], atol=1e-5)
    np.testing.assert_allclose(found["softmax"].sum(axis=1), 1, atol=1e-5)
    assert found["softmax"].shape == (9, 4)


@pytest.mark.slow
def test_a_feature_vector_has_no_classifier(image, training_input):
    contents = training_input.images["train"][:9]
    for handle in (training_input.backbone, training_input.hub_backbone):
        features, probabilities = passes.run(BackboneOptions(handle=str(handle)), image, contents)
        assert features.shape == (9, 16) and probabilities is None


@pytest.mark.slow
def test_what_a_candidate_fails_with_is_told(image, training_input, classifiers):
    contents = training_input.images["train"]
    drawn = Drawn(np.arange(42), training_input.labels["train"], "classes")

    def measure(scores=("knn", "leep"), **options):
        return compare.measure(BackboneOptions(**options), image, drawn, contents, scores, 0)

    assert "does not exist" in measure(handle="nowhere.keras").error
    assert "ends in the classifier 'top'" in measure(handle=str(classifiers / "softmax.keras")).error
    sound = measure(handle=str(training_input.backbone))
    assert sound.error is None and sound.features == 16 and set(sound.scores) == {"knn"}
    assert sound.why_not == {"leep": "needs a classifier"} and set(sound.seconds) == {"pass", "knn"}
    assert (
        "no score could be taken (leep: needs a classifier)"
        in measure(("leep",), handle=str(training_input.backbone)).error
    )
    with pytest.raises(GraftError, match="has no layer 'absent'"):
        passes.run(BackboneOptions(handle=str(training_input.backbone), feature_layer="absent"), image, contents)
