"""What a monitor found: a JSON line for each window, in `windows.jsonl` in its folder. The monitor alone adds to it."""

import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from graft.models.errors import GraftError
from graft.monitoring.json_lines import parsed

NAME = "windows.jsonl"

Against = Literal["reference", "previous", "first", "limit"]
Group = Literal["input", "prediction", "service", "quality"]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Test(_Line):
    """One comparison.

    Attributes:
        signal: its name; `feature_vector` is all of the input as the model sees it, `errors` and `latency` are of the
            requests, `score` is of their labels.
        group: what it is of.
        against: the version's reference, the window before, the version's first window, or a limit of the
            configuration.
        rows: of the window that have the signal.
        effect: how large the change is: Jensen-Shannon distance, 0 to 1; of `feature_vector` 2 AUC - 1, 0 to 1; of
            `errors` the rise of their share, of `score` the fall of its mean, of a limit by how much the share
            exceeds it.
        least_effect: what it must reach.
        p_value: chance of this or more if nothing changed; exact, or larger than that.
        level: the chance that the window's look had to spend.
        alarm: it is significant among all tests of the window, and the effect is large enough.
    """

    __test__ = False  # for pytest

    signal: str
    group: Group
    against: Against
    rows: int
    effect: float
    least_effect: float
    p_value: float
    level: float
    alarm: bool


class Mean(_Line):
    """A mean with its interval, which misses the true one with a chance of at most `miss`."""

    mean: float
    low: float
    high: float
    miss: float
    rows: int


class Vectors(_Line):
    """Feature vectors of a window beside those of the reference.

    Attributes:
        rows: of the window that were embedded.
        reference_rows: of the reference.
        auc: how well a domain classifier tells new ones apart, 0.5 by guessing; its `rows` are those that it was
            measured on. None where they were not compared.
        p_value: chance of this AUC or a larger one if nothing changed; exact.
        unwatched: why they were not compared; empty where they were.
    """

    rows: int
    reference_rows: int
    auc: Mean | None = None
    p_value: float = 1.0
    unwatched: str = ""


class Window(_Line):
    """A span of requests to one version, or of labels that came for them.

    Attributes:
        kind: `requests` or `labels`.
        model, version: whose.
        number: from 1, of the version; requests and labels are counted together: it is the number of the look.
        begin, end: seconds since 1970: the earliest and latest time of its requests.
        closed: seconds since 1970 of the monitor's clock.
        reason: why it ended: `rows`, `time` or, of labels, `labels`.
        requests: served, failed ones among them.
        rows: examples in answered requests.
        late: requests that came after their span had been judged.
        ahead: requests whose time lay in the future.
        unmeasured: rows of which inputs or outputs were not logged, by `inputs` and `outputs`.
        violations: rows that the model should not have been asked, by reason.
        statuses: requests by status.
        latency_s: quantiles of answered requests' seconds, each rounded up: `0.5`, `0.95`, `0.99`.
        counts: rows in each bin by signal; the bins are the reference's.
        tests: all comparisons.
        quality: of labels, the mean score.
        estimate: of requests, how good the answers probably are, from the answers alone.
        vectors: of requests, their feature vectors; None where these are not asked for.
        drifted: whether a test is an alarm, other than one against the window before.
        changed: whether one against the window before is: something moved, away or back.
        in_row: windows that drifted one after the other, this one included, by group.
        reference_time: seconds since 1970, when the version was pushed.
    """

    kind: Literal["requests", "labels"]
    model: str
    version: int
    number: int
    begin: float
    end: float
    closed: float
    reason: Literal["rows", "time", "labels"]
    requests: int
    rows: int
    late: int = 0
    ahead: int = 0
    unmeasured: Mapping[str, int] = {}
    violations: Mapping[str, int] = {}
    statuses: Mapping[str, int] = {}
    latency_s: Mapping[str, float] = {}
    counts: Mapping[str, tuple[int, ...]] = {}
    tests: tuple[Test, ...] = ()
    quality: Mean | None = None
    estimate: Mean | None = None
    vectors: Vectors | None = None
    drifted: bool
    changed: bool = False
    in_row: Mapping[str, int] = {}
    reference_time: float | None = None

    @property
    def alarms(self) -> tuple[Test, ...]:
        """The tests that are alarms."""
        return tuple(test for test in self.tests if test.alarm)


def read(folder: pathlib.Path) -> Iterator[Window]:
    """The windows in the order in which they were judged; none where there is no such file yet.

    A line that is being written is not there yet. Raises GraftError: a line is damaged.
    """
    path = folder / NAME
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield parse(line, f"{path}:{number}")
    except FileNotFoundError:
        return
    except OSError as error:
        raise GraftError(f"{path}: {error.strerror}") from error


def parse(line: bytes | str, place: str) -> Window:
    """A window of its line. Raises GraftError, which names `place`."""
    return parsed(Window, line, place, "a window as `graft monitor` writes it")


def line(window: Window) -> str:
    """The line of a window, without its end."""
    return json.dumps(window.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
