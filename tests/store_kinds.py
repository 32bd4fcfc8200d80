"""Both kinds of model store for one test, and their files by key, to be looked at and damaged."""

import pathlib
from collections.abc import Callable

import pytest
import s3_loopback

from graft.serving.store import ModelStore, open_store


class Files:
    """What lies in a folder store, by relative path."""

    def __init__(self, address: str):
        self.root = pathlib.Path(address)

    def read(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(content)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()

    def keys(self, below: str = "") -> list[str]:
        found = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
        return sorted(key for key in found if key.startswith(below))

    def left_over(self) -> list[str]:
        """What writers that have ended should not have left."""
        return [str(path) for path in self.root.rglob(".tmp-*")]


class Objects(Files):
    """What lies in a store on S3, by key below its prefix."""

    def __init__(self, address: str):
        self.bucket, _, self.prefix = address.removeprefix("s3://").partition("/")
        self.address = address

    def read(self, key: str) -> bytes:
        return s3_loopback.client().get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")["Body"].read()

    def write(self, key: str, content: bytes) -> None:
        s3_loopback.client().put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=content)

    def remove(self, key: str) -> None:
        s3_loopback.client().delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")

    def keys(self, below: str = "") -> list[str]:
        pages = s3_loopback.client().get_paginator("list_objects_v2")
        answers = pages.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/{below}")
        return sorted(item["Key"][len(self.prefix) + 1 :] for page in answers for item in page.get("Contents", ()))

    def left_over(self) -> list[str]:
        return open_store(self.address).unfinished()


# Each request to the S3 on loopback takes its milliseconds; tests of what is S3's own are quick ones too.
@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def kind(request, tmp_path) -> str:
    """The address of a store that is not there yet, of each kind."""
    return str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3")


@pytest.fixture
def make_store(kind) -> Callable[..., ModelStore]:
    """make_store(keep=5) -> the store."""
    return lambda keep=5: open_store(kind, keep)


@pytest.fixture
def store(make_store) -> ModelStore:
    return make_store()


@pytest.fixture
def files(kind) -> Files:
    """What lies in the store."""
    return Objects(kind) if kind.startswith("s3://") else Files(kind)


def saved_model(folder: pathlib.Path, content: str) -> pathlib.Path:
    """A folder with the files of a SavedModel; the store never opens the graph."""
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "saved_model.pb").write_bytes(content.encode())
    (folder / "variables" / "variables.index").write_bytes(b"index " + content.encode())
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(content.encode() * 5000)
    return folder


@pytest.fixture
def exports(tmp_path) -> list[pathlib.Path]:
    """Folders of SavedModels in name only."""
    return [saved_model(tmp_path / f"export{number}", f"model {number}") for number in range(8)]
