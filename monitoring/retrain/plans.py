"""What a configuration says of retraining: its options, its places, and the configuration of such a run."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

from graft.models.errors import GraftError
from graft.monitoring.options import MonitoringOptions
from graft.monitoring.request_log import label_spans
from graft.monitoring.request_log.source import NAME as SOURCE
from graft.monitoring.retrain import audit
from graft.monitoring.retrain.options import RetrainOptions
from graft.pipeline import config as configs
from graft.pipeline.config import Config
from graft.pipeline.sections import section

_OF_ALL_DATA = ("split", "target", "max_rejected", "schema", "slices", "group", "domain", "weight")
"""Keys of `data` that the log takes over from the data that the model was made from."""
_NOT_OF_BASE = ("target", "max_rejected", "schema")

Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a configuration says of retraining.

    Attributes:
        path: the file.
        config: as `graft run` reads it.
        options: section `monitoring.retrain`.
        log: folder of the request log.
        windows: folder of the monitor's results.
    """

    path: str
    config: Config
    options: RetrainOptions
    log: pathlib.Path
    windows: pathlib.Path

    @property
    def folder(self) -> pathlib.Path:
        """Of audit and lock."""
        return self.config.run_root / audit.FOLDER

    @functools.cached_property
    def known_labels(self) -> tuple[str, ...] | None:
        """The classes of the served model, where labels may name no others; None where the target decides.

        Raises:
            GraftError: the store cannot be read.
        """
        # Imported here: they bring NumPy and a store, and a pause needs neither.
        from graft.models.signals.reference import PLACE, Reference
        from graft.serving.store import open_store

        target = self.config.target
        if self.options.new_classes or getattr(target, "class_names", None):
            return None
        store, model = open_store(self.config.store), self.config.name
        served = store.served(model) if model in store.models() else None
        if served is None:
            return None
        place = store.version_path(model, served) / PLACE
        if not place.is_file():  # an older Graft pushed it
            return None
        known = Reference.load(place).restored_target()
        return known.names if known.has_vocabulary and known.kind == target.kind else None

    def data(self, labelled_until: float | None = None) -> Json:
        """Section `data` of a retraining.

        Args:
            labelled_until: labels that came later are not learned from; None: all.
        """
        given = self.config.data.model_dump(mode="json", by_alias=True)
        if given["source"] == SOURCE:
            found = dict(given)
        else:
            found = {key: given[key] for key in _OF_ALL_DATA if key in given}
            if self.options.base:
                found["base"] = {key: value for key, value in given.items() if key not in _NOT_OF_BASE}
        found |= {"source": SOURCE, "path": str(self.log), "model": self.config.name}
        if self.options.most_labels is not None:
            found["most"] = self.options.most_labels
        if self.known_labels is not None and not found.get("known_labels"):
            found["known_labels"] = list(self.known_labels)
        if labelled_until is not None:
            found["labelled_until"] = label_spans.as_time(labelled_until)
        return found

    def retraining(self, labelled_until: float | None = None) -> Config:
        """The configuration of a retraining. Raises GraftError: the data of the log does not go with the rest."""
        whole = self.config.model_dump(mode="json", by_alias=True)
        return configs.parse(whole | {"data": self.data(labelled_until)}, self.path)


def read(path: str, overrides: Sequence[str] = ()) -> Plan:
    """Reads a configuration. Raises GraftError: it is not sound, or names no log."""
    config = configs.load(path, list(overrides))
    wanted = section(config, "monitoring", MonitoringOptions)
    log = wanted.retrain.folder or wanted.request_log.folder
    if log is None:
        raise GraftError(
            f"{path}: monitoring.retrain.folder and monitoring.request_log.folder are null; give the folder of the log"
        )
    windows = pathlib.Path(wanted.drift.folder) if wanted.drift.folder else config.run_root / "drift"
    return Plan(path, config, wanted.retrain, pathlib.Path(log), windows)
