"""Finding the files of a source that keeps many examples in a file."""
# ruff: noqa: PTH110, PTH112, PTH118, PTH202, PTH207, PTH208
# Names that are not UTF-8 are handled as text.

import glob
import os

from graft.models.errors import GraftError
from graft.models.text import located

_CHUNKS_WANTED = 16
_MIN_CHUNK_BYTES = 2**23


def find_files(path: str, kind: str, suffixes: tuple[str, ...]) -> list[str]:
    """The files that `path` stands for.

    Args:
      path: A file, a folder (its files with one of `suffixes` in their name) or a pattern with `*`.
      kind: What they are, for the message.
      suffixes: Parts of a name that tell such files in a folder (`.tfrecord` also finds `x.tfrecord-00000-of-00001`).

    Raises:
      GraftError: There is none.
    """
    if os.path.isdir(path):
        try:
            names = [name for name in os.listdir(path) if not name.startswith(".")]
        except OSError as error:
            raise GraftError(
                f"data.path {located(path)}: {error.strerror}; it must be a folder that may be read"
            ) from error
        found = [os.path.join(path, name) for name in names if any(suffix in name for suffix in suffixes)]
        wanted = f"files with {' or '.join(suffixes)} in their name"
    elif os.path.exists(path):
        return [path]
    else:
        found = glob.glob(path)
        wanted = "a file, a folder or a pattern that matches files"
    if not found:
        raise GraftError(f"data.path {located(path)}: no {kind} files there; it must be {wanted}")
    return sorted(found, key=os.fsencode)


def group(paths: list[str]) -> list[tuple[str, ...]]:
    """Joins small files, in order, so that a chunk is worth its shards."""
    sizes = [_size(path) for path in paths]
    enough = max(_MIN_CHUNK_BYTES, sum(sizes) // _CHUNKS_WANTED)
    groups: list[list[str]] = []
    filled = enough
    for path, size in zip(paths, sizes, strict=True):
        if filled >= enough:
            groups.append([])
            filled = 0
        groups[-1].append(path)
        filled += size
    return [tuple(paths) for paths in groups]


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # gone since it was listed: reading will say so
        return 0
