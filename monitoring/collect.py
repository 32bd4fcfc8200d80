"""Puts the series of runs, store and labels on one page. A part that cannot be read fails alone, and says so there."""

import logging
import time
from collections.abc import Callable, Mapping

from graft.models.errors import GraftError
from graft.monitoring.exposition import head, line

logger = logging.getLogger(__name__)


class Collector:
    """Makes the page.

    Args:
        parts: what makes the lines of each part, by its name; raises GraftError where it cannot.

    Attributes:
        faults: of the last page, a line each.
    """

    def __init__(self, parts: Mapping[str, Callable[[], list[str]]]):
        self._parts = parts
        self.faults: list[str] = []

    def page(self) -> str:
        """The text format. Faults are logged when they are new."""
        before, self.faults = self.faults, []
        lines, failed = [], []
        for name, make in self._parts.items():
            try:
                lines += make()
                failed.append((name, 0))
            except GraftError as error:
                self.faults.append(f"{name}: {error}")
                failed.append((name, 1))
        for fault in self.faults:
            if fault not in before:
                logger.error("%s", fault)
        lines += head("graft_collection_failed", "gauge", "Whether a part could not be read; its series are missing.")
        lines += [line("graft_collection_failed", [("part", name)], value) for name, value in failed]
        lines += head("graft_collection_timestamp_seconds", "gauge", "When this was collected, since 1970.")
        lines.append(line("graft_collection_timestamp_seconds", (), time.time()))
        return "\n".join(lines) + "\n"
