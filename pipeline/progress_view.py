"""Live progress on standard error: a bar on a terminal, plain lines elsewhere."""

import io
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from graft.models.text import printable, say
from graft.pipeline.output import fitted
from graft.pipeline.running import StageRun

_LINE_EVERY_S = 5.0
_WIDE = 70  # columns; on fewer the bar and the figures would leave no room for the stage's name


class ProgressView:
    """Shows the stage, its items, their rate and the figures that come with them; a context manager."""

    def __init__(self, console: Console | None = None):
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        if self._console.is_terminal:
            wide = self._console.width >= _WIDE
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                *((BarColumn(bar_width=24),) if wide else ()),
                MofNCompleteColumn(),
                *((TextColumn("{task.fields[figures]}"),) if wide else ()),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
        self._task: TaskID | None = None
        self._started = self._last_line = 0.0

    def __enter__(self) -> "ProgressView":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        if self._bar:
            self._bar.stop()

    def preparing(self, text: str) -> None:
        """What is done before the first stage, or between two commands' steps; a spinner on a terminal."""
        self._started = self._last_line = time.monotonic()
        if self._bar:
            self._drop()
            self._task = self._bar.add_task(printable(text), total=None, figures="")
        else:
            self.line(text)

    def started(self, stage: StageRun) -> None:
        """A stage begins."""
        self._drop()
        self._started = self._last_line = time.monotonic()
        if self._bar:
            self._task = self._bar.add_task(stage.name, total=None, figures="")

    def ended(self, stage: StageRun) -> None:
        """A stage has ended, well or not."""
        self._drop()
        how = "cached" if stage.cached else f"{stage.seconds:.1f} s"
        words = [stage.status] if stage.status != "done" else []
        self.line(f"{stage.name:<18} {how:>9}  {'; '.join([*words, stage.result] if stage.result else words)}".rstrip())

    def report(self, stage: str, done: int, total: int | None, unit: str, figures: dict[str, float]) -> None:
        """Sink of `models.progress`."""
        now = time.monotonic()
        rate = done / max(now - self._started, 1e-9)
        shown = " ".join([f"{rate:.0f} {unit}/s", *(f"{name} {value:.4g}" for name, value in figures.items())])
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, figures=shown)
        elif now - self._last_line >= _LINE_EVERY_S:
            self._last_line = now
            self.line(f"{stage:<18} {done}{f'/{total}' if total else ''} {unit}, {shown}")

    def _drop(self) -> None:
        if self._bar and self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None

    def line(self, text: str) -> None:
        """One plain line."""
        if self._bar:
            for piece in fitted([text], self._console.width):
                self._bar.console.print(printable(piece), highlight=False, markup=False, soft_wrap=True)
        else:
            say(text, file=sys.stderr)


class Silent(ProgressView):
    """Shows nothing."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))

    def line(self, text: str) -> None:
        """Nothing."""
