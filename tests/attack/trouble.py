"""A small pipeline on a disk of its own, which has run once, and trouble that begins in the executor of a stage."""

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator

import pytest
from workshop import Outcome, Workshop

DISK_MB = 64
_made: list["Troubled"] = []


class Troubled(Workshop):
    """A workshop whose stages meet trouble."""

    @property
    def root(self) -> pathlib.Path:
        """Folder of the pipeline."""
        return self.folder / "runs" / "shapes"

    def at(self, stage: str, trouble: Callable[[], None], *args: str, after: bool = False) -> Outcome:
        """Runs from `stage` on in this process; `trouble` is called where its executor begins, or after it."""
        from graft.pipeline import ending, local

        real = local.Launcher._run_executor

        def run_executor(launcher, info):
            here = info.pipeline_node.node_info.id == stage
            if here and not after:
                trouble()
            output = real(launcher, info)
            if here and after:
                trouble()
            return output

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local.Launcher, "_run_executor", run_executor)
            # Its end would be the end of the tests' process, and a busy machine may need longer than a user waits.
            patch.setattr(ending, "FAILURE_S", 300.0)
            return self.again("--from", stage, *args)

    def left_over(self) -> list[pathlib.Path]:
        """What no run that has ended may leave: temporary files, folders of executions that did not end well."""
        from graft.pipeline.metadata import Metadata

        metadata = Metadata(self.root)
        done = {e.id for run in metadata.runs() for e in metadata.executions(run) if e.state in ("COMPLETE", "CACHED")}
        files = [*self.folder.rglob("*.partial"), *self.folder.rglob(".tmp-*")]
        folders = (path for pattern in ("*/*/*", "*/.system/*/*") for path in (self.root / "artifacts").glob(pattern))
        return [*files, *(path for path in folders if path.name.isdecimal() and int(path.name) not in done)]

    def states(self, run_id: str) -> dict[str, str]:
        """Stage -> state of its execution in the metadata store."""
        from graft.pipeline.metadata import Metadata

        return {e.stage: e.state for e in Metadata(self.root).executions(run_id)}


@contextlib.contextmanager
def filled(folder: pathlib.Path, left: int = 0) -> Iterator[Callable[[], None]]:
    """A function that takes the room on the disk of `folder` but for `left` bytes; it is given back at the end."""
    ballast = folder / "ballast"

    def fill() -> None:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        os.truncate(ballast, ballast.stat().st_size - left)

    try:
        yield fill
    finally:
        ballast.unlink(missing_ok=True)


def _mount(folder: pathlib.Path, config: pytest.Config) -> bool:
    """Whether `folder` now is a small file system of its own."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return False
    config.add_cleanup(lambda: subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False))
    return True


@pytest.fixture(scope="session")
def troubled(workshop, tmp_path_factory, request) -> Troubled:
    """The pipeline; it lies on a small file system where that may be mounted (see `own_disk`)."""
    if not _made:  # several test files import this fixture, and the pipeline runs once
        folder = tmp_path_factory.mktemp("troubled")
        _mount(folder, request.config)
        _made.append(Troubled(folder, workshop.config))
        assert _made[0].again().code == 0
    return _made[0]


@pytest.fixture(scope="session")
def own_disk(troubled) -> Troubled:
    """The same, on a disk that a test may fill."""
    if troubled.folder.stat().st_dev == troubled.folder.parent.stat().st_dev:
        pytest.skip("no file system of its own can be mounted here: that takes root")
    return troubled
