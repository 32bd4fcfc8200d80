"""What the first page says of a request log: its files, and labels that came late."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence

from graft.models.errors import GraftError
from graft.monitoring.label_series import Labels
from graft.monitoring.request_log.log_file import files


@dataclasses.dataclass(frozen=True)
class OfModel:
    """Labels of one model; `unlabelled` counts requests."""

    model: str
    labels: int
    unmatched: int
    conflicting: int
    unlabelled: int


@dataclasses.dataclass(frozen=True)
class Log:
    """A log; `newest` is when its last whole file was closed, seconds since 1970, None without any."""

    files: int = 0
    bytes: int = 0
    newest: float | None = None
    labels: Sequence[OfModel] = ()
    fault: str = ""
    labels_fault: str = ""


def look(folder: pathlib.Path) -> Log:
    """The log as it is now."""
    try:
        states = []
        for path in files(folder):
            with contextlib.suppress(FileNotFoundError):  # too old meanwhile
                states.append(path.stat())
    except OSError as error:
        return Log(fault=f"{folder}: {error.strerror}")
    labels: Sequence[OfModel] = ()
    fault = ""
    try:
        labels = _labels(folder)
    except GraftError as error:
        fault = str(error)
    newest = max((state.st_mtime for state in states), default=None)
    return Log(len(states), sum(state.st_size for state in states), newest, labels, labels_fault=fault)


def _labels(folder: pathlib.Path) -> list[OfModel]:
    counted = Labels(folder).counted()
    names = ("graft_labels", "graft_labels_unmatched", "graft_labels_conflicting", "graft_requests_unlabelled")
    models = sorted({model for of_model in counted.values() for model in of_model})
    return [OfModel(model, *(counted[name].get(model, 0) for name in names)) for model in models]
