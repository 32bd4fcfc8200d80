"""Candidate and rival are compared on what both know."""

import numpy as np
import pytest

from graft.components.predict.predictions import Predictions
from graft.components.quality_gate.rivals import compare


def answers(classes: list[str], labels: list[str], predicted: list[str], second: str | None = None) -> Predictions:
    """A model that is sure of `predicted`; `second` is what it finds next probable."""
    rows = np.full((len(labels), len(classes)), 0.01, np.float32)
    for row, name in enumerate(predicted):
        if second is not None:
            rows[row, classes.index(second)] = 0.3
        rows[row, classes.index(name)] = 0.6
    return Predictions(classes, labels, rows, [b""] * len(labels), {}, 1.0)


def test_with_one_list_of_classes_all_images_count():
    labels = ["a", "a", "b", "b"]
    found = compare(answers(["a", "b"], labels, ["a", "b", "b", "b"]), answers(["b", "a"], labels, list("aabb")))
    assert found["accuracy"] == 1 and found["added"] == found["removed"] == []
    assert found["shared"]["classes"] == 2 and found["shared"]["examples"] == 4
    assert (found["shared"]["candidate"], found["shared"]["rival"]) == (0.75, 1.0)
    assert found["shared"]["gap"] == 0.25
    assert found["shared"]["beyond_luck"] == 0, "one image of four is luck"


def test_a_name_that_the_rival_never_knew_is_not_its_error():
    labels = ["a", "b", "new", "new"]
    found = compare(answers(["a", "b", "new"], labels, labels), answers(["a", "b"], labels, ["a", "b", "a", "a"]))
    assert found["accuracy"] == 0.5, "over all images they are"
    assert found["added"] == ["new"]
    assert found["shared"]["examples"] == 2
    assert found["shared"]["rival"] == found["shared"]["candidate"] == 1


def test_the_candidate_is_not_blamed_for_a_class_that_only_it_knows():
    """Asked which of a and b it is, it says a; that it finds a third one likelier still says nothing against it."""
    labels = ["a", "a"]
    candidate = answers(["a", "b", "new"], labels, ["new", "new"], second="a")
    found = compare(candidate, answers(["a", "b"], labels, ["a", "b"]))
    assert found["shared"]["candidate"] == 1 and found["shared"]["rival"] == 0.5


def test_without_a_shared_class_nothing_is_compared():
    found = compare(answers(["a", "b"], ["a", "b"], ["a", "b"]), answers(["c", "d"], ["a", "b"], ["c", "d"]))
    assert found["accuracy"] == 0
    assert found["added"] == ["a", "b"] and found["removed"] == ["c", "d"]
    assert found["shared"] == {
        "classes": 0,
        "examples": 0,
        "candidate": None,
        "rival": None,
        "gap": None,
        "interval": None,
        "beyond_luck": None,
    }


def test_a_rival_without_numbers_is_wrong():
    labels = ["a"] * 30
    broken = answers(["a", "b"], labels, labels)
    broken.probabilities[:] = np.nan
    found = compare(answers(["a", "b"], labels, labels), broken)
    assert found["shared"]["rival"] == 0 and found["shared"]["gap"] == -1
    assert found["shared"]["beyond_luck"] == pytest.approx(-1)
