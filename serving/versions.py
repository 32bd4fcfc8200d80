"""Names of models and version folders, read as TensorFlow Serving reads them."""

import logging
import pathlib
import re

from graft.models.errors import GraftError

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_VERSION = re.compile(r"[0-9]{1,19}")
MAX_VERSION = 2**63 - 1

logger = logging.getLogger(__name__)


def check_model_name(name: str) -> str:
    """Returns `name` if it may name a model (and so a folder of the store).

    Raises:
        GraftError: it is not 1 to 128 of A-Z a-z 0-9 _ . -, starts with a dot or holds "..".
    """
    if not isinstance(name, str) or not is_model_name(name):
        raise GraftError(
            f"model name {name!r} is not allowed: use 1 to 128 of A-Z a-z 0-9 _ . - with no '..' and no leading dot"
        )
    return name


def is_model_name(name: str) -> bool:
    """Whether `check_model_name` lets `name` pass; a store ignores other folders."""
    return bool(_NAME.fullmatch(name)) and ".." not in name and not name.startswith(".")


def version_number(name: str) -> int | None:
    """The version that a name in a base path stands for, None if it is no int64 number."""
    return int(name) if _VERSION.fullmatch(name) and int(name) <= MAX_VERSION else None


def version_folders(base: pathlib.Path) -> dict[int, pathlib.Path]:
    """`{version: folder}` of the folders of `base` whose name is an int64 number, in rising order.

    Other names are ignored; of 001 and 0001 the first in sort order wins, with a warning.

    Raises:
        OSError: `base` cannot be listed.
    """
    found: dict[int, pathlib.Path] = {}
    for path in sorted(base.iterdir()):
        number = version_number(path.name)
        if number is None or not path.is_dir():
            continue
        if number in found:
            logger.warning("%s: version %d is already given by %s: ignored", path, number, found[number])
            continue
        found[number] = path
    return dict(sorted(found.items()))
