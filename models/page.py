"""What a report is made of, as data: sections of texts, tables, plots and examples. How they look is said elsewhere.

Who knows what figures mean (a target, a stage's room) says here what there is to see, without HTML and without a
plotting library. All of it is text from outside for whoever draws it: it is escaped there.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

Tone = Literal["first", "second", "third", "fourth", "fifth", "sixth", "muted"]

Cell = str | int | float | None
"""What a table holds; None is nothing measured."""


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph; a note is set smaller."""

    text: str
    note: bool = False


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its head.
        kind: how it is set; `long` may break anywhere (paths), numbers stand to the right.
        digits: after the point of its floats; -1 for as many as say something (six).
    """

    title: str
    kind: Literal["text", "long", "number"] = "text"
    digits: int = 3


@dataclasses.dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: its columns.
        rows: a cell for each column; floats get the column's digits, or come as text.
        title: a heading above it.
        foot: the last row, of sums.
        marked: indices of rows that stand out: gates that closed.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    foot: Sequence[Cell] | None = None
    marked: Sequence[int] = ()


@dataclasses.dataclass(frozen=True)
class Matrix:
    """Counts of true against answered, k by k; the diagonal is right. Shown as shares of each row.

    Attributes:
        title: a heading above it.
        names: of rows and columns.
        counts: by row, which is the true one, and column.
        row_title: what rows are: `true class`.
        column_title: what columns are, and what is counted: `predicted class (number of images)`.
        alt: what it is, in words.
    """

    title: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    row_title: str
    column_title: str
    alt: str


@dataclasses.dataclass(frozen=True)
class Series:
    """One set of points.

    Attributes:
        name: for the legend; empty for none.
        x: of each point.
        y: of each point.
        style: `joined` points have a line between them, `bars` start at x and are `width` wide, `gaps` are upright
            lines from y to `to`.
        width: of bars, in units of x.
        to: the other ends of gaps.
        tone: which colour; `muted` is what others are seen against.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: Literal["line", "joined", "dashed", "points", "bars", "gaps"] = "line"
    width: Sequence[float] = ()
    to: Sequence[float] = ()
    tone: "Tone" = "first"


@dataclasses.dataclass(frozen=True)
class Axes:
    """Series against one pair of axes.

    Attributes:
        x_label: with its unit.
        y_label: with its unit.
        series: what is drawn, the first below the others.
        x_range: None to fit.
        y_range: None to fit; either end may be None.
        log_x: whether x grows by factors.
        falling_x: whether x falls from left to right.
        whole: of which axis the ticks are whole numbers: "x", "y", "xy".
        lines: upright dashed lines, (x, name for the legend).
        notes: words above the axes, (x, text); a dotted line stands before each but the first.
        ticks: (x, text) in place of numbers of the axis' own; empty for those.
    """

    x_label: str
    y_label: str
    series: Sequence[Series]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float | None, float | None] | None = None
    log_x: bool = False
    falling_x: bool = False
    whole: str = ""
    lines: Sequence[tuple[float, str]] = ()
    notes: Sequence[tuple[float, str]] = ()
    ticks: Sequence[tuple[float, str]] = ()


@dataclasses.dataclass(frozen=True)
class Plot:
    """Axes beside one another; or two that share x, the lower one small.

    Attributes:
        alt: what it shows, in words.
        axes: from left to right, or from top to bottom.
        stacked: whether they share x.
        wide: whether one pair of axes takes the width of two.
    """

    alt: str
    axes: Sequence[Axes]
    stacked: bool = False
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Shown:
    """One example of the test split.

    Attributes:
        place: its row, from 0.
        captions: what stands below its preview; the first stands out. The name of its file follows.
    """

    place: int
    captions: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Examples:
    """Examples of the test split, with previews."""

    rows: Sequence[Shown]


@dataclasses.dataclass(frozen=True)
class Preview:
    """An example as it is shown.

    Attributes:
        preview: of `models.inputs.base.Input.preview`.
        captions: what stands below it.
        file: its name; empty to show none.
    """

    preview: Mapping[str, str]
    captions: Sequence[str] = ()
    file: str = ""


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Previews, in groups.

    Attributes:
        groups: a caption, and what stands above it; an empty caption for previews that have their own.
        large: whether previews stand apart, with room for captions.
    """

    groups: Sequence[tuple[str, Sequence[Preview]]]
    large: bool = False


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two columns, where the page is wide enough."""

    left: "Sequence[Block]"
    right: "Sequence[Block]"


Block = Text | Table | Matrix | Plot | Examples | Gallery | Pair


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report under a heading.

    Attributes:
        name: its address in the page: small letters and `_`.
        title: its heading.
        blocks: what it shows.
    """

    name: str
    title: str
    blocks: Sequence[Block]


@dataclasses.dataclass(frozen=True)
class Tile:
    """A figure at the top of the report, at most a few characters, with what is to be known of it."""

    name: str
    value: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Card:
    """What a target says of a model in its card.

    Attributes:
        description: what the model answers, for what: `An image classifier: ...`.
        figures: the tables below "Figures on the test split".
        limits: a line for each reason not to trust it.
        signature: what `serving_default` takes and returns, in words.
    """

    description: str
    figures: Sequence[Table]
    limits: Sequence[str]
    signature: str = ""
