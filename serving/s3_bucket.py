"""What a model store asks of an S3-compatible object store, and what it makes of the answers.

Each write of an object is whole or not at all, and each carries the sha256 of its bytes, which the server compares
(x-amz-checksum-sha256). A server that does not say in its answer that it did is not believed: the object is read back.
Conditional writes (If-None-Match: *, If-Match: ETag) take the place of locks.
"""

import base64
import concurrent.futures
import contextlib
import dataclasses
import datetime
import email.utils
import hashlib
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from graft.serving.pointer import StoreError
from graft.serving.s3_client import asking, client
from graft.serving.store_kind import S3, Outrun

PART_BYTES = 16 << 20
"""Larger files go up in parts of this size, `THREADS` at once, which bounds the memory that takes."""
THREADS = 4
_MOST_PARTS = 10_000
_CHUNK = 1 << 20
_READS = 3
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SEGMENT = re.compile(r"[A-Za-z0-9!_.'()-][A-Za-z0-9!_.'() =+,@-]*")


class TooLarge(StoreError):
    """An object is larger than anything that the store writes there."""


class Changed(Exception):
    """A file's bytes are not those that were announced."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """An object in a listing: key below the store's prefix, bytes, ETag, when it was written by the server's clock."""

    key: str
    size: int
    etag: str
    modified: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Upload:
    """An upload in parts that was begun and has not ended."""

    key: str
    id: str
    begun: datetime.datetime


def parse_address(address: str) -> tuple[str, str]:
    """Bucket and prefix (without slashes around it; may be empty) of `s3://BUCKET/PREFIX`.

    Raises:
        StoreError: it is no such address.
    """
    allowed = "allowed: s3://BUCKET/PREFIX, the bucket in lower case, the prefix of plain names"
    rest = address.removeprefix(S3)
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        # Not shown: what stands before an @ is a password.
        raise StoreError(
            "store: an s3:// address holds a bucket and a prefix only; give endpoint and credentials as the AWS tools "
            f"take them (AWS_ENDPOINT_URL, AWS_PROFILE, ...); {allowed}"
        )
    prefix = prefix.strip("/")
    segments = prefix.split("/") if prefix else []
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise StoreError(f"store {address!r}: {bucket!r} is no name of a bucket; {allowed}")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
            raise StoreError(f"store {address!r}: {segment!r} in its prefix; {allowed}")
    return bucket, prefix


class Bucket:
    """The objects below a prefix of a bucket; all methods may be called from any thread.

    Args:
        address: `s3://BUCKET/PREFIX`.

    Raises:
        StoreError: by every method, in one line: what was asked, what the answer was, what to do.
    """

    def __init__(self, address: str):
        self.bucket, self.prefix = parse_address(address)
        self.address = f"{S3}{self.bucket}/{self.prefix}".rstrip("/")
        self._now = datetime.datetime.now(datetime.UTC)

    def url(self, key: str) -> str:
        """Address of an object."""
        return f"{self.address}/{key}"

    @property
    def now(self) -> datetime.datetime:
        """The server's clock at its last answer; objects carry times of that clock."""
        return self._now

    def entries(self, below: str = "") -> list[Entry]:
        """All objects whose key begins with `below`, sorted by key."""
        start = f"{self.prefix}/" if self.prefix else ""
        found: list[Entry] = []
        more: dict[str, str] = {}
        while True:
            with self._asked("ListObjectsV2", below):
                answer = self._call("list_objects_v2", Prefix=start + below, **more)
            for item in answer.get("Contents", ()):
                found.append(Entry(item["Key"][len(start) :], item["Size"], item["ETag"], item["LastModified"]))
            if not answer.get("IsTruncated"):
                return sorted(found, key=lambda entry: entry.key)
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def etag(self, key: str) -> str | None:
        """ETag of an object, None if there is none: one request, no bytes."""
        with contextlib.suppress(FileNotFoundError), self._asked("HeadObject", key):
            return self._call("head_object", Key=self._key(key))["ETag"]
        return None

    def get(self, key: str, limit: int) -> tuple[bytes, str]:
        """Content and ETag of an object of at most `limit` bytes. Raises FileNotFoundError if there is none."""
        for attempt in range(_READS):
            with self._asked("GetObject", key, again=attempt < _READS - 1):
                answer = self._call("get_object", Key=self._key(key))
                if answer["ContentLength"] > limit:
                    raise TooLarge(f"{self.url(key)}: larger than the {limit} bytes that it may have")
                return answer["Body"].read(), answer["ETag"]
        raise AssertionError("unreachable")

    def swap(self, key: str, content: bytes, seen: str | None) -> str:
        """Writes an object if it is as it was seen, and returns its ETag.

        Args:
            key: of the object.
            content: its new bytes.
            seen: its ETag then; None: there was none.

        Raises:
            Outrun: it is not as it was seen; nothing was written.
        """
        condition = {"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen}
        try:
            with self._asked("PutObject", key):
                return self._put(key, content, **condition)["ETag"]
        except (Outrun, FileNotFoundError):
            # An answer may have been lost and the request repeated by boto: then the object is ours already.
            with contextlib.suppress(FileNotFoundError):
                written, etag = self.get(key, len(content) + _CHUNK)
                if written == content:
                    return etag
            raise Outrun(key) from None

    def upload(self, key: str, path: pathlib.Path, size: int, sha256: str) -> None:
        """Writes a file to an object. Raises Changed if the file is not, or no longer, of that size and sha256."""
        with self._asked("PutObject", key):
            proven = self._upload(key, path, size, sha256) if size <= PART_BYTES else None
        if proven is None:
            proven = self._upload_parts(key, path, size, sha256)
        if not proven and self.read(key) != (size, sha256):
            raise StoreError(f"{self.url(key)}: read back with other bytes than were written; look after that store")

    def read(self, key: str, sink: Callable[[bytes], Any] | None = None) -> tuple[int, str]:
        """Reads an object in chunks, which `sink` gets; returns its size and its sha256 in hex.

        Raises:
            FileNotFoundError: there is none.
        """
        with self._asked("GetObject", key):
            return self._read(key, sink)

    def download(self, key: str, path: pathlib.Path, size: int, sha256: str) -> None:
        """Writes an object to the new file `path` and waits for the disk; a connection that breaks is made again.

        Raises:
            FileNotFoundError: there is no such object.
            Changed: it is not of that size and sha256 (hex).
            OSError: the file cannot be written.
        """
        for attempt in range(_READS):
            with path.open("wb") as file, self._asked("GetObject", key, again=attempt < _READS - 1):

                def write(chunk: bytes, file: IO[bytes] = file) -> None:
                    if file.tell() + len(chunk) > size:  # who writes to the store must not fill the disk
                        raise Changed(key)
                    file.write(chunk)

                if self._read(key, write) != (size, sha256):
                    raise Changed(key)
                file.flush()
                os.fsync(file.fileno())
                return

    def copy(self, source: str, target: str, sha256: str) -> bool:
        """Copies an object within the store, if the server vouches for its sha256 (hex); returns whether it did."""
        wanted = _b64(bytes.fromhex(sha256))
        try:
            with self._asked("CopyObject", target):
                head = self._call("head_object", Key=self._key(source), ChecksumMode="ENABLED")
                if head.get("ChecksumSHA256") != wanted:
                    return False
                self._call(
                    "copy_object",
                    Key=self._key(target),
                    CopySource={"Bucket": self.bucket, "Key": self._key(source)},
                    CopySourceIfMatch=head["ETag"],
                    ChecksumAlgorithm="SHA256",
                )
                copied = self._call("head_object", Key=self._key(target), ChecksumMode="ENABLED")
                return copied.get("ChecksumSHA256") == wanted and copied["ETag"] == head["ETag"]
        except (FileNotFoundError, Outrun):
            return False

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects, in the order given; those that are not there are passed over."""
        for key in keys:  # one at a time: the request for many wants an MD5 that not every store takes
            with self._asked("DeleteObject", key):
                self._call("delete_object", Key=self._key(key))

    def uploads(self, below: str = "") -> Iterator[Upload]:
        """Uploads in parts under way, or left behind, for keys that begin with `below`."""
        start = f"{self.prefix}/" if self.prefix else ""
        with self._asked("ListMultipartUploads", below):
            answer = self._call("list_multipart_uploads", Prefix=start + below)
        for item in answer.get("Uploads", ()):  # the first thousand; the next look sees the rest
            yield Upload(item["Key"][len(start) :], item["UploadId"], item["Initiated"])

    def abort(self, upload: Upload) -> None:
        """Ends an upload in parts; its bytes are freed."""
        with self._asked("AbortMultipartUpload", upload.key):
            self._call("abort_multipart_upload", Key=self._key(upload.key), UploadId=upload.id)

    def together(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Does `work` for all items, `THREADS` at a time; the first error ends it."""
        with concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="s3") as threads:
            done: list[Any] = []
            todo = iter(items)
            # No more are read than are worked on: an item may be a part of a file.
            while batch := list(itertools.islice(todo, THREADS)):
                done += threads.map(work, batch)
            return done

    def _read(self, key: str, sink: Callable[[bytes], Any] | None) -> tuple[int, str]:
        body = self._call("get_object", Key=self._key(key))["Body"]
        digest, size = hashlib.sha256(), 0
        for chunk in body.iter_chunks(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if sink is not None:
                sink(chunk)
        return size, digest.hexdigest()

    def _upload(self, key: str, path: pathlib.Path, size: int, sha256: str) -> bool:
        content = path.read_bytes()
        if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
            raise Changed(key)
        answer = self._put(key, content)
        return answer.get("ChecksumSHA256") == _b64(bytes.fromhex(sha256))

    def _upload_parts(self, key: str, path: pathlib.Path, size: int, sha256: str) -> bool:
        length = max(PART_BYTES, -(-size // _MOST_PARTS))
        with self._asked("CreateMultipartUpload", key):
            begun = self._call("create_multipart_upload", Key=self._key(key), ChecksumAlgorithm="SHA256")
        where = {"Key": self._key(key), "UploadId": begun["UploadId"]}
        digest, read = hashlib.sha256(), 0

        def parts(file) -> Iterator[tuple[int, bytes]]:
            nonlocal read
            for number in itertools.count(1):
                content = file.read(length)
                if not content:
                    return
                digest.update(content)
                read += len(content)
                yield number, content

        def send(part: tuple[int, bytes]) -> tuple[dict[str, Any], bool]:
            number, content = part
            checksum = _b64(hashlib.sha256(content).digest())
            with self._asked("UploadPart", key):
                answer = self._call(
                    "upload_part",
                    **where,
                    PartNumber=number,
                    Body=content,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                )
            told = answer.get("ChecksumSHA256")
            return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}, told == checksum

        try:
            with path.open("rb") as file:
                sent = self.together(send, parts(file))
            if read != size or digest.hexdigest() != sha256:
                raise Changed(key)
            with self._asked("CompleteMultipartUpload", key):
                self._call("complete_multipart_upload", **where, MultipartUpload={"Parts": [part for part, _ in sent]})
        except BaseException:
            with contextlib.suppress(StoreError, FileNotFoundError):  # what ended it is told; the next push sweeps
                self.abort(Upload(key, begun["UploadId"], self.now))
            raise
        return all(proven for _, proven in sent)

    def _put(self, key: str, content: bytes, **condition: str) -> dict[str, Any]:
        checksum = _b64(hashlib.sha256(content).digest())
        return self._call(
            "put_object",
            Key=self._key(key),
            Body=content,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=checksum,
            **condition,
        )

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        answer = getattr(client(), operation)(Bucket=self.bucket, **arguments)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        with contextlib.suppress(ValueError, TypeError):
            self._now = email.utils.parsedate_to_datetime(date)
        return answer

    def _asked(self, operation: str, key: str, again: bool = False) -> contextlib.AbstractContextManager[None]:
        return asking(operation, self.url(key) if key else self.address, self.bucket, again)


def _b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
