"""Names in PromQL: enough of its grammar to say which series and labels an expression uses."""

import re

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<range>\[[^\]]*\])|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"""
    r"""|(?P<number>\d[\w.]*)|(?P<sign>=~|!~|!=|==|<=|>=|[^\s\w])""",
    re.X,
)
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}


def selectors(expression: str) -> dict[str, dict[str, set[str]]]:
    """Values (of `=` and of alternatives of `=~`) by label, by series; of a comparison with `!=` the set is empty."""
    found: dict[str, dict[str, set[str]]] = {}
    tokens = [(match.lastgroup, match.group()) for match in _TOKEN.finditer(expression)]
    place = 0
    while place < len(tokens):
        kind, text = tokens[place]
        after = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        place += 1
        if kind != "name" or text in _WORDS:
            continue
        if text in _GROUPING:
            place = _end(tokens, place, ")") if after == "(" else place
        elif after != "(" and after not in _GROUPING:
            labels = found.setdefault(text, {})
            if after == "{":
                end = _end(tokens, place, "}")
                inside = tokens[place + 1 : end - 1]
                for (_, label), (_, sign), (_, value) in zip(inside, inside[1:], inside[2:], strict=False):
                    if sign in ("=", "=~", "!=", "!~"):
                        values = value[1:-1].split("|") if sign in ("=", "=~") else []
                        labels.setdefault(label, set()).update(values)
                place = end
    return found


def groupings(expression: str) -> set[str]:
    """Labels that `by`, `on` and the like name."""
    lists = re.findall(rf"\b(?:{'|'.join(_GROUPING)})\s*\(([^)]*)\)", expression)
    return {label.strip() for names in lists for label in names.split(",") if label.strip()}


def _end(tokens: list[tuple[str | None, str]], place: int, close: str) -> int:
    while tokens[place][1] != close:
        place += 1
    return place + 1
