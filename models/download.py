"""Downloads the archive of a SavedModel into a private cache; whole, within bounds, or not at all.

`tensorflow_hub` keeps no time, follows a redirect from https to http, and keeps what it gets in a shared temporary
folder. The form of the request and of the cache are its own, so that a cache that was filled with it is used.
"""

import contextlib
import gzip
import hashlib
import http.client
import os
import pathlib
import shutil
import ssl
import tarfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator
from typing import IO, Any

from graft.models import durable
from graft.models.errors import GraftError, kernel_reason
from graft.models.private_folder import hub_cache

REMOTE = ("http://", "https://", "gs://")
ANSWER_S = 30.0
"""Seconds that a server may be silent."""
DOWNLOAD_S = 3600.0
"""Seconds for a whole download."""
MAX_BYTES = 4 << 30
"""Largest archive, and most bytes that one may unpack to."""
MAX_FILES = 10_000

_CHUNK = 1 << 20
_LARGEST_HEADER = 1 << 20
_ARCHIVES = (".tar", ".tar.gz", ".tgz")


def fetch(handle: str, allow_http: bool = False) -> pathlib.Path:
    """The folder in the cache that holds what `handle` names; downloaded if it is not there.

    Args:
        handle: a TF-Hub or Kaggle URL, or that of a .tar.gz of a SavedModel.
        allow_http: whether http, which anybody on the way can change, will do.

    Raises:
        GraftError: it cannot be downloaded, is no such archive, or lies beyond the bounds above.
    """
    if handle.startswith("http://") and not allow_http:
        raise GraftError(
            f"backbone {handle!r} is not https: anybody on the way can change it; allowed: https://, or "
            "backbone.allow_http: true with backbone.sha256"
        )
    name = hashlib.sha1(handle.encode()).hexdigest()
    target = hub_cache() / name
    if _is_whole(target):  # before the lock, which a cache that is only read has no place for
        return target
    try:
        # One download at a time of one address; the others wait and find it done.
        with durable.locked(target.with_suffix(".lock")):
            if _is_whole(target):
                return target
            with durable.filling(target) as partial:
                archive = durable.temporary_path(partial)
                _download(handle, archive, allow_http)
                _unpack(archive, partial)
                archive.unlink()
    # zlib's, tarfile's and the client's errors are of many kinds; a ValueError comes from an address that is none.
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, http.client.HTTPException) as error:
        raise GraftError(
            f"backbone {handle!r} cannot be downloaded: {error}. Check the address and the network, or download it "
            "elsewhere and give the folder that holds saved_model.pb"
        ) from error
    return target


def _download(handle: str, target: pathlib.Path, allow_http: bool) -> None:
    """In a thread of its own: a server that drips bytes, or a name that does not resolve, must not hold the run."""
    end = time.monotonic() + DOWNLOAD_S
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with _open(handle, allow_http) as source, target.open("xb") as copy:
                while chunk := source.read(_CHUNK):
                    copy.write(chunk)
                    if copy.tell() > MAX_BYTES:
                        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
                    if time.monotonic() > end:
                        return
        except BaseException as error:  # raised again where it can be shown
            failed.append(error)

    thread = threading.Thread(target=work, name="download", daemon=True)
    thread.start()
    thread.join(DOWNLOAD_S)
    if failed:
        raise failed[0]
    if thread.is_alive() or time.monotonic() > end:
        raise TimeoutError(f"not done after {DOWNLOAD_S:g} s")


@contextlib.contextmanager
def _open(handle: str, allow_http: bool) -> Iterator["IO[bytes] | _Answer"]:
    if handle.startswith("gs://"):
        import tensorflow as tf  # it knows how to ask Google's storage, over https

        if not handle.endswith(_ARCHIVES):
            raise ValueError(f"a gs:// address must be that of an archive ({', '.join(_ARCHIVES)})")
        try:
            with tf.io.gfile.GFile(handle, "rb") as source:
                yield source
        except tf.errors.OpError as error:
            raise OSError(kernel_reason(error.message)) from error
        return
    opener = urllib.request.OpenerDirector()  # not build_opener, which also opens file: and ftp:
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(allow_http),
    ):
        opener.add_handler(handler)
    parts = urllib.parse.urlsplit(handle)
    query = urllib.parse.urlencode([*urllib.parse.parse_qsl(parts.query), ("tf-hub-format", "compressed")])
    with opener.open(urllib.parse.urlunsplit(parts._replace(query=query)), timeout=ANSWER_S) as response:
        yield _Answer(response)


class _Answer:
    """Gives what has come so far: `read` of a response waits for all that was asked for, however slowly it drips."""

    def __init__(self, response: http.client.HTTPResponse):
        self._response = response
        length = response.headers.get("Content-Length", "")
        self._missing = int(length) if length.isdigit() else 0

    def read(self, size: int) -> bytes:
        chunk = self._response.read1(size)
        self._missing -= len(chunk)
        if not chunk and self._missing > 0:  # read1 does not say so itself
            raise http.client.IncompleteRead(b"", self._missing)
        return chunk


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, allow_http: bool):
        self._schemes = ("https", "http") if allow_http else ("https",)

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in self._schemes:
            raise ValueError(f"it leads to {newurl!r}; allowed: {' and '.join(self._schemes)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _unpack(archive: pathlib.Path, folder: pathlib.Path) -> None:
    """Unpacks plain files and folders; anything else is refused."""
    total = 0
    with archive.open("rb") as packed:
        zipped = packed.read(2) == b"\x1f\x8b"
        packed.seek(0)
        stream = gzip.GzipFile(fileobj=packed) if zipped else packed
        with tarfile.open(fileobj=_Bounded(stream), mode="r:") as tar:  # type: ignore[call-overload]
            for count, member in enumerate(tar, 1):
                path = pathlib.PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or "\0" in member.name:
                    raise ValueError(f"its archive holds {member.name!r}, a path that leads out of it")
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise ValueError(f"its archive holds {member.name!r}, neither a plain file nor a folder")
                total += member.size
                if total > MAX_BYTES or count > MAX_FILES:
                    raise ValueError(f"its archive unpacks to more than {MAX_BYTES} bytes or {MAX_FILES} files")
                target = folder / path
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                assert source is not None
                with target.open("xb") as copy:
                    shutil.copyfileobj(source, copy, _CHUNK)
    if not (folder / "saved_model.pb").is_file():
        raise ValueError("its archive holds no saved_model.pb at its top")


class _Bounded:
    """A stream for tarfile, which reads a header of any length at once."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile):
        self._stream = stream

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise ValueError(f"its archive holds a header of {size} bytes; allowed: {_LARGEST_HEADER}")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if offset > 2 * MAX_BYTES:
            raise ValueError(f"its archive unpacks to more than {MAX_BYTES} bytes")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _is_whole(folder: pathlib.Path) -> bool:
    """A folder gets its name when it is whole; tensorflow_hub may have left an empty one."""
    return folder.is_dir() and any(folder.iterdir())
