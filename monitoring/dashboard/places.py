"""What the dashboard shows: folders of runs, model stores, a request log. Nothing here writes."""

import dataclasses
import pathlib
from collections.abc import Mapping

from graft.models.errors import GraftError
from graft.serving.store_kind import S3


@dataclasses.dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        root: of the runs.
        stores: addresses of model stores.
        log: folder of the request log, None for none.
        drift: what a configuration says in place of `ROOT/PIPELINE/drift`, by pipeline.
    """

    root: pathlib.Path
    stores: tuple[str, ...] = ()
    log: pathlib.Path | None = None
    drift: Mapping[str, pathlib.Path] = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        """Raises GraftError: a folder is not there. A mistyped name must not look like a place without anything."""
        folders = [("the runs", self.root), *(("a model store", pathlib.Path(s)) for s in self.stores if _is_local(s))]
        if self.log is not None:
            folders.append(("the request log", self.log))
        for what, folder in folders:
            if not folder.is_dir():
                raise GraftError(f"{folder}: no such folder; it must be the folder of {what}")


def _is_local(store: str) -> bool:
    return not store.startswith(S3)
