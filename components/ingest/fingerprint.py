"""A fingerprint of the data on disk, which makes an unchanged folder a cache hit and a changed one a miss."""
# ruff: noqa: PTH112, PTH116, PTH120
# os.path, for names that are many: a Path costs several times a stat.

import hashlib
import os
import pathlib
import stat

from graft.components.ingest.request import Request
from graft.components.ingest.spans import open_sources
from graft.models.hashing import hash_file


def fingerprint(request: Request) -> str:
    """Fingerprints all files that the source would read.

    Args:
      request: What is asked for; `data.fingerprint` says what is looked at.

    Returns:
      Hex sha256 over the files, sorted; the options themselves are no part of it. A file counts with its span, its path
      relative to the source and, in mode `fast`, size in bytes, modification and change time in ns; in mode `content`,
      the sha256 of its content. The change time moves with every write, whatever sets the modification time back, and
      with every copy. A source that knows its examples by identity counts with those, whatever files they lie in.

    Raises:
      GraftError: The path is missing, or holds no span.
    """
    rows = []
    for span, source in open_sources(request):
        asked = source.request.main or source.request.data
        look = _content if asked.fingerprint == "content" else _size_and_times
        if (digests := source.digests()) is not None:
            rows += [b"%s\0%s\n" % (str(span).encode(), digest.hex().encode()) for digest in digests]
            continue
        root = source.path if os.path.isdir(source.path) else os.path.dirname(source.path)
        for path in source.files():
            name = os.fsencode(os.path.relpath(path, root))
            rows.append(b"%s\0%s\0%s\n" % (str(span).encode(), name, look(path).encode()))
    return hashlib.sha256(b"".join(sorted(rows))).hexdigest()


def _size_and_times(path: str) -> str:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # missing, a broken link, a NUL in the name: ingestion will say so
        return "unreadable"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _content(path: str) -> str:
    try:
        # Opening a FIFO that nobody writes to would wait for ever.
        return hash_file(pathlib.Path(path)) if stat.S_ISREG(os.stat(path).st_mode) else "no file"
    except (OSError, ValueError):
        return "unreadable"
