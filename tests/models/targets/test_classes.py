"""What targets of classes share: names that may be, counts that can be learned, the vocabulary, names in settings."""

import pytest

from graft.models.errors import GraftError
from graft.models.targets import load_target, make_target, parse_options
from graft.models.targets.label import Options, Target


def make(names: list[str], **options) -> Target:
    return make_target(Options(**options), names)


@pytest.mark.parametrize(
    ("names", "fault"),
    [(("a",), "at least 2 names"), (("a", "a"), "each once"), (("a", "b\t"), "a control character")],
)
def test_class_names_of_no_use_are_refused(names, fault):
    with pytest.raises(ValueError, match=fault):
        Options(class_names=names)


def test_counts_that_can_be_learned_and_measured():
    every = {"cat": 5, "dog": 5}
    assert make([]).check_counts({"train": every, "eval": every, "test": every}, "images").problem is None


@pytest.mark.parametrize(
    ("train", "evaluated", "test", "problem", "other_split", "warning"),
    [
        ({"cat": 5}, {"cat": 1}, {"cat": 1}, "one class only ('cat'); at least 2 are needed", False, None),
        (
            {"cat": 5},
            {"cat": 1, "dog": 2},
            {"cat": 1},
            "'dog' has no image in train (train 0, eval 2, test 0). Add images of it there or leave it out",
            True,
            None,
        ),
        ({"cat": 5, "dog": 5}, {"cat": 1}, {"cat": 1}, None, False, "no image of 'dog' in eval and test"),
    ],
)
def test_counts_that_cannot(train, evaluated, test, problem, other_split, warning):
    found = make([]).check_counts({"train": train, "eval": evaluated, "test": test}, "images")
    assert (found.problem is None) == (problem is None) and (problem or "") in (found.problem or "")
    assert found.other_split is other_split
    assert (found.warning is None) == (warning is None) and (warning or "") in (found.warning or "")


def test_names_come_from_the_vocabulary_in_its_order(tmp_path):
    assets = tmp_path / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    (assets / "label").write_text("owl\ncat\n")
    assert load_target(parse_options({}), tmp_path).names == ("owl", "cat")
    for content, message in (("cat\ncat\n", "listed twice"), ("cat\n", "found 1 class")):
        (assets / "label").write_text(content)
        with pytest.raises(GraftError, match=message):
            load_target(Options(), tmp_path)
    (assets / "label").unlink()
    with pytest.raises(GraftError, match="no label vocabulary"):
        load_target(Options(), tmp_path)


def test_settings_and_limits_name_classes():
    found = make([], class_weights={"cat": 2.0}).named({"precision": {"dog": 0.5}, "recall": 0.5, "accuracy": 0.9})
    assert {key: set(names) for key, names in found.items()} == {
        "target.class_weights": {"cat"},
        "gates.precision": {"dog"},
    }
    assert make([]).named({}) == {}
