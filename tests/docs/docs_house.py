"""A copy of the house in which everything is done that extending.md says: files written, entries made, code run."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import docs_pages as pages

PAGE = pages.TOP / "docs" / "extending.md"
FOLDERS = ("models", "serving", "components", "pipeline", "monitoring", "kubeflow")
_FENCED = re.compile(r" *```\w*\n.*?\n *```\n", re.DOTALL)
_ENTRY = re.compile(r"Add `([^`]+)` to (?:the (imports) of|`([^`]+)` in) `([^`]+)`(?: after `([^`]+)`)?")


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one sentence of the page says: `Add TEXT to PLACE in FILE after NEIGHBOUR`."""

    text: str
    place: str
    file: str
    neighbour: str | None


def entries() -> list[Entry]:
    """Those of the page, in order."""
    prose = " ".join(_FENCED.sub("", PAGE.read_text(encoding="utf-8")).split())
    return [
        Entry(text, imports or place, file, neighbour or None)
        for text, imports, place, file, neighbour in _ENTRY.findall(prose)
    ]


def files() -> list[tuple[str, str]]:
    """Path and code of each block of the page that begins with the path of a file."""
    found = []
    for block in pages.blocks(PAGE):
        first, _, code = block.text.partition("\n")
        if block.language == "python" and first.startswith("# ") and first.endswith(".py"):
            found.append((first[2:], code + "\n"))
    return found


def packages() -> list[dict]:
    """The metadata of the packages of somebody else that the page makes, one for each `pyproject.toml`."""
    found = [block.text for block in pages.blocks(PAGE) if block.language == "toml"]
    return [tomllib.loads(text)["project"] for text in found if text.startswith("# pyproject.toml\n")]


def make(folder: pathlib.Path) -> pathlib.Path:
    """The extended house, and the packages of somebody else beside it.

    Args:
        folder: an empty one.

    Returns:
        what goes on `PYTHONPATH`.
    """
    house = folder / "graft"
    house.mkdir(parents=True)
    shutil.copy(pages.TOP / "__init__.py", house)
    shutil.copy(pages.TOP / "setup.py", house)
    for name in FOLDERS:
        shutil.copytree(pages.TOP / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path, code in files():
        written = (house if "/" in path else folder) / path
        written.parent.mkdir(exist_ok=True)
        if written.exists():  # beside the others, above the list that names it
            [entry] = [entry for entry in entries() if entry.file == path]
            lines = written.read_text(encoding="utf-8").splitlines()
            lines[_line_of(lines, entry) :] = [*code.splitlines(), "", "", *lines[_line_of(lines, entry) :]]
            code = "\n".join(lines) + "\n"
        written.write_text(code, encoding="utf-8")
    for entry in entries():
        (_register if entry.file == "setup.py" else _insert)(house, entry)
    for package in packages():
        _install(folder, package["name"], package["entry-points"])
    return folder


def run(house: pathlib.Path, folder: pathlib.Path, *arguments: str) -> str:
    """Runs Python in the extended house; returns what it printed.

    Args:
        house: of `make`.
        folder: to run in.
        arguments: of Python.
    """
    tests = pathlib.Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (house, tests, tests.parent)))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout[-8000:]}"
    return done.stdout


def _line_of(lines: list[str], entry: Entry) -> int:
    """Where the collection or class of an entry begins."""
    found = [i for i, line in enumerate(lines) if re.match(rf"(class )?{entry.place}\b", line)]
    assert found, f"{entry.file} has no {entry.place}"
    return found[0]


def _insert(house: pathlib.Path, entry: Entry) -> None:
    """Puts a line into a file: among the imports, in a class, or in a collection (first, or behind a neighbour)."""
    path = house / entry.file
    lines = path.read_text(encoding="utf-8").splitlines()
    if entry.place == "imports":
        before = (i for i, line in enumerate(lines) if line.startswith("from ") and line < entry.text)
        lines.insert(1 + max(before), entry.text)
    elif lines[start := _line_of(lines, entry)].startswith("class "):
        lines.insert(lines.index("", start) + 1, f"    {entry.text}")
    elif lines[start].endswith(")"):
        lines[start] = f"{lines[start][:-1]}, {entry.text})"
    else:
        opened = next(i for i in range(start, len(lines)) if lines[i].endswith(("[", "{")))
        indent = " " * (len(lines[opened]) - len(lines[opened].lstrip()) + 4)
        if entry.neighbour is not None:
            opened = lines.index(f"{indent}{entry.neighbour},", opened)
        lines.insert(opened + 1, f"{indent}{entry.text},")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _register(house: pathlib.Path, entry: Entry) -> None:
    """What an installation does with an entry point."""
    assert f'"{entry.place}": [' in (house / "setup.py").read_text(encoding="utf-8"), f"setup.py has no {entry.place}"
    name, _, value = entry.text.partition(" = ")
    _install(house.parent, f"more-{name}", {entry.place: {name: value}})


def _install(folder: pathlib.Path, name: str, entry_points: dict[str, dict[str, str]]) -> None:
    """The metadata of a package in a folder of `PYTHONPATH`."""
    information = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, entries in entry_points.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
