"""Where the story of `graft demo drift` plays: a real server with a request log, labels, the monitor, retraining.

Nothing in it is simulated: what a command does is done by the command's own functions, on one configuration, which may
be used by hand afterwards.
"""

import argparse
import contextlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import yaml

from graft.models.durable import write_atomic
from graft.models.errors import GraftError
from graft.monitoring.demo import pictures
from graft.monitoring.demo.course import Course
from graft.monitoring.drift.command import asked
from graft.monitoring.drift.monitor import Monitor, Pass
from graft.monitoring.request_log.label_command import take
from graft.monitoring.request_log.labels import LabelStore
from graft.monitoring.request_log.log_file import PART
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import Options as LogOptions
from graft.monitoring.retrain import plans, retraining
from graft.monitoring.retrain.decision import Decision
from graft.monitoring.retrain.local import Local
from graft.pipeline.demo import data
from graft.pipeline.demo.data import Images
from graft.pipeline.ending import INTERRUPTED, Ending
from graft.pipeline.progress_view import ProgressView

if TYPE_CHECKING:
    from graft.pipeline.result import RunResult
    from graft.serving.client import Prediction

MODEL = "digits"
_FLOOR = 0.6
_LOG_CLOSED_S = 0.5
_STORE_LOOK_S = 0.2
_LOOK_S = 0.05
_WAIT_S = 60.0
_YEAR_HOURS = 8784.0


def write_config(folder: pathlib.Path, course: Course) -> pathlib.Path:
    """Writes the one configuration of pipeline, log, monitor and retraining; what is not in it has its default."""
    log = {"folder": str(folder / "requests"), "rotate_seconds": _LOG_CLOSED_S}
    # A day ends with its pictures, not with a midnight.
    drift = {"window": {"rows": course.rows, "least": course.rows, "hours": _YEAR_HOURS}}
    retrain = {
        "new_labels": None,
        "drift_windows": course.drift,
        "least_labels": min(50, course.learned),
        "most_labels": course.learned,
        "cooldown_hours": 0,
        "base": False,
    }
    value = {
        "name": MODEL,
        "data": {"source": "csv", "path": str(folder / "data" / data.CSV_NAME)},
        "input": {"image_size": [data.MNIST_SIDE, data.MNIST_SIDE], "value_range": [0, 1]},
        "target": {"class_names": [str(digit) for digit in data.TARGET_CLASSES]},
        "backbone": {"handle": str(folder / "backbone")},
        "transfer": {"method": "frozen"},
        "gates": {"accuracy": _FLOOR},
        "store": str(folder / "store"),
        "root": str(folder / "runs"),
        "monitoring": {"request_log": log, "drift": drift, "retrain": retrain},
    }
    path = folder / f"{MODEL}.yaml"
    write_atomic(path, yaml.safe_dump(value, sort_keys=False).encode())
    return path


class Site:
    """Serves the store, and does each day's work; a context manager.

    Args:
        config: that `write_config` wrote; its model is in the store.
        view: shows progress.
        end: of the command.
    """

    def __init__(self, config: pathlib.Path, view: ProgressView, end: Ending):
        self._config, self._view, self._end = config, view, end
        self._plan = plans.read(str(config))
        self._place, self._drift = asked(argparse.Namespace(config=str(config)))
        self._opened = contextlib.ExitStack()
        self._asked = 0

    def __enter__(self) -> "Site":
        # Imported here: they take TensorFlow, and a wrong option should be told at once.
        from graft.serving.client import Client
        from graft.serving.server import EmbeddedServer

        self._log = RequestLog(LogOptions(folder=str(self._place.log), rotate_seconds=self._place.rotate_s))
        with contextlib.ExitStack() as undone:
            server = undone.enter_context(
                EmbeddedServer(self._place.store, rest_port=None, poll_s=_STORE_LOOK_S, observers=[self._log])
            )
            self._client: Client = undone.enter_context(Client(server.grpc_address, MODEL))
            self._opened = undone.pop_all()
        self._view.line(f"{MODEL}: served at {server.grpc_address}; requests are logged in {self._place.log}")
        return self

    def __exit__(self, *_) -> None:
        self._opened.close()

    def wait_for(self, version: int) -> None:
        """Returns once the server answers by that version alone. Raises GraftError: it does not within a minute."""
        _until(
            lambda: {one["version"] for one in self._client.status() if one["state"] == "AVAILABLE"} == {version},
            f"version {version} of {MODEL} was pushed, and the server does not answer by it",
        )

    def ask(self, shown: Images) -> "list[Prediction]":
        """A request for each picture; returns once all of them are in finished files of the log.

        Raises:
            GraftError: a request failed, or the log lost one.
        """
        answers = []
        for pixels in shown.pixels:
            answers += self._client.predict_contents([pictures.png(pixels)])
        self._asked += len(answers)
        _until(self._is_logged, f"{self._place.log}: {self._asked} requests were served, and not all are in the log")
        return answers

    def _is_logged(self) -> bool:
        return self._log.counts["records"] == self._asked and not list(self._place.log.glob(f"*{PART}"))

    def label(self, day: int, answers: "Sequence[Prediction]", truth: Sequence[str]) -> None:
        """The labels of a day come, as by `graft label`. Raises GraftError: some of them find no request."""
        path = self._config.parent / "labels" / f"day-{day:02d}.jsonl"
        path.parent.mkdir(exist_ok=True)
        rows = (
            {"request_id": one.request_id, "row": one.row, "label": label}
            for one, label in zip(answers, truth, strict=True)
        )
        write_atomic(path, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
        with LabelStore(self._place.log) as store:
            added = take(MODEL, path, ("label",), store)
        if (added.added, added.matched) != (len(answers), len(answers)):
            raise GraftError(f"{path}: {len(answers)} labels came, {added.added} were added, {added.matched} matched")

    def look(self) -> Pass:
        """A pass of the monitor, as by `graft monitor`."""
        with Monitor(self._place, self._drift) as monitor:
            return monitor.look()

    def retrain(self) -> "tuple[Decision, RunResult | None]":
        """Decides, and runs what is due, as by `graft retrain`. Raises KeyboardInterrupt: a signal ended the run."""
        self._end.go_on()
        made, result = retraining.attempt(self._plan, Local(self._plan, self._view, self._end))
        if result is not None:
            if result.status == INTERRUPTED:
                raise KeyboardInterrupt from result.failure
            self._end.ended()
        return made, result


def _until(is_so: Callable[[], bool], otherwise: str) -> None:
    for _ in _looks():
        if is_so():
            return
    raise GraftError(f"{otherwise} after {_WAIT_S:.0f} s")


def _looks() -> Iterator[None]:
    """Until the time is over, the last one after it."""
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        yield
        time.sleep(_LOOK_S)
    yield
