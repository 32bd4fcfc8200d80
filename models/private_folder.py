"""Folders for what is downloaded and then run or read: nobody else may put something there."""

import os
import pathlib
import stat

from graft.models.errors import GraftError


def hub_cache() -> pathlib.Path:
    """Where downloaded SavedModels are kept.

    That is `$TFHUB_CACHE_DIR`, else `graft/hub` under `$XDG_CACHE_HOME` or `~/.cache`.

    Raises:
        GraftError: it cannot be made, or others may write there.
    """
    return _cache("TFHUB_CACHE_DIR", "hub", "downloaded backbones")


def store_cache() -> pathlib.Path:
    """Where versions of a model store on S3 are kept.

    That is `$GRAFT_STORE_CACHE`, else `graft/store` under `$XDG_CACHE_HOME` or `~/.cache`.

    Raises:
        GraftError: it cannot be made, or others may write there.
    """
    return _cache("GRAFT_STORE_CACHE", "store", "versions of a model store")


def _cache(variable: str, name: str, kept: str) -> pathlib.Path:
    given = os.environ.get(variable)
    cache = pathlib.Path(given or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "graft", name))
    try:
        cache = cache.expanduser()
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # a RuntimeError where there is no home
        raise GraftError(
            f"{cache}: cannot be made to keep {kept}: {error}; name another folder as {variable}"
        ) from error
    require_private(cache, f"name another folder as {variable}")
    return cache


def require_private(folder: pathlib.Path, advice: str) -> None:
    """Refuses a folder that another user could have put something in.

    Raises:
        GraftError: it belongs neither to this user nor to root, or its group or others may write there.
    """
    status = folder.stat()
    if status.st_uid not in (os.geteuid(), 0):
        fault = f"belongs to user {status.st_uid}"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        fault = f"has mode {stat.S_IMODE(status.st_mode):04o}, so that others may write there"
    else:
        return
    raise GraftError(
        f"{folder}: {fault}; allowed: a folder of this user or root that nobody else may write to (chmod go-w), or "
        f"{advice}"
    )
