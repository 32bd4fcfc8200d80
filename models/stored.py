"""Files that an earlier stage wrote and that may be cut or damaged by now: one line that names file and remedy."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from graft.models.errors import GraftError, one_line


@contextlib.contextmanager
def reading(path: str | Path, stage: str) -> Iterator[None]:
    """Around the reading of a file that `stage` wrote.

    Raises:
        GraftError: the file is missing or damaged, whatever its reader says of it.
    """
    try:
        yield
    except (GraftError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise GraftError(f"{path}: missing; the {stage} stage writes it") from error
    # NumPy and its zip reader raise about anything on a damaged file: OSError, EOFError, zlib.error, struct.error...
    except Exception as error:
        reason = one_line(error)
        raise GraftError(
            f"{path}: damaged or cut ({reason}); run again with --from {stage}, which writes it anew"
        ) from error
