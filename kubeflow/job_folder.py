"""The folder on a shared volume over which the task of a stage and its workers hand each other what they have."""

import json
import logging
import pathlib
import shutil
import time
import types
from typing import Any

from graft.models.durable import discard, write_atomic
from graft.models.errors import GraftError
from graft.models.fn_args import FnArgs

log = logging.getLogger(__name__)

_FORGOTTEN_S = 7 * 24 * 3600
_ARGUMENTS, _DONE, _FAILED = "fn_args.json", "done", "failed"
_PATTERNS = ("train_files", "eval_files")
_RESULTS = {"serving_model_dir": "model", "model_run_dir": "run"}


class JobFolder:
    """What one job works on, and how far it is.

    Args:
        path: of the folder, at the same place in every pod.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path

    def fill(self, fn_args: FnArgs) -> None:
        """Copies the inputs of a training here, and writes what `arguments` reads; what is there already stays.

        Raises:
            OSError: the volume is full, or cannot be written.
        """
        if (self.path / _ARGUMENTS).exists():
            return
        held: dict[str, Any] = {name: str(self.path / folder) for name, folder in _RESULTS.items()}
        for name in _PATTERNS:
            patterns = [pathlib.Path(pattern) for pattern in getattr(fn_args, name)]
            held[name] = [str(self._copied(one.parent, f"{name}-{i}") / one.name) for i, one in enumerate(patterns)]
        held["transform_graph_path"] = str(self._copied(pathlib.Path(fn_args.transform_graph_path), "transform"))
        features = self._copied(pathlib.Path(fn_args.custom_config["features_path"]), "features")
        held["custom_config"] = {**fn_args.custom_config, "features_path": str(features)}
        write_atomic(self.path / _ARGUMENTS, json.dumps(held).encode())

    def arguments(self) -> FnArgs:
        """Of the training, for `run_fn`.

        Raises:
            GraftError: they are not here.
        """
        path = self.path / _ARGUMENTS
        try:
            return types.SimpleNamespace(**json.loads(path.read_text(encoding="utf-8")))  # type: ignore[return-value]
        except (OSError, ValueError) as error:
            raise GraftError(
                f"{path}: cannot be read; the task of the stage writes it, on a volume of every pod"
            ) from error

    def clear_results(self) -> None:
        """Deletes what a chief that was killed has written."""
        for folder in _RESULTS.values():
            shutil.rmtree(self.path / folder, ignore_errors=True)

    @property
    def done(self) -> bool:
        """Whether all results are here."""
        return (self.path / _DONE).exists()

    def finish(self) -> None:
        """Says that they are."""
        write_atomic(self.path / _DONE, b"")

    @property
    def failure(self) -> str:
        """Why a worker says that to go on is of no use; empty while none does."""
        path = self.path / _FAILED
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def fail(self, line: str) -> None:
        """Says so."""
        write_atomic(self.path / _FAILED, line.encode())

    def retry(self) -> None:
        """Takes back that a worker said so."""
        (self.path / _FAILED).unlink(missing_ok=True)

    def log(self, worker: int) -> pathlib.Path:
        """The file that a worker logs to."""
        return self.path / f"worker-{worker}.log"

    def take(self, fn_args: FnArgs) -> None:
        """Copies the results to where the stage wants them."""
        for name, folder in _RESULTS.items():
            shutil.copytree(self.path / folder, getattr(fn_args, name), dirs_exist_ok=True)

    def sweep(self) -> None:
        """Deletes folders of other jobs that nobody has written to for a week: their runs were ended from outside."""
        for other in self.path.parent.glob("*"):
            if time.time() - max(path.stat().st_mtime for path in (other, *other.glob("*"))) > _FORGOTTEN_S:
                JobFolder(other).discard()

    def discard(self) -> None:
        """Deletes the folder."""
        try:
            discard(self.path)
        except OSError as error:
            log.warning("%s: cannot be deleted (%s); delete it by hand", self.path, error.strerror)

    def _copied(self, source: pathlib.Path, name: str) -> pathlib.Path:
        target = self.path / "inputs" / name
        shutil.copytree(source, target, dirs_exist_ok=True)
        return target
