"""What a report shows of numbers."""

import numpy as np
import pytest

from graft.models.page import Examples, Plot, Table, Text
from graft.models.targets import make_target, parse_options
from graft.pipeline import plots

NAMES = ["height", "weight"]


def make(names=NAMES):
    return make_target(parse_options({"kind": "numbers", "columns": names}), names)


def sample(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.normal([170, 70000], [10, 15000], (n, 2))
    return truth.astype(np.float32), (truth + rng.normal(0, [2, 3000], (n, 2))).astype(np.float32)


def test_tiles_hold_figures_with_their_intervals():
    figures = make().figures(*sample())
    error, _, r2 = make().tiles(figures)
    low, high = figures["mean_absolute_error_interval"]
    assert (error.name, error.value) == ("mean absolute error", f"{figures['mean_absolute_error']:.4g}")
    assert error.note == f"95 % interval {low:.4g} to {high:.4g}, mean of 2 columns"
    assert r2.value == f"{figures['r2']:.4g}"


def test_every_column_has_a_row_and_its_plots():
    figures = make().figures(*sample())
    [quality] = make().sections(figures, "images")
    table, *others = quality.blocks
    assert isinstance(table, Table) and [row[0] for row in table.rows] == NAMES
    assert table.rows[0][1] == f"{figures['per_column']['height']['mean_absolute_error']:.4g}"
    drawn = [block for block in others if isinstance(block, Plot)]
    assert len(drawn) == 2 and all(plots.draw(plot).startswith("data:image/svg+xml") for plot in drawn)
    against, errors = drawn[0].axes
    assert list(against.series[1].x) == [pair[0] for pair in figures["per_column"]["height"]["points"]]
    assert len(errors.series[1].y) == 10 and list(errors.series[1].x) == sorted(errors.series[1].x)


def test_a_split_without_any_number_is_said_and_draws_nothing():
    truth, given = sample(4)
    [quality] = make().sections(make().figures(truth, np.full_like(given, np.nan)), "texts")
    assert not any(isinstance(block, Plot) for block in quality.blocks)
    assert Text("4 test texts got answers that are not finite numbers; they are in no figure.") in quality.blocks
    assert [tile.value for tile in make().tiles(make().figures(truth, np.full_like(given, np.nan)))] == ["-"] * 3


def test_the_worst_have_the_largest_errors_in_standard_deviations():
    target = make().with_facts(mean=[0.0, 0.0], std=[1.0, 1000.0])
    truth = np.zeros((4, 2), np.float32)
    given = np.float32([[0.5, 0], [0, 3000], [1, 1000], [np.nan, 0]])
    words, examples = target.worst(truth, given, "images").blocks
    assert isinstance(examples, Examples) and [shown.place for shown in examples.rows] == [1, 2, 0]
    assert examples.rows[0].captions == ("answered: height 0, weight 3000", "true: height 0, weight 0")
    assert words.text == "The largest errors of 4 test images, the largest first:"
    assert make(["x"]).worst(truth[:1, :1], given[:1, :1], "images").blocks[1].rows[0].captions[0] == "answered: 0.5"


def test_rivals_stand_beside_the_run():
    truth, given = sample()
    target = make().fitted(truth)
    served = {"version": 4, "comparable": True, **target.compare(truth, given, target, given)}
    figures = {"candidate": target.figures(truth, given), "baseline": served, "best": served}
    table, note = target.rivals(figures, {"baseline_tolerance": None}, "images")
    assert table.rows[0][1] == pytest.approx(table.rows[1][1])
    assert note.text.endswith("Not gated: gates.baseline_tolerance is null.")


def test_the_card_names_where_it_is_weakest():
    truth, given = sample()
    given[np.argmax(truth[:, 0]), 0] += 500
    card = make().card(make().figures(truth, given), "images")
    assert card.description == "A regression on images: 2 numbers for each (height, weight)."
    [line] = [line for line in card.limits if "height" in line]
    assert line.startswith("Weakest where height is ") and f"to {truth[:, 0].max():.4g}:" in line
