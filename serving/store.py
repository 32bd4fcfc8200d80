"""The model store: whole versions, pushed atomically, and a pointer to the one that is served.

A reader sees the old version or the whole new one, whenever a writer dies and however many write at once. Where the
bytes lie is a file for each kind: `folder_store` (a POSIX filesystem), `s3_store` (an object store). What each of them
has to answer stands in `store_kind`, the rules that both share in `model_store`.
"""

import os

from graft.serving.model_store import ModelStore
from graft.serving.pointer import PointerError, StoreError
from graft.serving.store_kind import S3

__all__ = ["ModelStore", "PointerError", "StoreError", "open_store"]


def open_store(address: str | os.PathLike, keep: int = 5) -> ModelStore:
    """The store at an address; nothing is made or asked yet.

    Args:
        address: a folder, or `s3://BUCKET/PREFIX`.
        keep: how many newest versions of a model retention leaves (at least 1). The served, the previous and a
            pinned version stay whatever their age.

    Raises:
        StoreError: it is the address of no kind of store there is, or `keep` is less than 1.
    """
    text = str(address)
    if text.startswith(S3):
        from graft.serving.s3_store import S3Store  # boto3 is needed here only

        return S3Store(text, keep)
    if "://" in text or text.startswith("s3:/"):
        raise StoreError(
            f"store {text}: not a local path and no address of a kind that is known; allowed: a folder on a POSIX "
            "filesystem (mount it), or s3://BUCKET/PREFIX"
        )
    from graft.serving.folder_store import FolderStore

    return FolderStore(address, keep)
