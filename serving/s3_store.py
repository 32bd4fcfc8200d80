"""A model store in an S3-compatible object store.

Layout, below `s3://BUCKET/PREFIX/`:

    STORE                                  id of the store
    models.config                          ModelServerConfig whose base paths are s3:// addresses
    mounted.config                         the same with /mnt/models/<model>: for a copy, as KServe makes it
    <model>/CURRENT                        JSON pointer: version, pinned, previous, time
    <model>/<version>/...                  a SavedModel in plain keys
    <model>/<version>/graft_manifest.json  claim of the number, then the manifest

Why plain keys, and not objects named by their hash with a list beside them: other programs read this store (TensorFlow
Serving, KServe, `aws s3 cp`), and they know keys only. Content addressing is in the writing: a file that an earlier
version has (same sha256, and the server vouches for it) is copied within the store, not sent again.

An object store has no lock, no rename and no transaction; it has writes of one object under a condition. Each decision
is therefore one such write:

- A number is taken by creating `graft_manifest.json` with a claim in it (If-None-Match: *): one of two writers gets it.
- The files follow, saved_model.pb last. Readers see none of them, for the claim is no manifest.
- The version is there from the moment at which the claim is replaced by the manifest (If-Match: the claim's ETag). A
  writer whose claim was swept meanwhile fails here.
- The pointer moves by If-Match on what was read; who is too late reads again and decides anew.
- A version is deleted by replacing its manifest by a note of that (If-Match), then its files, then the note. Who
  deletes looks at the pointer between the first two, and who moves a pointer looks at the manifest afterwards: a pin
  and a retention that meet see one another.

A writer that is killed leaves a claim and files that no reader takes for a version. The next push removes them when no
object of theirs was written for `LEFTOVER_S` seconds; `graft models verify` tells of them before.
"""

import contextlib
import dataclasses
import datetime
import json
import logging
import pathlib
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from graft.models.errors import GraftError
from graft.models.private_folder import store_cache
from graft.serving import manifest, model_config, pointer, version_cache
from graft.serving.pointer import Pointer, PointerError, StoreError, Unreachable
from graft.serving.s3_bucket import PART_BYTES, Bucket, Changed, Entry, TooLarge, Unconditional
from graft.serving.store import MODELS_CONFIG, STORE_ID, ModelStore, Outrun
from graft.serving.versions import MAX_VERSION, is_model_name, version_number

MOUNTED_CONFIG = "mounted.config"
MOUNT = "/mnt/models"
"""Where KServe puts what it has copied."""
LEFTOVER_S = 24 * 3600.0
"""Seconds without a new object after which a push that has not ended is taken for dead."""
COPY_BYTES = 1 << 20
"""Smaller files are sent again: a copy within the store takes three requests."""
_PROBE = ".probe"
_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
_MAX_SMALL = 64 << 20
_RESTORED_S = 10.0

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Record:
    """What stands in the place of a version's manifest."""

    content: bytes
    entry: Entry

    @property
    def is_version(self) -> bool:
        """Whether it is a manifest, sound or not, and neither a claim nor a note of a deletion."""
        return _note(self.content) is None


def _note(content: bytes) -> dict[str, Any] | None:
    """A claim (`claim`) or the note of a deletion (`deleted`), None if it is neither."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and ("claim" in found or "deleted" in found) else None


def _new_note(kind: str) -> bytes:
    return json.dumps({kind: uuid.uuid4().hex, "time": pointer.now()}).encode()


class S3Store(ModelStore):
    """Versions of models below a prefix of a bucket.

    Args:
        address: `s3://BUCKET/PREFIX`.
        keep: as for `serving.store.open_store`.
        leftover_s: after how many seconds a push that has not ended is taken for dead.

    Attributes:
        bucket: the objects.
    """

    reserved = (STORE_ID, MODELS_CONFIG, MOUNTED_CONFIG)
    is_local = False

    def __init__(self, address: str, keep: int = 5, leftover_s: float = LEFTOVER_S):
        self.bucket = Bucket(address)
        super().__init__(self.bucket.address, keep)
        self._leftover_s = leftover_s
        self._known: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()
        self._proven = False

    # Reading.

    @property
    def local_root(self) -> pathlib.Path:
        return store_cache()

    @property
    def store_id(self) -> str:
        self._create()
        try:
            return str(uuid.UUID(self.bucket.get(STORE_ID, 4096)[0].decode().strip()))
        except (OSError, ValueError) as error:
            place = self.bucket.url(STORE_ID)
            raise StoreError(f"{place}: no id of a store ({error}); it holds one uuid, made at first use") from error

    def models(self) -> list[str]:
        entries = self.bucket.entries()
        if not any(entry.key == STORE_ID for entry in entries):
            raise StoreError(f"store {self.address}: no store there; a first push makes it")
        return [name for name, own in _by_model(entries).items() if self._records(name, own, versions_only=True)]

    def versions(self, model: str) -> list[int]:
        return list(self._versions(model))

    def manifest(self, model: str, version: int) -> dict[str, Any]:
        return manifest.parse(self._version(model, version).content, self._manifest_address(model, version))

    def version_path(self, model: str, version: int) -> pathlib.Path:
        address = self.version_address(model, version)

        def download(name: str, path: pathlib.Path, size: int, sha256: str) -> None:
            try:
                self.bucket.download(f"{model}/{version}/{name}", path, size, sha256)
            except FileNotFoundError:
                raise StoreError(f"{address}/{name}: missing; see `graft models verify`") from None
            except Changed:
                raise StoreError(f"{address}/{name}: not as the manifest says; see `graft models verify`") from None

        return version_cache.bring(self._version(model, version).content, address, download, self.bucket.together)

    def places(self, model: str) -> dict[int, pathlib.Path]:
        return {number: version_cache.place(record.content) for number, record in self._versions(model).items()}

    def version_address(self, model: str, version: int) -> str:
        return self.bucket.url(f"{model}/{version}")

    def foreign(self) -> list[str]:
        found: dict[str, str] = {}
        entries = self.bucket.entries()
        claimed = {name: self._records(name, own) for name, own in _by_model(entries).items()}
        for entry in entries:
            name, _, rest = entry.key.partition("/")
            if (not rest and name in self.reserved) or name.startswith("."):
                continue
            if not rest or not is_model_name(name):
                found.setdefault(name, f"{name!r}: no key of a model; left alone")
                continue
            first = rest.partition("/")[0]
            number = _number(first)
            if rest == pointer.NAME or first.startswith(".") or (number in claimed[name] and rest != first):
                continue
            found.setdefault(f"{name}/{first}", f"'{name}/{first}': no version of the model; left alone")
        return list(found.values())

    def unfinished(self) -> list[str]:
        lines = []
        entries = self.bucket.entries()
        for name, own in _by_model(entries).items():
            for number, record in self._records(name, own).items():
                if record.is_version:
                    continue
                files = _below(own, f"{name}/{number}/")
                kind = "deletion" if "deleted" in (_note(record.content) or {}) else "push"
                lines.append(
                    f"{name}/{number}: a {kind} that has not ended, last seen {_newest(files).isoformat()}; "
                    f"{len(files) - 1} files, {sum(file.size for file in files)} bytes; {self._swept()}"
                )
        with contextlib.suppress(Unreachable):  # a right that readers may lack
            lines += [
                f"{upload.key}: an upload in parts, not ended, begun {upload.begun.isoformat()}; {self._swept()}"
                for upload in self.bucket.uploads()
            ]
        return lines

    def mark(self) -> str | None:
        """ETag of `models.config`, which every move of a pointer writes: one request, however many models there are."""
        return self.bucket.etag(MODELS_CONFIG)

    def write_models_config(self) -> str:
        configs = {MODELS_CONFIG: self._base_path, MOUNTED_CONFIG: lambda model: f"{MOUNT}/{model}"}
        for _ in self.tries(self.bucket.url(MODELS_CONFIG)):
            # Read before the pointers are: who writes last has seen all of them.
            before = {name: self._read_small(name) for name in configs}
            served = self._all_served()
            with contextlib.suppress(Outrun):
                for name, base_path in configs.items():
                    listed = [(model, base_path(model), version) for model, version in served.items()]
                    content, (old, seen) = model_config.format_models_config(listed).encode(), before[name]
                    if content != old:
                        self.bucket.swap(name, content, seen)
                return self.bucket.url(MODELS_CONFIG)
        raise AssertionError("unreachable")

    def _exists(self) -> bool:
        return self.bucket.etag(STORE_ID) is not None

    def _base_path(self, model: str) -> str:
        return self.bucket.url(model)

    def _read_config(self) -> bytes | None:
        return self._read_small(MODELS_CONFIG)[0]

    def _read_small(self, key: str) -> tuple[bytes | None, str | None]:
        """Content and ETag of a file of the store; None of what is not there or cannot be such a file."""
        try:
            return self.bucket.get(key, _MAX_SMALL)
        except FileNotFoundError:
            return None, None
        except TooLarge:
            return None, self.bucket.etag(key)

    def _pointer_address(self, model: str) -> str:
        return self.bucket.url(self._pointer_key(model))

    def _pointer_key(self, model: str) -> str:
        return f"{self._check_name(model)}/{pointer.NAME}"

    def _manifest_address(self, model: str, version: int) -> str:
        return self.bucket.url(_manifest_key(model, version))

    def _read_pointer(self, model: str) -> tuple[bytes, str | None]:
        key = self._pointer_key(model)
        try:
            return self.bucket.get(key, pointer.MAX_BYTES)
        except TooLarge:
            return b"", self.bucket.etag(key)

    def _problems(self, model: str, version: int) -> list[str]:
        """Reads every byte. An answer that does not come is an error, not a fault of the version."""
        try:
            expected = self.manifest(model, version)["files"]
        except Unreachable:
            raise
        except GraftError as error:
            return [str(error)]
        start = f"{model}/{version}/"
        entries = [entry for entry in self.bucket.entries(start) if entry.key != _manifest_key(model, version)]

        def described(entry: Entry) -> tuple[str, dict[str, Any]] | None:
            name = entry.key.removeprefix(start)
            if expected.get(name, {}).get("size") != entry.size:
                return name, {"size": entry.size}
            try:
                size, sha256 = self.bucket.read(entry.key)
            except FileNotFoundError:
                return None
            return name, {"size": size, "sha256": sha256}

        return manifest.differences(expected, dict(filter(None, self.bucket.together(described, entries))))

    def _version(self, model: str, version: int) -> _Record:
        found = self._versions(model)
        if version not in found:
            self._require(model, version)
            found = self._versions(model)
        return found[version]

    def _versions(self, model: str) -> dict[int, _Record]:
        return self._records(model, self.bucket.entries(f"{self._check_name(model)}/"), versions_only=True)

    def _records(self, model: str, entries: Iterable[Entry], versions_only: bool = False) -> dict[int, _Record]:
        """What stands in the places of the model's manifests, in rising order; an ETag that is known is not read."""
        found = {}
        for entry in entries:
            name, _, rest = entry.key.partition("/")
            first, _, last = rest.partition("/")
            number = _number(first)
            if name != model or number is None or last != manifest.NAME:
                continue
            content = self._known.get((entry.key, entry.etag))
            if content is None:
                try:
                    content, etag = self.bucket.get(entry.key, manifest.MAX_BYTES)
                except FileNotFoundError:
                    continue  # deleted since it was listed
                entry = dataclasses.replace(entry, etag=etag)
                self._remember(entry.key, etag, content)
            record = _Record(content, entry)
            if record.is_version or not versions_only:
                found[number] = record
        return dict(sorted(found.items()))

    def _remember(self, key: str, etag: str, content: bytes) -> None:
        with self._lock:
            for old in [known for known in self._known if known[0] == key]:
                del self._known[old]
            self._known[key, etag] = content

    # Writing: no lock is held; each step is one conditional write.

    def _create(self) -> None:
        self._require_conditions()
        if self.bucket.etag(STORE_ID) is None:
            with contextlib.suppress(Outrun):  # another writer made it
                self.bucket.swap(STORE_ID, f"{uuid.uuid4()}\n".encode(), None)

    def _require_conditions(self) -> None:
        """Refuses a server that takes writes whose condition does not hold; asked once by each process that writes."""
        if self._proven:
            return
        refusal = (
            f"store {self.address}: this object store does not keep to the conditions of a write (%s), so two writers "
            "could undo each other; use one that does (AWS S3, MinIO, Ceph from Squid on), or a folder on a POSIX "
            "filesystem"
        )
        try:
            # Each has an own content: an equal one would pass for this writer's.
            with contextlib.suppress(Outrun):
                self.bucket.swap(_PROBE, _new_note("probe"), None)
            for name, seen in (("If-None-Match", None), ("If-Match", '"00000000000000000000000000000000"')):
                try:
                    self.bucket.swap(_PROBE, _new_note("probe"), seen)
                except Outrun:
                    continue
                raise StoreError(refusal % name)
        except Unconditional as error:
            raise StoreError(refusal % "NotImplemented") from error
        self._proven = True

    @contextlib.contextmanager
    def _writing(self, model: str, action: str, create: bool = False) -> Iterator[None]:
        self._check_name(model)
        try:
            if create:
                self._create()
            else:
                self._require_conditions()
                if not self.bucket.entries(f"{model}/"):
                    raise self._no_model(model)
            self._sweep(model)
            yield
        except Unreachable as error:
            # What is served is not asked for: that would fail in the same way, after as many tries.
            raise StoreError(f"{action} of {model} failed: {error}") from error
        except OSError as error:
            raise StoreError(
                f"{action} of {model} in {self.address} failed: {error}; {self._serving(model)}"
            ) from error

    def _add_version(self, model: str, source: pathlib.Path, files: dict[str, Any], metadata: dict[str, Any]) -> int:
        version, claim = self._claim(model)
        key = _manifest_key(model, version)
        try:
            content = manifest.encode(model, version, pointer.now(), files, metadata)
            here = self._contents(model)

            def store(name: str) -> None:
                described = files[name]
                target = f"{model}/{version}/{name}"
                known = here.get(described["sha256"]) if described["size"] >= COPY_BYTES else None
                if known is not None and self.bucket.copy(known, target, described["sha256"]):
                    return
                self.bucket.upload(target, source / name, described["size"], described["sha256"])

            # A server that goes by the newest number, not by models.config, cannot load the version before the last.
            last = [name for name in files if name in _MODEL_FILES]
            large = [name for name in files if name not in last and files[name]["size"] > PART_BYTES]
            self.bucket.together(store, [name for name in files if name not in (*last, *large)])
            for name in (*large, *last):  # the parts of one go up together
                store(name)
            if manifest.list_tree(source)[0] != sorted(files):
                raise Changed
            try:
                self._remember(key, self.bucket.swap(key, content, claim), content)
            except Outrun:
                raise StoreError(
                    f"{self.version_address(model, version)}: this push was taken for dead, because it wrote nothing "
                    f"for {self._leftover_s:g} s, and was removed; push again"
                ) from None
        except Changed:
            self._abandon(model, version, claim)
            raise manifest.changed(source) from None
        except BaseException:
            self._abandon(model, version, claim)
            raise
        return version

    def _claim(self, model: str) -> tuple[int, str]:
        """The next number, which no other writer gets, and the ETag of the claim."""
        note = _new_note("claim")
        for _ in self.tries(self.bucket.url(model)):
            numbers = {_number(entry.key.split("/")[1]) for entry in self.bucket.entries(f"{model}/")} - {None}
            version = max((number for number in numbers if number is not None), default=0) + 1
            if version > MAX_VERSION:
                place = self.version_address(model, MAX_VERSION)
                raise StoreError(f"{place}: is there, and no larger number exists; remove it")
            with contextlib.suppress(Outrun):
                return version, self.bucket.swap(_manifest_key(model, version), note, None)
        raise AssertionError("unreachable")

    def _contents(self, model: str) -> dict[str, str]:
        """Keys of the model's files by their sha256."""
        found = {}
        for number, record in self._versions(model).items():
            with contextlib.suppress(GraftError):  # a damaged manifest: its files are sent again
                files = manifest.parse(record.content, "")["files"]
                found.update({described["sha256"]: f"{model}/{number}/{name}" for name, described in files.items()})
        return found

    def _abandon(self, model: str, version: int, claim: str) -> None:
        """Takes back what a push that failed has written. What cannot be deleted now, a later push sweeps."""
        try:
            if self.bucket.etag(_manifest_key(model, version)) == claim:
                self._clear(model, version)
        except (GraftError, OSError) as error:
            logger.error("%s: what was written stays for now: %s", self.version_address(model, version), error)

    def _clear(self, model: str, version: int) -> None:
        """Deletes a claim or note, after all that lies beside it. The number is held until the end."""
        key = _manifest_key(model, version)
        files = self.bucket.entries(f"{model}/{version}/")
        self.bucket.delete(entry.key for entry in files if entry.key != key)
        self.bucket.delete([key])

    def _drop_version(self, model: str, version: int) -> None:
        record = self._versions(model).get(version)
        if record is None:
            return
        key = _manifest_key(model, version)
        try:
            noted = self.bucket.swap(key, _new_note("deleted"), record.entry.etag)
        except Outrun:
            return  # another writer deletes it
        if self._points_to(model, version):
            with contextlib.suppress(Outrun):
                self.bucket.swap(key, record.content, noted)
                logger.info("%s version %d stays: the pointer has moved to it", model, version)
            return
        self._clear(model, version)

    def _points_to(self, model: str, version: int) -> bool:
        try:
            content, _ = self._read_pointer(model)
            return pointer.parse(content, self._pointer_address(model)).version == version
        except (FileNotFoundError, PointerError):
            return False

    def _sweep(self, model: str) -> None:
        """Removes what dead writers left. A number without a claim is not the store's and is left alone."""
        entries = self.bucket.entries(f"{model}/")
        for number, record in self._records(model, entries).items():
            files = _below(entries, f"{model}/{number}/")
            if record.is_version or not self._dead(_newest(files)):
                continue
            with contextlib.suppress(Outrun):  # it lives, or another writer sweeps it
                self.bucket.swap(_manifest_key(model, number), _new_note("deleted"), record.entry.etag)
                self._clear(model, number)
                logger.warning("%s was left by a writer that did not end: deleted", self.version_address(model, number))
        try:
            for upload in self.bucket.uploads(f"{model}/"):
                if self._dead(upload.begun):
                    self.bucket.abort(upload)
        except (GraftError, FileNotFoundError) as error:
            logger.error("uploads in parts that dead writers left cannot be looked for: %s", error)

    def _dead(self, seen: datetime.datetime) -> bool:
        return (self.bucket.now - seen).total_seconds() >= self._leftover_s

    def _swept(self) -> str:
        return f"a push removes it when it is older than {self._leftover_s / 3600:g} h"

    def _write_pointer(self, model: str, moved: Pointer | None, seen: str | None) -> None:
        if moved is not None:
            self.bucket.swap(self._pointer_key(model), moved.encode(), seen)
            self._require_kept(model, moved.version)
            logger.info("%s: version %d is served%s", model, moved.version, " (pinned)" if moved.pinned else "")
        try:
            self.write_models_config()
        except GraftError as error:
            # Not taken back: the pointer is what counts, and the next change writes the file anew.
            logger.error("%s could not follow the pointer of %s: %s", self.bucket.url(MODELS_CONFIG), model, error)

    def _require_kept(self, model: str, version: int) -> None:
        """A retention that has begun to delete it sees the pointer and puts the manifest back: waits for that."""
        end = time.monotonic() + _RESTORED_S
        while True:
            with contextlib.suppress(FileNotFoundError):
                content, _ = self.bucket.get(_manifest_key(model, version), manifest.MAX_BYTES)
                if _note(content) is None:
                    return
            if time.monotonic() > end:
                recovered, _ = self._recovered(model)
                serving = f"version {recovered.version} is served" if recovered else "no version is served"
                raise StoreError(f"{model} version {version} was deleted by another writer meanwhile; {serving}")
            time.sleep(0.1)


def _manifest_key(model: str, version: int) -> str:
    return f"{model}/{version}/{manifest.NAME}"


def _number(name: str) -> int | None:
    """The version that a part of a key stands for; 007 is none, for its key would be another than that of 7."""
    number = version_number(name)
    return number if number is not None and str(number) == name else None


def _by_model(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        name, _, rest = entry.key.partition("/")
        if rest and is_model_name(name):
            found.setdefault(name, []).append(entry)
    return dict(sorted(found.items()))


def _below(entries: Iterable[Entry], start: str) -> list[Entry]:
    return [entry for entry in entries if entry.key.startswith(start)]


def _newest(entries: Iterable[Entry]) -> datetime.datetime:
    return max(entry.modified for entry in entries)
