"""A package of somebody else that is installed for one test: its modules and its entry points."""

import pathlib
import sys
import textwrap

import pytest


def install(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str, entries: dict[str, dict[str, str]], source: str
) -> None:
    """Puts the package on `sys.path` until the test ends.

    Args:
        folder: an empty one for each package.
        monkeypatch: of the test.
        name: of the distribution; its module has the same with `_`.
        entries: entry points by group, then name.
        source: the module's code.
    """
    module = name.replace("-", "_")
    information = folder / f"{module}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, points in entries.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in points.items()))
    ]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / f"{module}.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)
