"""Quality by labels that came late: each counts once, and a fall is seen against the reference."""

import collections
import dataclasses
import json

import numpy as np
import pytest
import scipy.stats
from drift_samples import (
    CLASSES,
    MODEL,
    NOON,
    examples,
    look,
    make_store,
    options,
    put_labels,
    reference,
    request,
    write_log,
)

from graft.models import targets
from graft.models.signals import quality
from graft.models.signals.histogram import Numbers
from graft.monitoring.drift import labelled, results
from graft.monitoring.drift.judging import Memory
from graft.monitoring.drift.labelled import Scored
from graft.monitoring.drift.statistics import Form, p_value, share_interval
from graft.monitoring.drift.watched import Watched


@pytest.fixture
def root(tmp_path):
    make_store(tmp_path)
    (tmp_path / "log").mkdir()
    return tmp_path


def asked(root, rows: int, seed: int, wrong: float = 0.0) -> dict[str, str]:
    """Logs requests; returns their true classes by id, a share of them turned to the other class."""
    rng = np.random.default_rng(seed)
    contents, answers, truth = examples(rows, rng)
    truth = np.where(rng.random(rows) < wrong, answers.argmin(axis=1), truth)
    ids = [f"q{seed}-{number}" for number in range(rows)]
    write_log(
        root / "log",
        [request(ids[n], [contents[n]], answers[n : n + 1], NOON - 9000 + n) for n in range(rows)],
    )
    return {name: CLASSES[place] for name, place in zip(ids, truth, strict=True)}


def of_labels(found) -> list[results.Window]:
    return [window for window in found.windows if window.kind == "labels"]


def test_labels_are_scored_once_and_a_fall_is_an_alarm(root):
    put_labels(root, asked(root, 400, 1))
    [window] = of_labels(look(root))
    assert not window.drifted and (window.rows, window.requests, window.reason) == (400, 400, "labels")
    kept = reference().quality
    assert window.quality.low < kept["mean"] < window.quality.high and kept["mean"] == pytest.approx(0.85, abs=0.03)
    found = look(root)
    assert not found.windows and found.totals["labels_scored"] == 400
    put_labels(root, asked(root, 400, 2, wrong=0.2))
    [window] = of_labels(look(root))
    assert window.drifted and window.in_row["quality"] == 1
    [alarm] = window.alarms
    assert (alarm.signal, alarm.group) == ("score", "quality") and alarm.effect == pytest.approx(0.17, abs=0.08)


def test_labels_wait_until_they_are_enough_or_old(root):
    put_labels(root, asked(root, 150, 1))
    assert not of_labels(look(root))
    [window] = of_labels(look(root, now=NOON + 90_000))
    assert window.rows == 150 and window.number == 2, "looks at requests and at labels share one budget"


def test_labels_come_in_any_order_and_what_cannot_be_used_is_counted(root):
    truth = asked(root, 30, 1)
    rows = [{"request_id": name, "label": label} for name, label in truth.items()]
    odd = [
        {"request_id": "q1-0", "row": 1, "label": "rose"},
        {"request_id": "nobody", "label": "rose"},
        {"request_id": "later-0", "label": "tulip"},
    ]
    put_labels(root, [*rows[:20], *odd])
    found = look(root)
    assert (found.waiting_labels, found.totals["labels_scored"], found.totals["labels_beyond"]) == (2, 20, 1)
    write_log(root / "log", [request("later-0", [b"x"], np.array([[0.2, 0.8]]), NOON - 100)])
    put_labels(root, [{**rows[20], "label": "daisy"}, *rows[21:]])
    found = look(root)
    assert (found.waiting_labels, found.totals["labels_scored"], found.totals["labels_unusable"]) == (1, 30, 1)


def test_labels_of_a_version_without_reference_and_of_unlogged_answers_are_counted(root):
    answer = np.array([[0.2, 0.8]])
    write_log(
        root / "log",
        [
            request("a", [b"x"], answer, NOON, version=9),
            request("b", [b"x"], answer, NOON, outputs={}),
            request("c", [b"x"], answer, NOON, version=None),
        ],
    )
    put_labels(root, dict.fromkeys("abc", "rose"))
    totals = look(root).totals
    assert totals["labels_unknown"] == 2 and totals["labels_unanswered"] == 1
    assert "labels_unknown" in look(root).totals and look(root).totals == totals


def watched(kind: str, names: tuple[str, ...], truth: np.ndarray, answers: np.ndarray) -> Watched:
    target = targets.make_target(
        targets.parse_options({"kind": kind} | ({"columns": list(names)} if kind == "numbers" else {})), names
    )
    if kind == "numbers":
        target = target.fitted(truth)
    signals = {
        name: Numbers.fit(name, "", values)
        for name, values in target.signals(answers).items()
        if name == target.certainty
    }
    kept = reference()
    return Watched(
        1,
        dataclasses.replace(
            kept, quality=quality.measured(target, truth, answers, signals), target=target.description()
        ),
        None,
    )


def judged(one: Watched, scores: np.ndarray) -> results.Window:
    bins, counts = labelled.score_bins(one)
    window = Scored([0] * len(counts), opened=NOON)
    for score in scores:
        window.add(NOON, np.array([score]), bins)
    window = Scored.from_json(json.loads(json.dumps(window.to_json())))
    return labelled.of_labels(window, MODEL, one, Memory(), options(), NOON)


def test_numbers_are_held_against_the_distribution_of_errors():
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 10, (1000, 1)).astype(np.float32)
    one = watched("numbers", ("age",), truth, truth + rng.normal(0, 2, truth.shape).astype(np.float32))
    usual, worse = (-np.abs(rng.normal(0, spread, 300)) for spread in (0.2, 0.3))
    assert not judged(one, usual).drifted
    found = judged(one, worse)
    assert found.drifted and found.quality.low < worse.mean() < found.quality.high


def test_the_interval_of_shares_is_exact_and_that_of_other_scores_holds_for_any():
    right = np.repeat([1.0, 0.0], [90, 10])
    window = Scored([0, 0], NOON)
    window.add(NOON, right, Numbers("score", "", ()))
    exact = share_interval(90, 100, 0.05)
    found = labelled.interval(window, [0, 1])
    assert (found.low, found.high) == (exact.low, exact.high)
    window.add(NOON, np.array([0.5]), Numbers("score", "", ()))
    wider = labelled.interval(window, [0, 1])
    assert wider.low < exact.low and wider.high > exact.high


def test_false_alarms_of_quality_are_no_more_than_stated():
    """The reference's own luck is in it: each round draws both."""
    rng, found = np.random.default_rng(3), collections.Counter()
    for _ in range(800):
        before, now = rng.random(300) < 0.9, rng.random(200) < 0.9
        bins = Numbers.fit("score", "", before.astype(float).tolist())
        p = p_value(*(bins.counts(part.astype(float).tolist()) for part in (before, now)), Form.FALLING)
        found.update([rate for rate in (0.2, 0.05) if p <= rate])
    assert all(scipy.stats.binom.sf(found[rate] - 1, 800, rate) > 1e-3 for rate in (0.2, 0.05)) and found[0.2] > 20
