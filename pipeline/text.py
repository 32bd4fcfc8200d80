"""Text from outside (file names, class names) in terminals, HTML and Markdown."""

import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~])")


def printable(text: str) -> str:
    """One visible line: control characters, line breaks and marks that turn the direction of writing are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def markdown(text: str) -> str:
    """The same, such that Markdown and the HTML inside it mean nothing."""
    escaped = _MARKDOWN.sub(r"\\\1", printable(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
