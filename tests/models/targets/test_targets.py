"""Targets by name: made from settings, described, restored from an export, new or old."""

import json

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.signals.histogram import Numbers
from graft.models.targets import KINDS, exported_target, make_target, parse_options, restore

SETTINGS = {"numbers": {"columns": ["a", "b"]}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_from_an_export(kind, tmp_path):
    target = make_target(parse_options({"kind": kind, **SETTINGS.get(kind, {})}), ["a", "b"], {"note": [1.5]})
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra/graft.json").write_text(json.dumps({"target": target.description()}))
    back = exported_target(tmp_path)
    assert back.kind == kind and back.description() == target.description() == restore(back.description()).description()


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_never_changes(kind):
    target = make_target(parse_options({"kind": kind, **SETTINGS.get(kind, {})}), ["a", "b"])
    assert target.with_facts(more=1).facts == {"more": 1} and target.facts == {}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_says_of_itself_fits_together(kind):
    """Its headline and what a slice may limit are figures that have gates; each reason has a line for people."""
    module = KINDS.module(kind)
    assert set(module.SliceGates.model_fields) == set(module.Target.slice_columns)
    assert {*module.Target.slice_columns, module.Target.headline} <= set(module.Gates.model_fields)
    assert set(module.Options.model_fields) >= module.Options.PARSES
    assert {"unknown_label", "bad_label"} == set(module.Target.REASONS)
    assert module.Target.headline in module.Target.metrics


def test_settings_without_a_kind_are_of_one_label():
    assert parse_options({}).kind == "label"
    with pytest.raises(
        GraftError, match=r"target.kind: received 'lable'; did you mean 'label'\? allowed: label, labels"
    ):
        parse_options({"kind": "lable"})


def test_an_export_of_the_version_before_is_one_label(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra/labels.txt").write_text("café\ndog\n")
    target = exported_target(tmp_path)
    assert target.kind == "label" and target.names == ("café", "dog")


@pytest.mark.parametrize("content", ["", "{}", '{"target": {"options": {"kind": "x"}, "names": [], "facts": {}}}'])
def test_a_damaged_description_is_told_in_one_line(content, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra/graft.json").write_text(content)
    with pytest.raises(GraftError, match=r"graft\.json: damaged \(") as told:
        exported_target(tmp_path)
    assert "\n" not in str(told.value)


def test_a_model_of_another_maker_is_refused(tmp_path):
    with pytest.raises(GraftError, match=r"graft\.json: missing; only models exported by Graft"):
        exported_target(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_signals_are_those_that_are_watched_and_none_where_an_answer_is_no_number(kind):
    target = make_target(parse_options({"kind": kind, **SETTINGS.get(kind, {})}), ["a", "b"])
    found = target.signals(np.array([[0.75, 0.25], [np.nan, 0.5]], np.float32))
    assert found.keys() == target.watched.keys() and target.certainty in {*found, None}
    assert all(len(values) == 2 and values[1] is None for values in found.values())
    for name, unit in target.watched.items():
        assert isinstance(found[name][0], str if unit is None else (int, float))
    assert all(values == [] for values in target.signals(np.zeros((0, 2), np.float32)).values())


def test_signals_by_hand():
    answers = np.array([[0.7, 0.3]], np.float32)
    label, labels, numbers = (
        make_target(parse_options({"kind": kind, **SETTINGS.get(kind, {})}), ["a", "b"]).signals(answers)
        for kind in ("label", "labels", "numbers")
    )
    assert label == {"predicted": ["a"], "confidence": [pytest.approx(0.7)], "margin": [pytest.approx(0.4)]}
    assert labels == {"labels": [1], "certainty": [pytest.approx(0.7)], "label a": ["yes"], "label b": ["no"]}
    assert numbers == {"value a": [pytest.approx(0.7)], "value b": [pytest.approx(0.3)]}


@pytest.mark.parametrize(("kind", "signal"), [("label", "confidence"), ("label", "margin"), ("labels", "certainty")])
def test_how_an_engine_rounds_is_no_drift_and_what_is_less_sure_is(kind, signal):
    target = make_target(parse_options({"kind": kind}), ["a", "b"])

    def binned(*sure):
        values = np.array([[one, 1 - one] for one in sure], np.float32)
        return target.signals(values)[signal]

    bins = Numbers.fit(signal, "", binned(*np.linspace(0.6, 0.9, 20), *[1 - 2**-24] * 80))
    counts = bins.counts(binned(*[1.0] * 50))
    assert counts == bins.counts(binned(*[1 - 2**-24] * 50)) and counts != bins.counts(binned(*[0.7] * 50))
