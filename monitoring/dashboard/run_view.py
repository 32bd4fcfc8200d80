"""What the pages say of runs. A run that cannot be read is shown as such and hides no other."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from graft.models.errors import GraftError, one_line
from graft.monitoring.dashboard import lineage_graph, links, run_file
from graft.monitoring.dashboard.run_file import RunFile
from graft.monitoring.run_series import Run, Runs
from graft.pipeline import svg

PAGE, PLOTTED, PLOTS = 50, 200, 24
"""Runs on one page, points of a plot, plots on a page: the latest, and the first names."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One run in a list; `run` is None where its file is damaged."""

    pipeline: str
    id: str
    run: Run | None

    @property
    def seconds(self) -> float | None:
        """How long it took, None while it is under way."""
        if self.run is None or self.run.started is None or self.run.ended is None:
            return None
        return max(0.0, self.run.ended - self.run.started)


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """One pipeline of the first page; `fault` says why nothing else is known."""

    name: str
    runs: int = 0
    damaged: int = 0
    last: Row | None = None
    passed: float | None = None
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Listing:
    """A page of runs, latest first; `older` is the id from which the next page goes on, None at the end."""

    rows: Sequence[Row]
    older: str | None
    plots: Sequence[tuple[str, Markup]]


@dataclasses.dataclass(frozen=True)
class Detail:
    """All about one run; `fault` says why its file, `lineage_fault` why its metadata is not shown."""

    row: Row
    file: RunFile | None
    fault: str
    facts: Sequence[tuple[str, Sequence[str]]]
    work: Sequence[dict[str, Any]]
    graph: Markup | None
    lineage_fault: str


class RunView:
    """The runs below a folder.

    Args:
        root: as of `graft runs --root`.
    """

    def __init__(self, root: pathlib.Path):
        self.runs = Runs(root)

    def pipelines(self) -> list[Pipeline]:
        """All of them by name. Raises GraftError: the folder cannot be read."""
        return [self._pipeline(name, folder) for name, folder in self.runs.pipelines().items()]

    def _pipeline(self, name: str, folder: pathlib.Path) -> Pipeline:
        try:
            found = self.runs.of(folder)
        except GraftError as error:
            return Pipeline(name, fault=str(error))
        last = next(reversed(found), None)
        passed = [run.ended for run in found.values() if run is not None and run.status == "passed"]
        return Pipeline(
            name,
            runs=len(found),
            damaged=sum(run is None for run in found.values()),
            last=None if last is None else Row(name, last, found[last]),
            passed=passed[-1] if passed else None,
        )

    def listing(self, pipeline: str, before: str | None) -> Listing | None:
        """The latest runs of a pipeline, or those older than a run; None: there is no such pipeline or run."""
        folder = self.runs.pipelines().get(pipeline)
        if folder is None:
            return None
        found = self.runs.of(folder)
        ids = list(found)
        if before is not None:
            if before not in found:
                return None
            ids = ids[: ids.index(before)]
        shown = ids[-PAGE:]
        rows = [Row(pipeline, name, found[name]) for name in reversed(shown)]
        known = {name: run for name in ids[-PLOTTED:] if (run := found[name]) is not None}
        return Listing(rows, shown[0] if len(ids) > len(shown) else None, _plots(pipeline, known))

    def ids(self, pipeline: str) -> set[str]:
        """Of a pipeline's runs; none where nothing can be read."""
        try:
            folder = self.runs.pipelines().get(pipeline)
            return set(self.runs.of(folder)) if folder is not None else set()
        except GraftError:
            return set()

    def detail(self, pipeline: str, run_id: str) -> Detail | None:
        """One run; None: there is no such one."""
        folder = self.runs.pipelines().get(pipeline)
        found = self.runs.of(folder) if folder is not None else {}
        if folder is None or run_id not in found:
            return None
        file, fault = None, ""
        try:
            file = run_file.read(folder / run_id)
        except GraftError as error:
            fault = str(error)
        row = Row(pipeline, run_id, found[run_id])
        try:
            facts, work, graph = _lineage(folder.parent, run_id)
        except GraftError as error:
            return Detail(row, file, fault, (), (), None, str(error))
        return Detail(row, file, fault, facts, work, graph, "")


def _lineage(
    root: pathlib.Path, run_id: str
) -> tuple[list[tuple[str, list[str]]], list[dict[str, Any]], Markup | None]:
    """Raises GraftError: the metadata store cannot be read or does not know the run."""
    from ml_metadata import errors

    from graft.pipeline.lineage import describe_run, lineage_rows
    from graft.pipeline.metadata import Metadata

    try:
        metadata = Metadata(root, read_only=True)
        work = metadata.work(run_id)
        made = metadata.links(work)
        described = describe_run(work)
        rows = lineage_rows(described)
    except errors.StatusError as error:
        raise GraftError(f"{root}: the metadata store cannot be read: {one_line(error, None)}") from None
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # what stages wrote is not as they write it
        raise GraftError(f"{root}: the metadata of {run_id} is damaged: {type(error).__name__}: {error}") from error
    facts: list[tuple[str, list[str]]] = []
    for title, line in rows:
        if title or not facts:
            facts.append((title, [line]))
        else:
            facts[-1][1].append(line)
    stages = described["stages"]
    return facts, stages, lineage_graph.draw(stages, made) if stages else None


def _plots(pipeline: str, known: dict[str, Run]) -> list[tuple[str, Markup]]:
    """A plot for each metric that two runs have, and how long runs took."""
    points: dict[str, list[svg.Point]] = {}
    for name, run in known.items():
        if run.ended is None:
            continue
        href = links.run(pipeline, name)
        values = dict(run.metrics)
        if run.started is not None and run.status in ("passed", "gate_closed"):
            values["seconds"] = max(0.0, run.ended - run.started)
        for metric, value in values.items():
            points.setdefault(metric, []).append(svg.Point(run.ended, value, f"{name}: {value:.6g}", href))
    drawn = [(metric, of) for metric, of in points.items() if len(of) > 1]
    return [(metric, svg.plot(of, f"{metric} over time")) for metric, of in drawn[:PLOTS]]
