"""What a request log counts, for Prometheus: nothing is dropped in silence."""

import collections
import threading
from collections.abc import Callable
from typing import Literal

from graft.monitoring.exposition import head, line

Reason = Literal["queue_full", "too_large", "disk", "error", "closed"]
_REASONS: tuple[Reason, ...] = ("queue_full", "too_large", "disk", "error", "closed")

_COUNTERS = {
    "records": "Requests that were written.",
    "bytes": "Bytes that were written.",
    "files": "Files that were finished.",
    "unsampled": "Requests that the sample left out.",
    "shortened": "Records whose inputs were left out because they were too long.",
    "disk_errors": "Writes, renames and deletions that the file system refused.",
    "recovered_records": "Records of files whose writer had died.",
    "torn_bytes": "Bytes of half-written records that were cut off there.",
    "deleted_files": "Files that retention deleted.",
}


class Counts:
    """Counters; may be added to from any thread.

    Attributes:
        failing: the last attempt to write failed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: collections.Counter[str] = collections.Counter()
        self._dropped: collections.Counter[Reason] = collections.Counter()
        self.failing = False
        self._waiting: Callable[[], int] = int

    @property
    def waiting(self) -> int:
        """Records that wait to be written."""
        return self._waiting()

    def watch(self, waiting: Callable[[], int]) -> None:
        """Takes `waiting` from there."""
        self._waiting = waiting

    def add(self, **counters: int) -> None:
        """Adds to counters by name."""
        with self._lock:
            self._counted.update(counters)

    def drop(self, reason: Reason, records: int = 1) -> None:
        """Counts records that are not written."""
        with self._lock:
            self._dropped[reason] += records

    def __getitem__(self, name: str) -> int:
        """A counter; `dropped` is the sum of all reasons, `dropped.disk` one of them."""
        with self._lock:
            what, _, reason = name.partition(".")
            if what == "dropped":
                return sum(count for why, count in self._dropped.items() if reason in ("", why))
            return self._counted[name]

    def text(self) -> str:
        """All series in Prometheus' text format; each is there from the beginning, so that a rule sees it move."""
        prefix = "graft_request_log"
        with self._lock:
            counted, dropped = self._counted.copy(), self._dropped.copy()
        lines = []
        for name, text in _COUNTERS.items():
            lines += [
                *head(f"{prefix}_{name}_total", "counter", text),
                line(f"{prefix}_{name}_total", (), counted[name]),
            ]
        lines += head(f"{prefix}_dropped_total", "counter", "Sampled requests that could not be written.")
        lines += [line(f"{prefix}_dropped_total", [("reason", reason)], dropped[reason]) for reason in _REASONS]
        for name, value, text in (
            ("failing", int(self.failing), "Whether the last attempt to write failed."),
            ("waiting_records", self.waiting, "Records that wait to be written."),
        ):
            lines += [*head(f"{prefix}_{name}", "gauge", text), line(f"{prefix}_{name}", (), value)]
        return "\n".join(lines) + "\n"
