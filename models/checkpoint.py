"""One training state on disk, replaced as a whole, so that a killed run finds the last one intact."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from graft.models import durable
from graft.models.errors import GraftError, one_line
from graft.models.hashing import hash_json


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
        self._identity = hash_json(identity)
        self.path = Path(folder) / f"{self._identity[:32]}.npz"

    def save(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Writes the state beside the old one, then takes its place: a reader sees the old or the new, whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with durable.replacing(self.path, self.path.with_suffix(".partial")) as partial, partial.open("wb") as file:
            np.savez(file, identity=np.array(self._identity), meta=np.array(json.dumps(meta)), **arrays)

    def load(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """The last state saved, or None where there is none.

        Raises:
            GraftError: the file is there but is not what `save` wrote, or not for this training.
        """
        if not self.path.is_file():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                if str(stored["identity"]) != self._identity:
                    raise ValueError("it holds the state of another training")
                meta = dict(json.loads(str(stored["meta"])))
                return meta, {name: stored[name] for name in stored.files if name not in ("identity", "meta")}
        # NumPy and its zip reader raise about anything on a foreign file: OSError, EOFError, zlib.error...
        except Exception as error:
            raise self.unfit(error) from error

    def unfit(self, error: Exception) -> GraftError:
        """What to raise where the state cannot be read, or cannot be put back."""
        reason = one_line(error)
        return GraftError(f"{self.path}: not a readable checkpoint ({reason}); delete it to start anew")

    def remove(self) -> None:
        """Deletes the state: the training is done."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".partial").unlink(missing_ok=True)
