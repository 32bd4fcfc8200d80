"""Text from outside (file names, class names, keys, messages of libraries) in terminals, HTML and Markdown."""

import contextvars
import logging
import os
import re
import sys
import traceback
from typing import TextIO

REQUEST_ID: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)
"""Id of the request that a thread or task of a server is at: log lines name it."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~])")


def printable(text: str) -> str:
    """One visible line: control characters, line breaks and marks that turn the direction of writing are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def located(path: str | os.PathLike[str]) -> str:
    """A path as it was given and, where it is relative, in brackets where that is; valid Unicode."""
    given = os.fspath(path)
    where = given if os.path.isabs(given) or "://" in given else f"{given} ({os.path.abspath(given)})"  # noqa: PTH100, PTH117 - any bytes
    return os.fsencode(where).decode("utf-8", "backslashreplace")


def markdown(text: str) -> str:
    """The same, such that Markdown and the HTML inside it mean nothing."""
    escaped = _MARKDOWN.sub(r"\\\1", printable(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def say(*lines: str, file: TextIO | None = None, bold: bool = False) -> None:
    """Prints lines, each `printable`; on stdout if `file` is None. Nothing in Graft prints in another way.

    `bold` holds on a terminal that has it, unless NO_COLOR is set.

    A value from outside can neither end its line nor move the cursor, so it cannot pass for a line of Graft's own.
    """
    if lines:
        out = file or sys.stdout
        styled = bold and out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        shown = (f"\x1b[1m{text}\x1b[0m" if styled else text for text in map(printable, lines))
        print(*shown, sep="\n", file=out, flush=True)


def traceback_lines(error: BaseException | None) -> list[str]:
    """The traceback of an exception. Each line is indented: the exception's own words may hold line breaks."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return [f"  {printable(line)}" for line in lines]


class LogFormatter(logging.Formatter):
    """Formats a record as lines that are each `printable`: the message is one, those of a traceback are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        request_id = REQUEST_ID.get()
        message = record.getMessage() + (f" (request {request_id})" if request_id else "")
        clean = logging.makeLogRecord(record.__dict__ | {"msg": printable(message), "args": None})
        return super().format(clean)

    def formatException(self, ei) -> str:
        """The traceback."""
        return "\n".join(traceback_lines(ei[1]))
