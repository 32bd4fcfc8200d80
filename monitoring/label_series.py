"""Series of labels that came late, or did not come, from the database beside a request log; it is only read."""

import pathlib

from graft.models.errors import GraftError
from graft.monitoring.database import read_only
from graft.monitoring.exposition import head, line
from graft.monitoring.request_log.labels import NAME

_QUERIES = {
    "graft_labels": ("Labels that came.", "SELECT model, count(*) FROM labels GROUP BY model"),
    "graft_labels_conflicting": (
        "Labels that were refused, as another one was there.",
        "SELECT model, count(*) FROM conflicts GROUP BY model",
    ),
    "graft_labels_unmatched": (
        "Labels whose request is not in the log.",
        "SELECT model, count(*) FROM labels l WHERE NOT EXISTS (SELECT 1 FROM requests r "
        "WHERE r.request_id = l.request_id AND r.model = l.model) GROUP BY model",
    ),
    "graft_requests_unlabelled": (
        "Logged requests without any label: the backlog.",
        "SELECT model, count(DISTINCT request_id) FROM requests r WHERE model != '' AND NOT EXISTS (SELECT 1 FROM "
        "labels l WHERE l.model = r.model AND l.request_id = r.request_id) GROUP BY model",
    ),
}


class Labels:
    """The labels beside one log.

    Args:
        folder: of the log. `graft label` makes the database there and notes the requests of finished files.
    """

    def __init__(self, folder: pathlib.Path):
        self._path = folder / NAME

    def lines(self) -> list[str]:
        """All series in the text format; of a log without labels none. Raises GraftError: it cannot be read."""
        counted = self.counted()
        models = sorted({model for of_model in counted.values() for model in of_model})
        lines = []
        for name, (text, _) in _QUERIES.items():
            lines += head(name, "gauge", text)
            lines += [line(name, [("model", model)], counted[name].get(model, 0)) for model in models]
        return lines

    def counted(self) -> dict[str, dict[str, int]]:
        """Counts by series and model; of a log without labels none. Raises GraftError: it cannot be read."""
        if not self._path.parent.is_dir():
            raise GraftError(f"{self._path.parent}: no such folder; it must be the folder of a request log")
        if not self._path.exists():
            return {}
        with read_only(self._path, "the labels of a request log") as database:
            return {name: dict(database.execute(query).fetchall()) for name, (_, query) in _QUERIES.items()}
