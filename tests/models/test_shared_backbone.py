"""One backbone for all that only look at it, and never for who trains."""

import gc
import json
import pathlib
import shutil
import weakref

import keras
import numpy as np
import pytest
from small_inputs import pictures
from training_input import IMAGE_SIZE, weights

from graft.models import shared_backbone as shared
from graft.models.backbone import check_backbone, scratch_backbone
from graft.models.features import extract_features
from graft.models.options import BackboneOptions
from graft.models.trainer import run_fn

INPUT = pictures(IMAGE_SIZE, (-1.0, 1.0))


@pytest.fixture(params=["backbone", "hub_backbone"])
def options(request, training_input, tmp_path) -> BackboneOptions:
    """A copy of a backbone of its own, so that it may be changed."""
    source = getattr(training_input, request.param)
    path = tmp_path / source.name
    shutil.copytree(source, path) if source.is_dir() else shutil.copy(source, path)
    return BackboneOptions(handle=str(path))


def test_the_same_settings_and_content_give_the_same_object(options):
    first = shared.shared_backbone(options, INPUT)
    assert shared.shared_backbone(options, pictures(IMAGE_SIZE, (-1.0, 1.0))) is first
    assert shared.shared_backbone(options, pictures(IMAGE_SIZE, (0.0, 1.0))) is not first


def test_another_content_at_the_same_place_is_another_backbone(options, training_input):
    first = shared.shared_backbone(options, INPUT)
    if options.handle.endswith(".keras"):
        model = keras.models.load_model(options.handle)
        model.save(options.handle)  # other times in the archive, so other bytes
    else:
        pathlib.Path(options.handle, "README").write_text("a file more")
    second = shared.shared_backbone(options, INPUT)
    assert second is not first and second.identity != first.identity


@pytest.mark.slow
def test_only_one_is_held(options):
    first = weakref.ref(shared.shared_backbone(options, INPUT))
    shared.shared_backbone(options, pictures(IMAGE_SIZE, (0.0, 1.0)))
    gc.collect()
    assert first() is None


def test_nobody_can_train_it(options):
    backbone = shared.shared_backbone(options, INPUT)
    with pytest.raises(RuntimeError, match="shared with others"):
        backbone.unfreeze(0.5)
    backbone.unfreeze(0.0)
    assert not backbone.trainable_variables
    own = shared.own_backbone(options, INPUT)
    assert own is not backbone and own.unfreeze(1.0) > 0


@pytest.mark.slow
def test_what_looks_at_it_leaves_it_as_it_was(options, training_input):
    backbone = shared.shared_backbone(options, INPUT)
    before = [variable.numpy() for variable in backbone.variables]
    images = training_input.images["eval"]
    extract_features(backbone, images)
    check_backbone(backbone, images[:4])
    scratch = scratch_backbone(backbone, 1)
    scratch.unfreeze(1.0)
    for variable, value in zip(backbone.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert shared.shared_backbone(options, INPUT) is backbone


@pytest.mark.slow
@pytest.mark.parametrize("method", [{"method": "frozen"}, {"method": "fine_tune", "epochs": 1, "head_epochs": 1}])
def test_a_training_between_changes_nothing_and_starts_from_what_was_published(training_input, tmp_path, method):
    """The trained model is the same whether the backbone was shared before or not."""
    options = BackboneOptions(handle=str(training_input.backbone))
    shared.own_backbone(options, INPUT)  # nothing is shared
    run_fn(training_input.fn_args(tmp_path / "alone", transfer=method))
    backbone = shared.shared_backbone(options, INPUT)
    before = weights(backbone)
    run_fn(training_input.fn_args(tmp_path / "shared", transfer=method))
    for value, now in zip(before, weights(backbone), strict=True):
        np.testing.assert_array_equal(value, now)
    for value, now in zip(before, weights(shared.shared_backbone(options, INPUT)), strict=True):
        np.testing.assert_array_equal(value, now)
    alone, together = (
        json.loads((tmp_path / name / "run" / "history.json").read_text()) for name in ("alone", "shared")
    )
    for history in (alone, together):
        for epoch in [*history["epochs"], *history["path"]]:
            epoch.pop("seconds", None)
    assert alone == together
