"""What the pages say of drift: the latest windows that a monitor judged, and how far each signal moved."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from graft.models.durable import open_regular
from graft.models.errors import GraftError
from graft.monitoring.drift import results
from graft.monitoring.drift.results import Window
from graft.pipeline import svg

PAGE, PLOTS = 100, 36
"""Windows of a page, plots of a page."""
_MOST_BYTES = 1 << 22
_FOLDER = "drift"
_AGAINST = {
    "reference": "against the reference",
    "previous": "against the window before",
    "first": "against the first window",
    "limit": "over the limit",
}


@dataclasses.dataclass(frozen=True)
class Watched:
    """What the first page says of one monitor: its last window, or why it cannot be read."""

    name: str
    last: Window | None = None
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Shown:
    """A page of windows, latest first.

    Attributes:
        windows: whole and readable ones.
        faults: lines that are damaged.
        older: where in the file the next page ends, None at its beginning.
        measured: plots of the quality, the estimate and the service, by title.
        signals: plots of the changes, those with an alarm first.
        hidden: how many plots more there would be.
    """

    windows: Sequence[Window]
    faults: Sequence[str]
    older: int | None
    measured: Sequence[tuple[str, Markup]]
    signals: Sequence[tuple[str, Markup]]
    hidden: int


class DriftView:
    """The monitors of pipelines.

    Args:
        root: of the runs; a monitor writes to `ROOT/PIPELINE/drift`.
        told: folders of pipelines that say otherwise.
    """

    def __init__(self, root: pathlib.Path, told: Mapping[str, pathlib.Path]):
        self._root, self._told = root, told

    def _folders(self) -> dict[str, pathlib.Path]:
        found = {path.parent.name: path for path in self._root.glob(f"*/{_FOLDER}") if path.is_dir()}
        return dict(sorted((found | dict(self._told)).items()))

    def watched(self) -> list[Watched]:
        """All of them by name."""
        return [self._watched(name, folder) for name, folder in self._folders().items()]

    def _watched(self, name: str, folder: pathlib.Path) -> Watched:
        try:
            windows, faults, _ = _tail(folder / results.NAME, None, 1)
        except GraftError as error:
            return Watched(name, fault=str(error))
        return Watched(name, windows[-1] if windows else None, faults[-1] if faults else "")

    def windows(self, name: str, before: str | None) -> Shown | None:
        """The latest windows of a pipeline's monitor, or those before a place of its file; None: there are none such.

        Raises:
            GraftError: the file cannot be read.
        """
        folder = self._folders().get(name)
        if folder is None or (before is not None and not (before.isascii() and before.isdecimal())):
            return None
        windows, faults, older = _tail(folder / results.NAME, None if before is None else int(before[:18]), PAGE)
        measured, signals = _measured(windows), _signals(windows)
        return Shown(windows[::-1], faults, older, measured, signals[:PLOTS], max(0, len(signals) - PLOTS))


def _tail(path: pathlib.Path, end: int | None, most: int) -> tuple[list[Window], list[str], int | None]:
    """The last windows before byte `end` in their order, what is damaged among them, and where the first one begins.

    A line that is being written is not there yet. Raises GraftError.
    """
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            end = size if end is None else min(end, size)
            begin = max(0, end - _MOST_BYTES)
            file.seek(begin)
            content = file.read(end - begin)
    except FileNotFoundError:
        return [], [], None
    except OSError as error:
        raise GraftError(f"{path}: {error.strerror}") from error
    if begin:  # the first piece is the end of a line
        begin += content.find(b"\n") + 1
        content = content[content.find(b"\n") + 1 :]
    lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
    begin += sum(map(len, lines[:-most]))
    windows, faults = [], []
    for line in lines[-most:]:
        try:
            windows.append(results.parse(line, str(path)))
        except GraftError as error:
            faults.append(str(error))
    return windows, faults, begin or None


def _told(window: Window, value: float) -> str:
    return f"version {window.version}, window {window.number}: {value:.6g}"


def _measured(windows: Sequence[Window]) -> list[tuple[str, Markup]]:
    """Plots of what is measured by itself."""
    points: dict[str, list[svg.Point]] = {}
    for window in windows:
        for title, mean in (("quality by labels", window.quality), ("estimated quality", window.estimate)):
            if mean is not None:
                text = f"{_told(window, mean.mean)} ({mean.low:.4g} to {mean.high:.4g})"
                point = svg.Point(window.end, mean.mean, text, low=mean.low, high=mean.high, marked=False)
                points.setdefault(title, []).append(point)
        if window.kind == "requests":
            if (slow := window.latency_s.get("0.95")) is not None:
                points.setdefault("latency, 0.95 quantile (ms)", []).append(
                    svg.Point(window.end, 1000 * slow, _told(window, 1000 * slow))
                )
            points.setdefault("requests", []).append(
                svg.Point(window.end, window.requests, _told(window, window.requests))
            )
    return [(title, svg.plot(of, title)) for title, of in points.items()]


def _signals(windows: Sequence[Window]) -> list[tuple[str, Markup]]:
    """A plot for each comparison: how large the change is, and from where on it may be an alarm."""
    points: dict[tuple[str, str], list[svg.Point]] = {}
    limits: dict[tuple[str, str], float] = {}
    for window in windows:
        for test in window.tests:
            key = test.signal, test.against
            text = f"{_told(window, test.effect)}, p {test.p_value:.3g}{', alarm' if test.alarm else ''}"
            points.setdefault(key, []).append(svg.Point(window.end, test.effect, text, marked=test.alarm))
            limits[key] = test.least_effect
    order = sorted(points, key=lambda key: not any(point.marked for point in points[key]))
    titles = {key: f"{key[0]} {_AGAINST[key[1]]}" for key in order}
    return [(titles[key], svg.plot(points[key], titles[key], limits[key])) for key in order]
