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
    given = os.environ.get("TFHUB_CACHE_DIR")
    cache = pathlib.Path(given or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "graft", "hub"))
    try:
        cache = cache.expanduser()
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # a RuntimeError where there is no home
        raise GraftError(
            f"{cache}: cannot be made to keep downloaded backbones: {error}; name another folder as TFHUB_CACHE_DIR"
        ) from error
    require_private(cache, "name another folder as TFHUB_CACHE_DIR")
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
