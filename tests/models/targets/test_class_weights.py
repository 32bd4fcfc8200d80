"""Weights of classes in the loss, and settings that give none."""

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.targets.class_weights import class_weights

LABELS, NAMES = np.array([0, 0, 0, 1]), ["cat", "dog"]


def test_class_weights():
    assert class_weights("none", LABELS, NAMES).tolist() == [1, 1]
    np.testing.assert_allclose(class_weights("balanced", LABELS, NAMES), [4 / 6, 2])
    assert class_weights({"dog": 3.0}, LABELS, NAMES).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dgo": 2.0}, "target.class_weights: 'dgo' is not a class; allowed: cat, dog"),
        ({"dog": 0.0}, "target.class_weights.dog: received 0.0; allowed: a number above"),
    ],
    ids=["unknown class", "zero"],
)
def test_unusable_class_weights_are_refused(option, message):
    with pytest.raises(GraftError, match=message):
        class_weights(option, LABELS, NAMES)
