"""The natural order of names, in which classes are listed whatever their counts."""

import re


def natural_key(name: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """A sort key for names as people order them: `a2` before `a10`, upper and lower case alike.

    Numbers are compared by their length and digits, not as integers: Python refuses to convert very long ones. Names
    that differ in case or leading zeros only follow their code points, so that the order is the same for any input.
    """
    # Text and digits take turns, text first: equal places hold equal types.
    parts: list[str | tuple[int, str]] = []
    for place, part in enumerate(re.split(r"([0-9]+)", name.casefold())):
        digits = part.lstrip("0")
        parts.append((len(digits), digits) if place % 2 else part)
    return tuple(parts), name
