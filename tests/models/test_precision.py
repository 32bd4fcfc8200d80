"""Mixed precision touches the backbone's computation only, and only while it is asked for."""

import numpy as np
import pytest
import tensorflow as tf
from training_input import IMAGE_SIZE

from graft.models import precision
from graft.models.transfer import METHODS


@pytest.fixture
def devices(monkeypatch):
    """Pretends that GPUs of the given compute capabilities are there."""

    def pretend(*capabilities):
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: list(range(len(capabilities))))
        details = [{"compute_capability": found} for found in capabilities]
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details[gpu])

    return pretend


@pytest.mark.parametrize(
    ("option", "capabilities", "policy"),
    [
        ("auto", [], "float32"),
        ("on", [], "mixed_bfloat16"),
        ("off", [(9, 0)], "float32"),
        ("auto", [(9, 0)], "mixed_bfloat16"),
        ("auto", [(7, 5)], "mixed_float16"),
        ("auto", [(9, 0), (7, 0)], "mixed_float16"),
        ("auto", [(6, 1)], "float32"),
        ("on", [(6, 1)], "mixed_float16"),
    ],
)
def test_policy_by_option_and_gpu(devices, option, capabilities, policy):
    devices(*capabilities)
    assert precision.choose_policy(option) == policy


def test_backbone_computes_in_16_bit_inside_and_as_before_outside(training_input):
    backbone = training_input.task().backbone
    images = np.random.default_rng(0).uniform(-1, 1, (2, *IMAGE_SIZE, 3)).astype(np.float32)
    before = backbone(images).numpy()
    with precision.using(backbone, "mixed_bfloat16") as policy:
        assert policy == "mixed_bfloat16"
        inside = tf.cast(backbone(images), tf.float32)
        np.testing.assert_array_equal(inside, tf.cast(tf.cast(inside, tf.bfloat16), tf.float32))
        assert 0 < np.abs(inside - before).max() < 0.05
        assert all(variable.dtype == "float32" for variable in backbone.variables)
    np.testing.assert_array_equal(backbone(images).numpy(), before)
    with precision.using(backbone, "float32") as policy:
        assert policy == "float32"
        np.testing.assert_array_equal(backbone(images).numpy(), before)
    with precision.using(None, "mixed_bfloat16") as policy:
        assert policy == "float32"


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_fine_tuning_in_16_bit_learns_and_leaves_float32_behind(training_input, monkeypatch, policy):
    monkeypatch.setattr(precision, "choose_policy", lambda option: policy)
    method = {"method": "fine_tune", "epochs": 2, "head_epochs": 1, "learning_rate": 1e-3}
    task = training_input.task(method, mixed_precision="on")
    before = [variable.numpy() for variable in task.backbone.variables]
    history = METHODS.module("fine_tune").fit(task)
    assert history.best["phase"] == "fine_tune"
    assert any((old != new.numpy()).any() for old, new in zip(before, task.backbone.variables, strict=True))
    assert {layer.dtype_policy.name for layer in task.backbone.body._flatten_layers()} == {"float32"}
