"""Plots drawn from what `models.page` describes."""

import base64
import xml.etree.ElementTree

import pytest

from graft.models.page import Axes, Matrix, Plot, Series
from graft.pipeline import plots

STYLES = [
    Series("line", (1, 2), (1, 2)),
    Series("joined", (1, 2), (2, 1), "joined", tone="second"),
    Series("dashed", (1, 2), (1, 1), "dashed", tone="muted"),
    Series("points", (1, 2), (1.5, 1.5), "points"),
    Series("bars", (1, 2), (1, 2), "bars", width=(0.5, 0.5)),
    Series("gaps", (1, 2), (1, 2), "gaps", to=(2, 1), tone="second"),
]


def words(plot: str) -> str:
    """The text of a drawing, which is whole XML."""
    assert plot.startswith("data:image/svg+xml;base64,")
    drawing = xml.etree.ElementTree.fromstring(base64.b64decode(plot.partition(",")[2]))
    return " ".join(drawing.itertext())


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_a_drawing_says_what_it_shows(stacked, count):
    axes = Axes(
        "size (cm)", "error (cm)", STYLES, x_range=(0, 3), y_range=(0, None), whole="xy",
        lines=[(2, "best, 2")], notes=[(1, "head"), (2, "fine tune")],
    )  # fmt: skip
    text = words(plots.draw(Plot("x", [axes] * count, stacked)))
    named = ["size (cm)", "error (cm)", "best, 2", "head", "fine tune", *(series.name for series in STYLES)]
    assert [word for word in named if word not in text] == []


@pytest.mark.slow
def test_a_scale_may_fall_and_grow_by_factors():
    def draw(**how: bool) -> str:
        return plots.draw(Plot("x", [Axes("L2", "loss", [Series("train", (1e-6, 1e-2), (1, 2))], **how)]))

    assert len({draw(), draw(log_x=True), draw(falling_x=True), draw(log_x=True, falling_x=True)}) == 4


def test_names_from_outside_are_no_formulas():
    axes = Axes("$x_{", "$y", [Series("$x_{", (1, 2), (1, 2)), Series("_hidden", (1, 2), (2, 2))], notes=[(1, "$n_{")])
    text = words(plots.draw(Plot("x", [axes])))
    assert "$x_{" in text and "$y" in text and "$n_{" in text and "hidden" in text


def test_the_same_is_drawn_the_same():
    plot = Plot("x", [Axes("a", "b", STYLES)])
    assert plots.draw(plot) == plots.draw(plot)


def test_a_matrix_of_many_names():
    matrix = Matrix("Confusion", ["a", "b"], [[1, 2], [0, 0]], "true class", "predicted class (number of images)", "x")
    text = words(plots.matrix(matrix))
    assert "true class (number)" in text and "predicted class (number)" in text and "share of the true class" in text
