"""Where long work in `models` says how far it is: one process-wide sink that the command line installs."""

from collections.abc import Callable

Sink = Callable[[str, int, int | None, str, dict[str, float]], None]

_sink: Sink | None = None


def set_sink(sink: Sink | None) -> Sink | None:
    """Installs the receiver of progress, or none, and returns the one that was there.

    Args:
        sink: called as `sink(stage, done, total, unit, figures)`, from the thread that does the work.
            It must return quickly: training waits for it.
    """
    global _sink
    previous, _sink = _sink, sink
    return previous


def report(stage: str, done: int, total: int | None, unit: str, **figures: float) -> None:
    """Tells the sink that `done` of `total` units of a stage are done; does nothing where no sink is installed.

    Args:
        stage: the stage's name, such as `train`.
        done: units finished so far.
        total: units in all, None where that is not known.
        unit: what is counted, in the plural: `epochs`, `images`.
        **figures: numbers to show beside it, such as `loss=0.31`.
    """
    if _sink is not None:
        _sink(stage, done, total, unit, figures)
