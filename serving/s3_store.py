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
import datetime
import logging
import pathlib
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from graft.models.errors import GraftError
from graft.serving import manifest, model_config, pointer
from graft.serving.pointer import Pointer, PointerError, StoreError, Unreachable
from graft.serving.s3_bucket import PART_BYTES, Changed
from graft.serving.s3_client import Unconditional
from graft.serving.s3_reading import LEFTOVER_S, MOUNTED_CONFIG, S3Reading
from graft.serving.s3_records import below, manifest_key, new_note, newest, note, number_of
from graft.serving.store_kind import MODELS_CONFIG, STORE_ID, Outrun
from graft.serving.versions import MAX_VERSION

MOUNT = "/mnt/models"
"""Where KServe puts what it has copied."""
COPY_BYTES = 1 << 20
"""Smaller files are sent again: a copy within the store takes three requests."""
_PROBE = ".probe"
_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
_RESTORED_S = 10.0

logger = logging.getLogger(__name__)


class S3Store(S3Reading):
    """Versions of models below a prefix of a bucket.

    Args:
        address: `s3://BUCKET/PREFIX`.
        keep: as for `serving.store.open_store`.
        leftover_s: after how many seconds a push that has not ended is taken for dead.

    Attributes:
        bucket: the objects.
    """

    def __init__(self, address: str, keep: int = 5, leftover_s: float = LEFTOVER_S):
        super().__init__(address, keep, leftover_s)
        self._proven = False

    @property
    def store_id(self) -> str:
        if self.bucket.etag(STORE_ID) is None:
            self._create()
        try:
            return str(uuid.UUID(self.bucket.get(STORE_ID, 4096)[0].decode().strip()))
        except (OSError, ValueError) as error:
            place = self.bucket.url(STORE_ID)
            raise StoreError(f"{place}: no id of a store ({error}); it holds one uuid, made at first use") from error

    def require_writable(self) -> None:
        self._create()

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
            "could undo each other; use one that does (docs/serving.md), or a folder on a POSIX filesystem"
        )
        try:
            # Each has an own content: an equal one would pass for this writer's.
            with contextlib.suppress(Outrun):
                self.bucket.swap(_PROBE, new_note("probe"), None)
            for name, seen in (("If-None-Match", None), ("If-Match", '"00000000000000000000000000000000"')):
                try:
                    self.bucket.swap(_PROBE, new_note("probe"), seen)
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

    def _add_version(
        self,
        model: str,
        source: pathlib.Path,
        beside: Mapping[str, pathlib.Path],
        files: dict[str, Any],
        metadata: dict[str, Any],
    ) -> int:
        version, claim = self._claim(model)
        key = manifest_key(model, version)
        try:
            content = manifest.encode(model, version, pointer.now(), files, metadata)
            here = self._contents(model)

            def store(name: str) -> None:
                described = files[name]
                target = f"{model}/{version}/{name}"
                known = here.get(described["sha256"]) if described["size"] >= COPY_BYTES else None
                if known is not None and self.bucket.copy(known, target, described["sha256"]):
                    return
                self.bucket.upload(target, beside.get(name, source / name), described["size"], described["sha256"])

            # A server that goes by the newest number, not by models.config, cannot load the version before the last.
            last = [name for name in files if name in _MODEL_FILES]
            large = [name for name in files if name not in last and files[name]["size"] > PART_BYTES]
            self.bucket.together(store, [name for name in files if name not in (*last, *large)])
            for name in (*large, *last):  # the parts of one go up together
                store(name)
            if {*manifest.list_tree(source)[0], *beside} != set(files):
                raise Changed
            try:
                # Some servers take an If-Match for an object that is gone (minio/minio#21526).
                if self.bucket.etag(key) != claim:
                    raise Outrun(key)
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
        claim = new_note("claim")
        for _ in self.tries(self.bucket.url(model)):
            numbers = {number_of(entry.key.split("/")[1]) for entry in self.bucket.entries(f"{model}/")} - {None}
            version = max((number for number in numbers if number is not None), default=0) + 1
            if version > MAX_VERSION:
                place = self.version_address(model, MAX_VERSION)
                raise StoreError(f"{place}: is there, and no larger number exists; remove it")
            with contextlib.suppress(Outrun):
                return version, self.bucket.swap(manifest_key(model, version), claim, None)
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
            if self.bucket.etag(manifest_key(model, version)) == claim:
                self._clear(model, version)
        except (GraftError, OSError) as error:
            logger.error("%s: what was written stays for now: %s", self.version_address(model, version), error)

    def _clear(self, model: str, version: int) -> None:
        """Deletes a claim or note, after all that lies beside it. The number is held until the end."""
        key = manifest_key(model, version)
        files = self.bucket.entries(f"{model}/{version}/")
        self.bucket.delete(entry.key for entry in files if entry.key != key)
        self.bucket.delete([key])

    def _drop_version(self, model: str, version: int) -> None:
        record = self._versions(model).get(version)
        if record is None:
            return
        key = manifest_key(model, version)
        try:
            noted = self.bucket.swap(key, new_note("deleted"), record.entry.etag)
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
            files = below(entries, f"{model}/{number}/")
            if record.is_version or not self._dead(newest(files)):
                continue
            with contextlib.suppress(Outrun):  # it lives, or another writer sweeps it
                self.bucket.swap(manifest_key(model, number), new_note("deleted"), record.entry.etag)
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
                content, _ = self.bucket.get(manifest_key(model, version), manifest.MAX_BYTES)
                if note(content) is None:
                    return
            if time.monotonic() > end:
                recovered, _ = self._recovered(model)
                serving = f"version {recovered.version} is served" if recovered else "no version is served"
                raise StoreError(f"{model} version {version} was deleted by another writer meanwhile; {serving}")
            time.sleep(0.1)
