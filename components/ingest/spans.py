"""Spans: dated or numbered folders of data, of which a rolling window of the newest is read."""
# ruff: noqa: PTH110, PTH112, PTH118, PTH120, PTH208
# Names that are not UTF-8 and "{SPAN}" are handled as text.

import os
import re

from graft.components.ingest.request import Request
from graft.components.ingest.sources.base import Source, as_text, load
from graft.models.errors import GraftError
from graft.models.text import located

SPAN = "{SPAN}"


def resolve_spans(path: str, window: int) -> list[tuple[int | None, str]]:
    """Finds the newest spans of a path.

    Args:
      path: A path that may hold `{SPAN}` once, which stands for an integer (`data/{SPAN}/images`, `data/day-{SPAN}`).
      window: How many spans to take at most.

    Returns:
      (span, path) of the newest `window` spans, oldest first; [(None, path)] when the path holds no `{SPAN}`.

    Raises:
      GraftError: There is no such span, or `{SPAN}` stands there twice.
    """
    if SPAN not in path:
        return [(None, path)]
    if path.count(SPAN) > 1:
        raise GraftError(f"data.path {path!r} holds {SPAN} {path.count(SPAN)} times; it may hold it once")
    root, pattern, rest = _parts(path)
    found: list[tuple[int, str]] = []
    try:
        names = os.listdir(root)
    except OSError as error:
        raise GraftError(f"data.path {path!r}: {located(root)}: {error.strerror}") from error
    for name in names:
        match = re.fullmatch(pattern, name)
        full = os.path.join(root, name, rest) if rest else os.path.join(root, name)
        if match and os.path.exists(full):
            found.append((int(match[1]), full))
    if not found:
        raise GraftError(
            f"data.path {path!r}: no span in {located(root)} ({len(names)} entries); "
            f"{SPAN} stands for an integer, so there must be for example {path.replace(SPAN, '1')!r}"
        )
    return [*sorted(found)[-window:]]


def open_sources(request: Request) -> list[tuple[int | None, Source]]:
    """The sources to read: the places of the target domain, those of `data.base`, then one a span, oldest first.

    Names of files start with the folder of the place or the span, those of `data.base` with `base/`.
    """
    opened: list[tuple[int | None, Source]] = []
    for place in request.places():
        name = os.path.basename(os.path.normpath(place.data.path))  # noqa: PTH119
        opened.append((None, load(place, place.data.path, as_text(name) + "/")))
    if (base := request.base()) is not None:
        opened += _by_span(base, "base/")
    return opened + _by_span(request, "")


def _by_span(request: Request, before: str) -> list[tuple[int | None, Source]]:
    options = request.data
    opened: list[tuple[int | None, Source]] = []
    for span, path in resolve_spans(options.path, options.window):
        prefix = before
        if span is not None:
            folder = path if os.path.isdir(path) else os.path.dirname(path)
            prefix += as_text(os.path.relpath(folder, _parts(options.path)[0])) + "/"
        opened.append((span, load(request, path, prefix)))
    return opened


def _parts(path: str) -> tuple[str, str, str]:
    """The folder that holds the spans, the pattern of their names, and what follows below them."""
    head, tail = path.split(SPAN)
    root, before = os.path.split(head)
    after, _, rest = tail.partition("/")
    return root or ".", f"{re.escape(before)}([0-9]+){re.escape(after)}", rest
