"""Two models side by side: paired or not, what is said of it, and intervals that cover what they claim."""

import dataclasses
import hashlib

import numpy as np
import pytest

from graft.models import side_by_side
from graft.models.errors import GraftError
from graft.models.side_by_side import Judged
from graft.models.targets import base, make_target, parse_options
from graft.models.targets.label import Target as Label

NAMES = ("cat", "dog", "hen")


def digests(count: int, begin: int = 0) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(begin, begin + count)]


def label(truth: np.ndarray, answered: np.ndarray, begin: int = 0, names=NAMES) -> Judged:
    target = make_target(parse_options({"kind": "label"}), names)
    return Judged(target, truth, np.eye(len(names), dtype=np.float32)[answered], digests(len(truth), begin))


def labels(truth: np.ndarray, answers: np.ndarray, names=NAMES) -> Judged:
    return Judged(make_target(parse_options({"kind": "labels"}), names), truth, answers, digests(len(truth)))


def numbers(truth: np.ndarray, answers: np.ndarray, names=("height", "weight")) -> Judged:
    facts = {"mean": [0.0] * len(names), "std": [1.0] * len(names)}
    target = make_target(parse_options({"kind": "numbers", "columns": names}), names, facts)
    return Judged(target, truth.astype(np.float32), answers.astype(np.float32), digests(len(truth)))


def flawed(rng, truth: np.ndarray, share: float) -> np.ndarray:
    return np.where(rng.random(len(truth)) < share, (truth + 1) % 3, truth)


def test_the_same_test_split_is_compared_by_example_and_another_is_not():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 400)
    base = flawed(rng, truth, 0.3)
    better = np.where(rng.random(400) < 0.25, truth, base)
    paired = side_by_side.compare(label(truth, base), label(truth, better))
    assert paired["test"] == {"first": 400, "second": 400, "common": 400, "relabelled": 0, "pairing": "paired"}
    row = paired["figures"][paired["headline"]]
    assert row["difference"]["value"] == pytest.approx((better == truth).mean() - (base == truth).mean())
    assert row["difference"]["distinguishable"]
    other = side_by_side.compare(label(truth, base), label(truth, better, begin=1000))
    assert other["test"]["pairing"] == "unpaired" and "unpaired" in other["statement"]
    apart = other["figures"][paired["headline"]]["difference"]
    assert apart["value"] == pytest.approx(row["difference"]["value"])
    width = row["difference"]["interval"][1] - row["difference"]["interval"][0]
    assert apart["interval"][1] - apart["interval"][0] > 1.3 * width


def test_test_splits_that_overlap_are_compared_on_what_is_in_both():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 110)
    answered = flawed(rng, truth, 0.2)
    found = side_by_side.compare(label(truth[:100], answered[:100]), label(truth[10:], truth[10:], begin=10))
    assert found["test"]["pairing"] == "common" and found["test"]["common"] == 90
    assert "test splits differ" in found["statement"]
    value = found["figures"]["accuracy"]["first"]["value"]
    assert value == pytest.approx((answered[10:100] == truth[10:100]).mean())


def test_an_order_of_examples_decides_nothing():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 60)
    one, other = label(truth, flawed(rng, truth, 0.3)), label(truth, flawed(rng, truth, 0.2))
    found, turned = side_by_side.compare(one, other), side_by_side.compare(one.taken(rng.permutation(60)), other)
    assert found == turned


def test_a_label_that_was_mended_counts_for_both():
    truth = np.array([0, 1, 2] * 10)
    mended = truth.copy()
    mended[0] = 1
    found = side_by_side.compare(label(truth, truth), label(mended, mended))
    assert found["test"]["relabelled"] == 1 and "another label" in found["statement"]
    row = found["figures"]["accuracy"]
    assert row["first"]["value"] == pytest.approx(29 / 30) and row["second"]["value"] == 1.0
    assert not row["difference"]["distinguishable"]


def test_classes_that_one_model_never_knew_are_left_out():
    truth = np.array([0, 1, 2] * 20)
    found = side_by_side.compare(label(truth % 2, truth % 2, names=NAMES[:2]), label(truth, truth))
    assert found["names"] == {"shared": ["cat", "dog"], "only_first": [], "only_second": ["hen"]}
    assert set(found["parts"]) == {"cat", "dog"} and "hen" in found["statement"]
    with pytest.raises(GraftError, match="nothing in common"):
        side_by_side.compare(label(truth % 2, truth % 2, names=("ox", "owl")), label(truth, truth))
    with pytest.raises(GraftError, match="answers label, the second numbers"):
        side_by_side.compare(label(truth, truth), numbers(np.ones((3, 2)), np.ones((3, 2))))


def test_every_target_has_figures_parts_and_the_values_of_its_own_figures():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 90)
    many = (rng.random((90, 3)) < 0.4).astype(np.float32)
    sizes = rng.normal(size=(90, 2)).astype(np.float32)
    sides = {
        "label": [label(truth, flawed(rng, truth, share)) for share in (0.3, 0.2)],
        "labels": [
            labels(many, (0.6 * many + 0.4 * rng.random((90, 3))).round(2).astype(np.float32)) for _ in range(2)
        ],
        "numbers": [numbers(sizes, sizes + rng.normal(0, 0.1, (90, 2))) for _ in range(2)],
    }
    for kind, (one, other) in sides.items():
        found = side_by_side.compare(one, other)
        figures = other.target.figures(other.encoded, other.answers)
        assert other.target.metrics[0] == other.target.headline == found["headline"] and kind == other.target.kind
        assert set(other.target.metrics) - set(found["figures"]) <= {"calibration_error", "examples"}
        for name, row in found["figures"].items():
            assert row["second"]["value"] == pytest.approx(figures[name]), name
            assert row["second"]["interval"][0] < row["second"]["value"] <= row["second"]["interval"][1]
        parts = figures.get("per_class") or figures["per_column"]
        key = {"recall": "recall", "absolute error": "mean_absolute_error"}[found["part_score_name"]]
        for name, row in found["parts"].items():
            assert row["second"]["value"] == pytest.approx(parts[name][key]), name


def test_answers_that_are_no_numbers_leave_a_figure_and_no_fault():
    sizes = np.arange(10.0)[:, None] * [1, 2]
    broken = sizes.copy()
    broken[0] = np.nan
    found = side_by_side.compare(numbers(sizes, sizes), numbers(sizes, broken))
    assert found["parts"]["height"]["examples"] == [9, 9]
    constant = side_by_side.compare(
        numbers(np.ones((5, 2)), np.ones((5, 2))), numbers(np.ones((5, 2)), np.ones((5, 2)))
    )
    assert constant["figures"]["r2"]["difference"] == {"value": None, "interval": None, "distinguishable": None}


def test_few_examples_all_on_one_side_prove_nothing():
    truth = np.zeros(12, int)
    wrong = truth.copy()
    wrong[:3] = 1  # McNemar's exact test of 3 to 0 says p = 0.25
    found = side_by_side.compare(label(truth, wrong), label(truth, truth))
    assert not found["figures"]["accuracy"]["difference"]["distinguishable"]
    assert not found["parts"]["cat"]["difference"]["distinguishable"]


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
def test_intervals_of_differences_cover(paired):
    """Of 300 test splits each, the interval of 95 % holds the true difference in 92 % at the least."""
    rng, draws, examples = np.random.default_rng(4), 300, 120
    covered = {"accuracy": 0, "macro_f1": 0, "cat": 0}
    shares = (0.6, 0.25, 0.15)
    cells = {"both": 0.65, "first": 0.08, "second": 0.16, "none": 0.11}

    def drawn(count):
        truth = rng.choice(3, count, p=shares)
        cell = rng.choice(4, count, p=list(cells.values()))
        wrong = (truth + rng.integers(1, 3, count)) % 3
        return truth, np.where(cell <= 1, truth, wrong), np.where((cell == 0) | (cell == 2), truth, wrong)

    truth, one, other = drawn(400_000)
    names = [label(truth[:1], truth[:1]).target] * 2
    large = [
        t.weighed(truth, np.eye(3, dtype=np.float32)[a], np.ones((1, len(truth))))
        for t, a in zip(names, (one, other), strict=True)
    ]
    true = {name: float(large[1][name][0] - large[0][name][0]) for name in ("accuracy", "macro_f1")}
    true["cat"] = true["accuracy"]
    for _ in range(draws):
        truth, one, other = drawn(examples)
        again, _, rest = (truth, one, other) if paired else drawn(examples)
        found = side_by_side.compare(label(truth, one), label(again, rest, begin=0 if paired else 10_000))
        assert found["test"]["pairing"] == ("paired" if paired else "unpaired")
        for name in covered:
            low, high = (found["parts"] if name == "cat" else found["figures"])[name]["difference"]["interval"]
            covered[name] += low <= true[name] <= high
    assert all(0.92 <= count / draws <= 0.99 for count in covered.values()), covered


def test_groups_of_examples_give_nearly_the_same_interval(monkeypatch):
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 3, 990)
    one, other = label(truth, flawed(rng, truth, 0.3)), label(truth, flawed(rng, truth, 0.25))
    alone = side_by_side.compare(one, other)["figures"]
    monkeypatch.setattr(side_by_side, "_MOST_ALONE", 100)
    grouped = side_by_side.compare(one, other)["figures"]
    for name, row in alone.items():
        widths = [np.diff(found["difference"]["interval"])[0] for found in (row, grouped[name])]
        assert grouped[name]["difference"]["value"] == row["difference"]["value"]
        assert widths[1] == pytest.approx(widths[0], rel=0.15)


def test_a_target_of_another_package_is_compared_by_its_scores():
    class Plain(Label):
        weighed, part_scores, narrowed = base.Target.weighed, base.Target.part_scores, base.Target.narrowed
        truth_among = base.Target.truth_among

    def plain(truth, answered, names=NAMES):
        made = label(truth, answered, names=names)
        return dataclasses.replace(made, target=Plain(made.target.options, names))

    truth = np.array([0, 1, 2] * 10)
    found = side_by_side.compare(plain(truth, np.zeros(30, int)), plain(truth, truth))
    assert found["parts"] == {} and list(found["figures"]) == [Plain.score_name]
    assert found["figures"][Plain.score_name]["difference"]["value"] == pytest.approx(2 / 3)
    with pytest.raises(GraftError, match="are measured all together"):
        side_by_side.compare(plain(truth % 2, truth % 2, NAMES[:2]), plain(truth, truth))
