"""A curve in a report, in a file of its own, and on a terminal."""

import json

import pytest
from PIL import Image

from graft.models import page
from graft.pipeline import config as configs
from graft.pipeline import curve_page
from graft.pipeline.report import build_sections
from graft.pipeline.result import RunResult
from graft.pipeline.stages.base import Ran


def result(*values):
    low, median, high = sorted(values)
    mean = sum(values) / len(values)
    figures = {"mean": mean, "median": median, "min": low, "max": high}
    return {"per_seed": list(values), **figures, "interval": [0.1, 0.9]}


def point(labels, examples, each, *scores):
    names = ("frozen", "fine_tune", "raw_linear_head", "scratch")
    gains = {rival: {"mean": 0.2, "low": 0.1, "high": 0.3} for rival in names[2:]}
    results = {name: result(score - 0.05, score, score + 0.05) for name, score in zip(names, scores, strict=True)}
    return {
        "labels": labels,
        "examples": examples,
        "each": each,
        "chosen_on": examples,
        "results": results,
        "gains": {"frozen": gains, "fine_tune": gains},
        "verdicts": {},
    }


FOUND = {
    "unit": "labels a class",
    "score": "accuracy",
    "seeds": [0, 1, 2],
    "judged_on": 90,
    "judged": "eval",
    "choose": "same",
    "steps": 100,
    "contestants": {"methods": ["frozen", "fine_tune"], "references": ["raw_linear_head", "scratch"]},
    "points": [
        point(None, 130, 43.3, 0.85, 0.9, 0.6, 0.8),
        point(1, 3, 1.0, 0.5, 0.45, 0.35, 0.3),
        point(5, 15, 5.0, 0.7, 0.72, 0.45, 0.5),
    ],
    "left_out": [{"labels": 50, "reason": "class '<b>' has 43 training examples"}],
    "statements": ["frozen is better than every model without transfer with 1 and 5 labels a class."],
    "sureness": "3 seeds: bars run from the lowest to the highest of them.",
}
CONFIG = {"name": "x", "data": {"source": "image_folder", "path": "d"}, "backbone": {"handle": "b"}}


@pytest.fixture
def config(tmp_path):
    return configs.parse({**CONFIG, "root": str(tmp_path / "runs")}, "x.yaml")


def test_points_stand_by_their_numbers_with_bars_and_references_in_grey():
    [axes] = curve_page.plot(FOUND).axes
    assert axes.log_x and [text for _, text in axes.ticks] == ["1", "5", "all"]
    bars = [series for series in axes.series if series.style == "gaps"]
    assert [series.tone for series in bars] == ["first", "second", "muted", "muted"]
    assert len({series.x[0] for series in bars}) == 4  # side by side
    assert bars[0].y == pytest.approx([0.45, 0.65, 0.8]) and bars[0].to == pytest.approx([0.55, 0.75, 0.9])
    named = [series.name for series in axes.series if series.name]
    assert named == ["frozen", "fine_tune", "linear head, no transfer", "same network from scratch"]


def test_files_hold_the_figures_and_a_picture(config):
    data, drawn = curve_page.save(FOUND, curve_page.folder(config, "abc"))
    assert json.loads(data.read_text()) == FOUND and drawn.name == "curve.png"
    assert min(Image.open(drawn).size) > 500


def test_a_terminal_gets_figures_statements_and_what_was_left_out():
    text = "\n".join(curve_page.lines(FOUND))
    assert "0.850 (0.800 to 0.900)" in text and FOUND["statements"][0] in text
    assert "Left out: 50 labels a class, for class '<b>' has 43 training examples." in text
    assert "The test split was not opened." in text
    opened = curve_page.notes({**FOUND, "judged": "test"})[0]
    assert "examples of the test split" in opened and "was opened for this curve" in opened


def test_the_report_has_it_where_configuration_and_data_are_the_same(config):
    def parts(config, fingerprint):
        lineage = {"data": {"fingerprint": fingerprint}} if fingerprint else {}
        ran = Ran(config, RunResult("r"), {}, lineage)
        return [section for section in build_sections(ran) if section.name == "curve"]

    assert parts(config, "abc") == []
    curve_page.save(FOUND, curve_page.folder(config, "abc"))
    [section] = parts(config, "abc")
    assert [type(block) for block in section.blocks[:4]] == [page.Text, page.Plot, page.Table, page.Table]
    assert parts(config, "other data") == parts(config, None) == []
    gated = config.model_copy(update={"gates": config.gates.model_copy(update={"latency_ms": 5.0})})
    assert parts(gated, "abc")
    trained = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 7})})
    assert parts(trained, "abc") == []
