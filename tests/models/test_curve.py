"""Curves of score against labels: what is drawn, what is trained alike, and what is said of it."""

import dataclasses

import numpy as np
import pytest
from two_domains import write_domains

from graft.models import curve
from graft.models.errors import GraftError
from graft.models.examples import SOURCE_DOMAIN, TARGET_DOMAIN
from graft.models.task import Split

TRAIN = {"epochs": 3, "batch_size": 8, "learning_rate": 0.02, "patience": 2}
FROZEN = {"frozen": {"method": "frozen"}}


@pytest.fixture(scope="module")
def comparison(training_input):
    return training_input.comparison(train=TRAIN, head={})


@pytest.fixture(scope="module")
def found(comparison):
    return curve.measure(comparison, FROZEN, [1, 5, 20, curve.ALL], [0, 1, 2], ["raw"])


def drawn(comparison, count, seed, **settings):
    made = curve._Curve(comparison, FROZEN, (0,), (), **{"steps": 10, "choose": "same", **settings})
    return made.draw(count, seed)


@pytest.mark.slow
def test_draws_are_nested_have_so_many_of_each_class_and_differ_by_seed(comparison):
    rows = {count: drawn(comparison, count, 0) for count in (1, 3, 6, curve.ALL)}
    labels = comparison.train.targets
    assert np.bincount(labels[rows[3].train]).tolist() == [3, 3, 3]
    assert np.bincount(comparison.eval.targets[rows[3].eval]).tolist() == [3, 3, 3]
    assert set(rows[1].train) < set(rows[3].train) < set(rows[6].train) < set(rows[None].train)
    assert set(rows[1].eval) < set(rows[3].eval) and len(rows[None].train) == 42 and len(rows[None].eval) == 18
    assert drawn(comparison, 3, 0).train.tolist() == rows[3].train.tolist() != drawn(comparison, 3, 1).train.tolist()
    assert len(drawn(comparison, 1, 0, choose="all").eval) == 18
    assert drawn(comparison, 15, 0) == "class 'blue' has 14 training examples"


@pytest.mark.slow
def test_points_have_every_contestant_under_every_seed(found):
    assert [point["labels"] for point in found["points"]] == [1, 5, None]
    assert [point["examples"] for point in found["points"]] == [3, 15, 42]
    assert [point["each"] for point in found["points"]] == [1, 5, 14] and found["unit"] == "labels a class"
    assert found["left_out"] == [{"labels": 20, "reason": "class 'blue' has 14 training examples"}]
    assert found["judged_on"] == 18 and found["score"] == "accuracy"
    for point in found["points"]:
        assert set(point["results"]) == {"frozen", "raw_linear_head"}
        for result in point["results"].values():
            assert len(result["per_seed"]) == 3 and result["min"] <= result["median"] <= result["max"]
            assert result["interval"][0] <= result["mean"] <= result["interval"][1]
        gain, results = point["gains"]["frozen"]["raw_linear_head"], point["results"]
        difference = results["frozen"]["mean"] - results["raw_linear_head"]["mean"]
        assert gain["mean"] == pytest.approx(difference) and gain["low"] <= gain["mean"] <= gain["high"]
        assert point["verdicts"]["frozen"] in (curve.HELPS, curve.HURTS, curve.UNDECIDED)


@pytest.mark.slow
def test_of_all_examples_a_solved_head_has_one_score_whatever_the_seed(found):
    last = found["points"][-1]["results"]["frozen"]
    assert len(set(last["per_seed"])) == 1 and last["interval"][0] == pytest.approx(last["interval"][1])


@pytest.mark.slow
def test_the_same_call_gives_the_same_curve(comparison, found):
    again = curve.measure(comparison, FROZEN, [5], [0, 1, 2], ["raw"])
    assert again["points"][0]["results"] == found["points"][1]["results"]


@pytest.mark.slow
def test_it_is_what_a_run_with_these_examples_would_score(comparison, found):
    from graft.models.references import transferred

    rows = drawn(comparison, 5, 1)
    part = dataclasses.replace(
        comparison, train=comparison.train.picked(rows.train), eval=comparison.eval.picked(rows.eval)
    )
    expected = transferred(part, 1).scores.mean()
    assert found["points"][1]["results"]["frozen"]["per_seed"][1] == pytest.approx(expected)


@pytest.mark.slow
def test_what_moves_takes_the_least_number_of_steps_and_scratch_as_many(comparison):
    made = curve._Curve(comparison, {}, (0,), ("scratch",), 20, "same")
    task = made._comparison(made.draw(2, 0), {"method": "fine_tune", "epochs": 2})
    # 6 examples are one step of an epoch, so that 20 steps take 20 epochs.
    assert task.settings.transfer["epochs"] == task.settings.train.epochs == task.settings.train.patience == 20
    of_recipe = made._comparison(made.draw(2, 0), {"method": "fine_tune", "recipe": "bit"})
    assert "epochs" not in of_recipe.settings.transfer and of_recipe.settings.transfer["recipe"] == "bit"
    whole = made._comparison(made.draw(curve.ALL, 0), {"method": "fine_tune", "epochs": 9})
    assert whole.settings.transfer["epochs"] == 9 and whole.settings.train.epochs == 4
    found = curve.measure(
        comparison, {"fine_tune": {"method": "fine_tune", "epochs": 2}}, [2], [0], ["scratch"], steps=2
    )
    assert set(found["points"][0]["results"]) == {"fine_tune", "scratch"}


@pytest.mark.slow
def test_numbers_are_scored_in_one_unit_at_every_point(training_input, comparison):
    from graft.models import targets
    from graft.models.settings import Settings

    values = comparison.train.features[:, :1].astype(np.float32)

    def numbers(split: Split) -> Split:
        return dataclasses.replace(split, targets=split.targets[:, None] + np.asarray(split.features[:, :1]))

    settings = Settings.model_validate(
        {**comparison.settings.model_dump(), "target": {"kind": "numbers", "columns": ["a"]}}
    )
    target = targets.make_target(settings.target, ["a"])
    task = dataclasses.replace(
        comparison,
        settings=settings,
        target=target,
        train=numbers(comparison.train),
        eval=numbers(comparison.eval),
        test=numbers(comparison.test),
    )
    assert values.std() > 0
    found = curve.measure(task, FROZEN, [2, 20, 100], [0, 1], [])
    assert found["unit"] == "percent of the training examples" and found["left_out"][0]["labels"] == 2
    assert [point["examples"] for point in found["points"]] == [8, 42] and found["statements"] == []
    # A draw in which a number is always the same teaches nothing: its point is left out.
    constant = dataclasses.replace(
        task,
        train=dataclasses.replace(task.train, targets=np.where(np.arange(42) == 7, 2, 1)[:, None].astype(np.float32)),
    )
    made = curve._Curve(constant, FROZEN, (0,), (), 10, "same")
    reasons = [made.draw(10, seed) for seed in range(4)]
    assert any("of 4 examples nothing can be learned (target: column 'a' is 1" in str(reason) for reason in reasons)
    # On all examples the unit is that of a run.
    from graft.models.references import transferred

    score = transferred(task, 0).scores.mean()
    assert found["points"][-1]["results"]["frozen"]["mean"] == pytest.approx(score, rel=1e-4)


@pytest.mark.slow
def test_with_two_domains_labels_are_counted_in_the_target_domain_and_the_source_stays(training_input, tmp_path):
    features = str(write_domains(training_input, tmp_path))
    task = training_input.comparison(train=TRAIN, head={}, features_path=features)
    made = curve._Curve(task, {}, (0,), ("raw",), 10, "same")
    rows = made.draw(2, 0)
    part = made._comparison(rows, {"method": "joint"})
    assert len(part.train.of(TARGET_DOMAIN)) == 6 and len(part.train.of(SOURCE_DOMAIN)) == 30
    assert np.bincount(part.train.of(TARGET_DOMAIN).targets).tolist() == [2, 2, 2]
    found = curve.measure(task, {"joint": {"method": "joint"}, **FROZEN}, [2, 5], [0], ["raw"])
    assert set(found["points"][0]["results"]) == {"joint", "frozen", "raw_linear_head"}
    assert found["left_out"] == [{"labels": 5, "reason": "class 'blue' has 4 training examples"}]


def test_halves_share_no_example_and_every_class_is_in_both(comparison):
    one, other = curve.halves(comparison.eval, comparison.target)
    assert len(one) + len(other) == 18 and not set(one.rows) & set(other.rows)
    assert np.bincount(one.targets).tolist() == np.bincount(other.targets).tolist() == [3, 3, 3]
    part = one.picked(np.array([0, 2]))
    assert part.rows.tolist() == one.rows[[0, 2]].tolist()
    assert np.array_equal(part.features[:], comparison.eval.features[one.rows[[0, 2]]])
    with pytest.raises(GraftError, match="split 'eval' has 3 examples; a curve needs at least 4"):
        curve.halves(comparison.eval.picked(np.arange(3)), comparison.target)


def point(labels, verdict, *gains):
    rivals = {str(i): {"mean": gain} for i, gain in enumerate(gains)}
    return {"labels": labels, "verdicts": {"m": verdict}, "gains": {"m": rivals}}


def test_what_is_said_of_a_method():
    points = [
        point(1, "helps", 0.2, 0.3),
        point(5, "helps", 0.4, 0.1),
        point(20, "undecided", 0.01),
        point(None, "hurts", -0.1),
    ]
    assert curve.said("m", points, "labels a class") == (
        "m is better than every model without transfer with 1 and 5 labels a class (+0.100 to +0.200); it is worse "
        "than a model without transfer with all labels a class (-0.100); it cannot be told from the best model without "
        "transfer with 20 labels a class (+0.010)."
    )
    assert curve.listed(points[2:], "percent of the training examples") == "20 and 100 percent of the training examples"
    assert curve.sureness(3).startswith("3 seeds: bars run from the lowest to the highest of them; the next draw of")
    assert "a probability of 50%" in curve.sureness(3) and curve.sureness(1).startswith("One seed:")


def test_a_verdict_is_by_the_weakest_of_the_gains():
    above, below, around = {"low": 0.1, "high": 0.2}, {"low": -0.2, "high": -0.1}, {"low": -0.1, "high": 0.1}
    assert curve.verdict([above, above]) == "helps" and curve.verdict([above, around]) == "undecided"
    assert curve.verdict([above, below]) == "hurts"


def test_a_summary_of_one_seed_has_no_interval_and_of_three_students():
    assert curve.summary(np.array([0.5]))["interval"] is None
    found = curve.summary(np.array([0.4, 0.5, 0.6]))
    # t of 2 degrees of freedom at 97.5 % is 4.3027, the standard error .1 / sqrt(3).
    assert found["interval"] == pytest.approx([0.5 - 0.24842, 0.5 + 0.24842], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"labels": [0]}, "--labels: received 0; allowed: whole numbers from 1, or all"),
        ({"labels": [5, 5]}, "--labels: a number stands twice"),
        ({"labels": []}, "at least one method, one number of labels"),
        ({"labels": [15]}, "--labels: no point has enough examples"),
        ({"chosen_references": ["row"]}, "--references: received row; allowed: some of raw, scratch"),
        ({"steps": 0}, "--steps: received 0"),
        ({"choose": "none"}, "--choose: received 'none'; allowed: same, all"),
        ({"contestants": {"coral": {"method": "coral"}}}, "'coral' learns without labels of the target"),
        ({"contestants": {"x": {"method": "frozn"}}}, "did you mean 'frozen'"),
    ],
)
def test_refusals(arguments, told, comparison):
    given = {"contestants": FROZEN, "labels": [1], "seeds": [0], "chosen_references": [], **arguments}
    with pytest.raises(GraftError, match=told):
        curve.measure(comparison, **given)
