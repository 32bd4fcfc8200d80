"""The verdict on the story: good only if everything went as told, and each thing that did not has its sentence."""

import copy

import pytest
from drift_story import alarm, judged, story

from graft.monitoring.demo import verdict


def test_the_story_that_went_well_has_no_reasons_and_is_told_in_order():
    value = story()
    assert value["reasons"] == []
    phases = value["phases"]
    assert [phases[name]["right"] for name in ("usual", "drift", "after")] == [191, 75, 181]
    assert phases["drift"]["high"] < phases["after"]["low"] < phases["after"]["mean"] == 0.905
    text = verdict.describe(value)
    places = [text.index(words) for words in ("no alarm", "ALARM: brightness", "RETRAINING: two windows", "version 2")]
    assert places == sorted(places) and "simulated" in text and "Seed 0" in text
    assert "and quality recovered." in text and "NOT" not in text and "/demo/digits.yaml" in text


def closed(value):
    value["days"][3]["retraining"] |= {"model_version": None, "status": "gate_closed", "reason": "accuracy is 0.1"}


def slow(value):
    value["days"][0]["alarms"] = [alarm(1, group="service", signal="latency")]


def early(value):
    value["days"][0]["retraining"] = value["days"][3]["retraining"]


OTHERWISE = {
    "day 1 was a usual one, and there was an alarm: margin": lambda v: v["days"][0].update(
        alarms=[alarm(1, signal="margin")]
    ),
    "there was no alarm": lambda v: [day.update(alarms=[]) for day in v["days"]],
    "no retraining was started; in the end: no drift": lambda v: v["days"][3].update(retraining=None),
    "before the pictures changed": early,
    "the model of day 4 was not pushed: accuracy is 0.1": closed,
    "the day after was answered by version 1": lambda v: v["days"][4].update(version=1),
    "nothing is known of it": lambda v: v.update(days=v["days"][:4]),
    "the shift was to harm, but quality was": lambda v: [day.update(right=95) for day in v["days"][2:4]],
    "quality was to recover, but it was": lambda v: [day.update(right=40) for day in v["days"][4:]],
}


@pytest.mark.parametrize("words", OTHERWISE)
def test_what_went_otherwise_is_said(words):
    value = copy.deepcopy(story())
    OTHERWISE[words](value)
    reasons = judged(value)["reasons"]
    assert any(words in reason for reason in reasons), reasons
    assert words in verdict.describe(judged(value)) and "recovered." not in verdict.describe(judged(value))


def test_a_slow_machine_is_told_and_is_no_fault():
    value = story()
    slow(value)
    assert judged(value)["reasons"] == [] and "of the service: latency" in verdict.told(value["days"][0])
    assert verdict.alarms(value["days"][0]) == []


def test_an_alarm_by_late_labels_is_told_with_the_day_and_version_that_it_is_of():
    value = story()
    value["days"][4]["alarms"] = [alarm(4, "labels", "quality", "score")]
    assert "ALARM by labels of day 4 (version 1): score" in verdict.told(value["days"][4])
    assert judged(value)["reasons"] == []


def test_without_a_first_version_nothing_else_is_told():
    value = story() | {"first": {"model_version": None, "status": "gate_closed", "reason": "accuracy"}, "days": []}
    assert judged(value)["reasons"] == ["version 1 was to be pushed, but: accuracy"]
    assert "NOT" in verdict.describe(judged(value))


def test_many_signals_are_cut_after_the_largest():
    value = story()
    value["days"][2]["alarms"] = [alarm(3, signal=name) | {"effect": n / 9} for n, name in enumerate("abcdef")]
    assert "ALARM: f, e, d, c and 2 more" in verdict.told(value["days"][2])
