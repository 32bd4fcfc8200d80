"""Reading a model store on S3: what is listed, which keys are versions, local copies. Layout: `serving.s3_store`."""

import contextlib
import dataclasses
import pathlib
import threading
from collections.abc import Iterable
from typing import Any

from graft.models.errors import GraftError
from graft.models.private_folder import store_cache
from graft.serving import manifest, pointer, version_cache
from graft.serving.model_store import ModelStore
from graft.serving.pointer import StoreError, Unreachable
from graft.serving.s3_bucket import Bucket, Changed, Entry, TooLarge
from graft.serving.s3_records import Record, below, by_model, manifest_key, newest, note, number_of
from graft.serving.store_kind import MODELS_CONFIG, STORE_ID
from graft.serving.versions import is_model_name

MOUNTED_CONFIG = "mounted.config"
LEFTOVER_S = 24 * 3600.0
"""Seconds without a new object after which a push that has not ended is taken for dead."""
_MAX_SMALL = 64 << 20


class S3Reading(ModelStore):
    """What readers ask of a store on S3; see `serving.s3_store` for layout and arguments."""

    reserved = (STORE_ID, MODELS_CONFIG, MOUNTED_CONFIG)
    is_local = False

    def __init__(self, address: str, keep: int = 5, leftover_s: float = LEFTOVER_S):
        self.bucket = Bucket(address)
        super().__init__(self.bucket.address, keep)
        self._leftover_s = leftover_s
        self._known: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()

    @property
    def local_root(self) -> pathlib.Path:
        return store_cache()

    def models(self) -> list[str]:
        entries = self.bucket.entries()
        if not any(entry.key == STORE_ID for entry in entries):
            raise StoreError(f"store {self.address}: no store there; a first push makes it")
        return [name for name, own in by_model(entries).items() if self._records(name, own, versions_only=True)]

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
        claimed = {name: self._records(name, own) for name, own in by_model(entries).items()}
        for entry in entries:
            name, _, rest = entry.key.partition("/")
            if (not rest and name in self.reserved) or name.startswith("."):
                continue
            if not rest or not is_model_name(name):
                found.setdefault(name, f"{name!r}: no key of a model; left alone")
                continue
            first = rest.partition("/")[0]
            number = number_of(first)
            if rest == pointer.NAME or first.startswith(".") or (number in claimed[name] and rest != first):
                continue
            found.setdefault(f"{name}/{first}", f"'{name}/{first}': no version of the model; left alone")
        return list(found.values())

    def unfinished(self) -> list[str]:
        lines = []
        entries = self.bucket.entries()
        for name, own in by_model(entries).items():
            for number, record in self._records(name, own).items():
                if record.is_version:
                    continue
                files = below(own, f"{name}/{number}/")
                kind = "deletion" if "deleted" in (note(record.content) or {}) else "push"
                lines.append(
                    f"{name}/{number}: a {kind} that has not ended, last seen {newest(files).isoformat()}; "
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
        return self.bucket.url(manifest_key(model, version))

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
        entries = [entry for entry in self.bucket.entries(start) if entry.key != manifest_key(model, version)]

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

    def _version(self, model: str, version: int) -> Record:
        found = self._versions(model)
        if version not in found:
            self._require(model, version)
            found = self._versions(model)
        return found[version]

    def _versions(self, model: str) -> dict[int, Record]:
        return self._records(model, self.bucket.entries(f"{self._check_name(model)}/"), versions_only=True)

    def _records(self, model: str, entries: Iterable[Entry], versions_only: bool = False) -> dict[int, Record]:
        """What stands in the places of the model's manifests, in rising order; an ETag that is known is not read."""
        found = {}
        for entry in entries:
            name, _, rest = entry.key.partition("/")
            first, _, last = rest.partition("/")
            number = number_of(first)
            if name != model or number is None or last != manifest.NAME:
                continue
            content = self._known.get((entry.key, entry.etag))
            if content is None:
                try:
                    content, etag = self.bucket.get(entry.key, manifest.MAX_BYTES)
                except FileNotFoundError:
                    continue  # deleted since it was listed
                except TooLarge:
                    content, etag = b"", entry.etag  # a damaged manifest, which hides no other version
                entry = dataclasses.replace(entry, etag=etag)
                self._remember(entry.key, etag, content)
            record = Record(content, entry)
            if record.is_version or not versions_only:
                found[number] = record
        return dict(sorted(found.items()))

    def _remember(self, key: str, etag: str, content: bytes) -> None:
        with self._lock:
            for old in [known for known in self._known if known[0] == key]:
                del self._known[old]
            self._known[key, etag] = content

    def _swept(self) -> str:
        return f"a push removes it when it is older than {self._leftover_s / 3600:g} h"
