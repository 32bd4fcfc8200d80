"""Contents to predict, from files and folders; read one after the other, as they are needed."""

import errno
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator

from graft.models.durable import read_small
from graft.models.errors import GraftError
from graft.models.inputs.base import Input
from graft.models.natural import natural_key
from graft.models.regular_file import open_regular
from graft.models.text import located
from graft.serving.predictor import PredictionError

MAX_FILE_BYTES = 256 << 20
"""Of a content; some shrink before they are sent."""


def find(paths: Iterable[pathlib.Path], takes: Callable[[], Input]) -> list[pathlib.Path]:
    """The files that paths name: each file, and of a folder all that are contents by their names, at any depth.

    Args:
        paths: of files, whatever their names, and folders; hidden ones in these count for nothing.
        takes: gives what the model takes; asked where there is a folder.

    Returns:
        files in the order of the paths, within a folder in the natural order of names.

    Raises:
        GraftError: a path is not there or no regular file, a file is too large, or a folder holds no such file.
    """
    found: list[pathlib.Path] = []
    for path in paths:
        if not path.is_dir():
            require_readable(path)
            found.append(path)
            continue
        input = takes()
        below = sorted(_below(path, input.suffixes), key=lambda one: [natural_key(part) for part in one.parts])
        if not below:
            ends = ", ".join(input.suffixes)
            raise GraftError(f"{located(path)}: no {input.unit} there; the model takes files whose names end in {ends}")
        found += below
    return found


def require_readable(path: pathlib.Path) -> None:
    """Looks at a file that was named, before anything costly starts.

    Raises:
        GraftError: it is not there or no regular file, or it is too large.
    """
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, f"larger than the {MAX_FILE_BYTES} bytes that it may have")
    except OSError as error:
        raise GraftError(f"{located(path)}: {error.strerror}") from None


def _below(folder: pathlib.Path, suffixes: tuple[str, ...]) -> Iterator[pathlib.Path]:
    def stop(error: OSError) -> None:
        raise GraftError(f"{located(error.filename)}: {error.strerror}") from error

    for where, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield pathlib.Path(where, name)


def read(files: Iterable[pathlib.Path]) -> Iterator[bytes | PredictionError]:
    """The content of one file after the other, or why it cannot be read; a pipe is none that can."""
    for place, path in enumerate(files):
        try:
            yield read_small(path, MAX_FILE_BYTES)
        except OSError as error:
            yield PredictionError(f"{located(path)}: {error.strerror}", place=place, file=path)
