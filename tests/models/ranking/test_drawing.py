"""The draw of a sample: shares of classes, rare ones, and what it is refused for."""

import numpy as np
import pytest

from graft.models import targets
from graft.models.errors import GraftError
from graft.models.ranking.drawing import draw, form_of


def test_forms_of_the_targets():
    options = {"label": {}, "labels": {}, "numbers": {"columns": ["a"]}}
    made = {
        kind: targets.make_target(targets.KINDS.options(kind).model_validate({"kind": kind, **given}))
        for kind, given in options.items()
    }
    assert {kind: form_of(one) for kind, one in made.items()} == {
        "label": "classes",
        "labels": "labels",
        "numbers": "numbers",
    }


def test_classes_keep_their_shares_and_rare_ones_four_examples():
    encoded = np.repeat([0, 1, 2], (600, 300, 5))
    drawn = draw(encoded, "classes", "abc", 90, seed=0)
    assert np.bincount(drawn.targets).tolist() == [60, 30, 4] and drawn.left_out == ()
    assert (np.diff(drawn.rows) > 0).all() and (encoded[drawn.rows] == drawn.targets).all()


def test_classes_with_too_few_examples_are_left_out_and_the_others_numbered_anew():
    encoded = np.repeat([0, 1, 2], (3, 40, 40))
    drawn = draw(encoded, "classes", ["rare", "b", "c"], 20, seed=0)
    assert drawn.left_out == ("rare",) and np.bincount(drawn.targets).tolist() == [10, 10]
    assert (encoded[drawn.rows] == drawn.targets + 1).all()


def test_all_examples_where_there_are_no_more():
    encoded = np.repeat([0, 1], (20, 10))
    assert draw(encoded, "classes", "ab", 500, 0).rows.tolist() == list(range(30))
    numbers = np.arange(30.0)[:, None]
    assert draw(numbers, "numbers", "a", 500, 0).rows.tolist() == list(range(30))


def test_every_label_that_can_be_measured_is_on_four_examples():
    encoded = np.zeros((400, 3), np.float32)
    encoded[::2, 0] = encoded[:5, 1] = encoded[:2, 2] = 1
    drawn = draw(encoded, "labels", ["often", "rare", "never"], 40, seed=0)
    assert len(drawn.rows) == 40 and drawn.left_out == ("never",)
    assert drawn.targets.sum(axis=0).min() >= 4 and drawn.targets.shape == (40, 2)


def test_a_seed_repeats_and_another_draws_others():
    encoded = np.arange(400) % 4
    rows = [draw(encoded, "classes", "abcd", 40, seed).rows.tolist() for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]


@pytest.mark.parametrize(
    ("encoded", "form", "count", "told"),
    [
        (np.arange(100) % 2, "classes", 5, "--sample: received 5; allowed: at least 8"),
        (np.arange(100) % 10, "classes", 20, "--sample: received 20; allowed: at least 40, 4 of each of 10 classes"),
        (np.repeat([0, 1], (30, 2)), "classes", 20, "1 of 2 classes have 4 training examples"),
        (np.eye(30, 2), "labels", 20, "no label is on 4 training examples"),
        (np.ones((5, 1)), "numbers", 20, "the training split has 5 examples; a ranking needs at least 8"),
    ],
)
def test_refusals(encoded, form, count, told):
    with pytest.raises(GraftError, match=told):
        draw(
            encoded,
            form,
            [str(i) for i in range(10)][: 10 if form == "classes" and encoded.max() == 9 else 2],
            count,
            0,
        )
