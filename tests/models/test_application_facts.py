"""The table of sizes, held against Keras, which says the shapes of weights without making any."""

import math

import keras
import pytest

from graft.models import application_facts
from graft.models.application_inputs import PREFIX

# Quick to build, of most families; the table was made in one go by `measured`.
QUICK = ["MobileNet", "MobileNetV2", "MobileNetV3Small", "DenseNet121", "VGG16", "VGG19"]
QUICK += ["ResNet50", "ResNet101", "ResNet50V2", "ConvNeXtTiny", "ConvNeXtSmall", "EfficientNetV2B0"]


def measured(name: str) -> tuple[int, int]:
    with keras.StatelessScope():  # weights have shapes there, and no values
        network = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(96, 96, 3))
    return sum(math.prod(weight.shape) for weight in network.weights), network.output_shape[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_sizes_are_those_of_keras(name):
    found = application_facts.facts(f"{name}?weights=none")
    assert (found.parameters, found.feature_dim) == measured(name)
    assert found.bytes == 4 * found.parameters


def test_every_network_and_no_other_has_facts():
    handles = dict(application_facts.every())
    assert set(handles) == {PREFIX + name for name in dir(keras.applications) if name[0].isupper()}
    assert set(application_facts._LICENCES) <= set(application_facts._SIZES)
    assert application_facts.facts("backbone/1") is application_facts.facts("applications:NoSuchNet") is None


def test_a_network_has_its_size_range_and_licence():
    found = application_facts.facts("VGG16")
    assert (found.image_size, found.value_range, found.licence) == ((224, 224), (0.0, 255.0), "CC-BY-4.0")
    assert application_facts.facts("applications:ResNet152V2").licence is None
