"""Ids of requests: a caller brings one or is given one, and what is logged of the request is found by it.

gRPC carries it as metadata and HTTP as a header, both under the name `x-request-id`, in the request and in its answer.
"""

import re
import uuid
from collections.abc import Iterable

HEADER = "x-request-id"
ALLOWED = "a letter or digit, then up to 127 of letters, digits and ._:-"
_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)


def made() -> str:
    """A new id, 32 hexadecimal digits (a random UUID)."""
    return uuid.uuid4().hex


def is_sound(request_id: object) -> bool:
    """Whether it can be an id: short, and of characters that mean nothing in a log, a table or a path."""
    return isinstance(request_id, str) and _FORM.fullmatch(request_id) is not None


def chosen(brought: Iterable[str | bytes]) -> str:
    """The id of a request that brought these.

    Returns:
        What the caller brought, if that is one sound id; else a new one. A request is not refused for its id: the
        answer names the one that counts.
    """
    found = [value.decode("latin-1") if isinstance(value, bytes) else value for value in brought]
    return found[0] if len(found) == 1 and is_sound(found[0]) else made()
