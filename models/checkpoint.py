"""One training state on disk, replaced as a whole, so that a killed run finds the last one intact."""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import GraftError


class Checkpoint:
    """The state of one training, in one file named by what is trained.

    Attributes:
        path: the file; absent until the first `save`.
    """

    def __init__(self, folder: str | Path, identity: Any):
        """Names the file; writes nothing.

        Args:
            folder: where checkpoints lie; made at the first save.
            identity: whatever decides the outcome (data hashes, options), as JSON types. Another identity is another
                file, so a changed setting never continues an old run.
        """
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self.path = Path(folder) / f"{digest[:32]}.npz"

    def save(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Writes the state beside the old one, then takes its place: a reader sees the old or the new, whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                np.savez(file, meta=np.array(json.dumps(meta)), **arrays)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except BaseException:  # the disk may be full: the room goes back
            partial.unlink(missing_ok=True)
            raise

    def load(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """The last state saved, or None where there is none.

        Raises:
            GraftError: the file is there but is not what `save` wrote.
        """
        if not self.path.is_file():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                meta = json.loads(str(stored["meta"]))
                return meta, {name: stored[name] for name in stored.files if name != "meta"}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise GraftError(f"{self.path}: not a readable checkpoint ({error}); delete it to start anew") from error

    def remove(self) -> None:
        """Deletes the state: the training is done."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".partial").unlink(missing_ok=True)
