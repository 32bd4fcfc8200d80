"""`graft` and ingestion on hostile input, each call in a process of its own that may crash, hang or eat memory.

They are forked from one process that has the slow imports behind it, so that a call costs a fraction of a second.
"""

import atexit
import dataclasses
import functools
import os
import pathlib
import pickle
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from typing import Any

SECONDS = 60
"""A call that takes longer hangs; the attacks here take seconds at most, also on a busy machine."""

_MOST_MEMORY = 6 * 2**30


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a call ended.

    Attributes:
      code: Its exit code; negative: the signal that ended it.
      lines: What it said on stderr.
      output: What it printed on stdout.
      memory: Most memory that it or a process of its own took beyond what the imports take, bytes.
    """

    code: int
    lines: list[str]
    output: str
    memory: int

    def refused(self, *parts: str) -> bool:
        """Whether it ended as an error that a user can mend: exit 2, one line, with these parts.

        Lines before it say what is being checked.
        """
        assert self.code == 2, self
        *checking, error = self.lines
        assert all(line.endswith((": checking the data", ": loading TensorFlow")) for line in checking), self
        assert error.startswith("graft: "), self
        assert all(part in error for part in parts), self
        return True


class Caller:
    """Makes the calls. Use `caller`.

    Attributes:
      folder: Their working directory, in which modules are found too.
    """

    def __init__(self, process: subprocess.Popen, folder: pathlib.Path):
        self._process = process
        self.folder = folder

    def graft(self, *argv: str | os.PathLike) -> Ended:
        """Runs `graft` with these arguments."""
        return self._call("graft", [os.fspath(argument) for argument in argv])

    def ingest(self, folder: pathlib.Path, **data: Any) -> Ended:
        """Ingests with these data options into `folder`; prints the summary as JSON."""
        return self._call("ingest", [str(folder), {**data, "path": str(data["path"])}])

    def _call(self, kind: str, arguments: Sequence) -> Ended:
        content = pickle.dumps((kind, list(arguments)))
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(struct.pack("<I", len(content)) + content)
        self._process.stdin.flush()
        return Ended(*pickle.load(self._process.stdout))


@functools.cache
def caller() -> Caller:
    """The one that all tests of a session share; it ends with them."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="attacks-"))
    paths = (str(folder), os.environ.get("PYTHONPATH", ""))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )

    def end() -> None:
        process.communicate()
        shutil.rmtree(folder)

    atexit.register(end)
    return Caller(process, folder)


def _serve() -> None:
    import pyarrow.parquet  # noqa: F401
    import tensorflow  # noqa: F401
    from apache_beam.options import pipeline_options  # noqa: F401

    import graft.components.ingest.ingestion
    import graft.pipeline.run  # noqa: F401

    answers = os.fdopen(os.dup(1), "wb")
    while head := sys.stdin.buffer.read(4):
        kind, arguments = pickle.loads(sys.stdin.buffer.read(struct.unpack("<I", head)[0]))
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as printed:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            child = os.fork()
            if not child:
                _end(kind, arguments, said.fileno(), printed.fileno())
            code, used = _wait(child)
            said.seek(0), printed.seek(0)
            lines = said.read().decode("utf-8", "backslashreplace").splitlines()
            memory = max(0, used - before) * 1024
            pickle.dump((code, lines, printed.read().decode("utf-8", "backslashreplace"), memory), answers)
            answers.flush()


def _wait(child: int) -> tuple[int, int]:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss
        time.sleep(0.01)
    os.killpg(child, 9)
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss


def _end(kind: str, arguments: list, said: int, printed: int) -> None:
    code = 70
    try:
        os.setpgid(0, 0)
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, hard))  # the machine is not to suffer
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(printed, 1)
        os.dup2(said, 2)
        code = _graft(arguments) if kind == "graft" else _ingest(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _graft(argv: list[str]) -> int:
    from graft.pipeline import cli

    return cli.main(argv)


def _ingest(folder: str, data: dict) -> int:
    import dataclasses
    import json

    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from graft.components.beam import LOCAL_BEAM_ARGS
    from graft.components.ingest import ingestion, sources
    from graft.components.ingest.request import make_request
    from graft.models.errors import GraftError

    try:
        summary = ingestion.ingest(
            make_request(sources.parse_options(data)),
            f"{folder}/examples",
            f"{folder}/rejected",
            lambda: beam.Pipeline(options=PipelineOptions(list(LOCAL_BEAM_ARGS))),
        )
    except GraftError as error:
        print(f"graft: {error}", file=sys.stderr)
        return 2
    print(json.dumps(dataclasses.asdict(summary)))
    return 0


if __name__ == "__main__":
    _serve()
