"""`graft runs --page`: the metrics of a pipeline's runs over time, one HTML file that needs nothing else."""

import dataclasses
import os
import pathlib
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from graft.models.durable import write_atomic
from graft.models.text import printable
from graft.pipeline import result_file, svg

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
MOST_RUNS, _MOST_PLOTS = 200, 24
"""Runs of a pipeline that are shown, the latest; plots of each, the first metrics."""
_TOOK = "seconds"


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """What the page shows of one.

    Attributes:
        name: of the pipeline.
        plots: name of a metric, and its plot.
        runs: rows of `lineage.describe_runs` with `href` of the report and `headline`, the latest first.
        left_out: how many older runs are not shown.
    """

    name: str
    plots: Sequence[tuple[str, Markup]]
    runs: Sequence[Mapping[str, Any]]
    left_out: int


def write(path: pathlib.Path, root: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the file.
        root: of the runs, for the time of each and the way to its report.
        rows: as of `lineage.describe_runs`, of any pipelines.

    Raises:
        OSError: it cannot be written.
    """
    names = list(dict.fromkeys(str(row["pipeline"]) for row in rows))
    shown = [_pipeline(name, [row for row in rows if row["pipeline"] == name], root, path.parent) for name in names]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = lambda text: printable(str(text))
    html = environment.get_template("runs.html.j2").render(pipelines=shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, html.encode(errors="backslashreplace"))


def _pipeline(name: str, rows: Sequence[Mapping[str, Any]], root: pathlib.Path, beside: pathlib.Path) -> Pipeline:
    points: dict[str, list[svg.Point]] = {}
    runs = []
    for row in rows[-MOST_RUNS:]:
        folder = root / name / "runs" / str(row["run"])
        told = result_file.read(folder)
        report = folder / result_file.REPORT_FILE
        href = urllib.parse.quote(os.path.relpath(report, beside)) if report.is_file() else ""
        runs.append({**row, "href": href, "headline": result_file.headline(row["metrics"])})
        ended = told.get("ended")
        if ended is None or not result_file.is_number(ended):
            continue
        values = dict(row["metrics"])
        if told.get("status") in ("passed", "gate_closed"):
            values[_TOOK] = row["seconds"]
        closed = told.get("status") == "gate_closed"
        for metric, value in values.items():
            words = f"{row['run']}: {value:.6g}{', a gate closed' if closed else ''}"
            points.setdefault(metric, []).append(svg.Point(ended, value, words, href, marked=closed))
    plots = [(metric, svg.plot(of, f"{metric} over time")) for metric, of in list(points.items())[:_MOST_PLOTS]]
    return Pipeline(name, [one for one in plots if one[1]], runs[::-1], max(0, len(rows) - MOST_RUNS))
