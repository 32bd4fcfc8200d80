"""Hooks of MkDocs (mkdocs.yml): the site has pages that lie outside docs/, and reads Markdown as GitHub does.

- README.md, CHANGELOG.md, SECURITY.md and LICENSE are pages of the site; links to them and from them are rewritten. A
  link to any other file outside docs/ stops a strict build: such a file is named, not linked.
- The API reference is made from docstrings; it is no file, for GitHub could not show it.
- Python-Markdown wants lists indented by four and a blank line before them; the pages are written for GitHub.
"""

import pathlib
import re
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "LICENSE": "LICENSE.txt",
}
"""File of the root -> its name in the site."""

API = {
    "From Python": (
        "What `import graft` gives; [From Python](python.md) shows it in use.",
        (
            "graft.pipeline.api.run",
            "graft.pipeline.api.Run",
            "graft.serving.loaded.load",
            "graft.serving.loaded.LoadedModel",
        ),
        ("graft.serving.client.Client", "graft.serving.client.ClientError", "graft.models.errors.GraftError"),
    ),
    "What packages add": (
        "The seams of the house; [Extending](extending.md) goes through each step by step.",
        ("graft.models.inputs.base.Input", "graft.models.targets.base.Target", "graft.models.transfer.MethodOptions"),
        ("graft.models.task.Task", "graft.models.history.History", "graft.components.ingest.sources.base.Source"),
        ("graft.serving.observers.Observer", "graft.serving.observers.Served"),
        ("graft.pipeline.trackers.Tracker", "graft.pipeline.trackers.Followed"),
    ),
}
"""Heading -> what it says, and what of the code is below it."""

PACKAGES = ("__init__.py", "pipeline", "components", "models", "serving")
SOURCES = (*PAGES, *PACKAGES)
"""What the site is made of, beside docs/."""

_LINK = re.compile(r"(\]\()([^)\s#:]+)([)#])")
_FENCE = re.compile(r" *(```+|~~~+)")
_ITEM = re.compile(r"( *)([-*+]|\d+\.)( +)(?=\S)")


def on_startup(**_: Any) -> None:
    """A folder in which the package `graft` holds code alone; the root holds environments, runs and more beside it.

    Before mkdocstrings is configured: it takes no folder that is not there, and would look through the whole root.
    """
    folder = ROOT / ".tools" / "docs" / "graft"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(ROOT / name)


def on_files(files: Files, config: Any) -> Files:
    """The pages that are no files of docs/."""
    for name, shown in PAGES.items():
        files.append(File.generated(config, shown, content=(ROOT / name).read_text(encoding="utf-8")))
    files.append(File.generated(config, "api.md", content=api_page()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page as Python-Markdown reads it."""
    return laid_out(linked(markdown, page.file.src_uri in PAGES.values()))


def api_page() -> str:
    """The page that mkdocstrings fills."""
    parts = ["# API reference", "From the docstrings of the code."]
    for heading, (about, *groups) in API.items():
        parts += [f"## {heading}", about, *(f"::: {name}" for group in groups for name in group)]
    return "\n\n".join(parts) + "\n"


def linked(markdown: str, of_root: bool) -> str:
    """Links between docs/ and the root, which are one folder in the site. Args: of_root: the page is of the root."""

    def moved(match: re.Match) -> str:
        target = match[2]
        name = target if of_root else target.removeprefix("../") if target.startswith("../") else ""
        return match[1] + PAGES.get(name, target.removeprefix("docs/") if of_root else target) + match[3]

    return _LINK.sub(moved, markdown)


def laid_out(markdown: str) -> str:
    """Lists indented by four for each level, with a blank line before the first item."""
    lines: list[str] = []
    open_items: list[int] = []  # where the content of each open item begins
    fence = ""
    for line in markdown.splitlines():
        indent = len(line) - len(line.lstrip())
        item = None if fence else _ITEM.match(line)
        if not line.strip():
            lines.append("")
            continue
        lazy = bool(lines and lines[-1]) and item is None and not _FENCE.match(line) and not line.startswith(("#", "<"))
        if not fence and not lazy:
            while open_items and indent < open_items[-1]:
                open_items.pop()
        level = "    " * len(open_items)
        content = line[min(indent, open_items[-1]) :] if open_items else line
        if opened := _FENCE.match(line):
            fence = "" if fence and opened[1].startswith(fence) else fence or opened[1]
        if item:
            if lines and lines[-1] and not open_items and not _ITEM.match(lines[-1]) and not lines[-1].startswith(" "):
                lines.append("")
            open_items.append(item.end())
            content = line.lstrip()
        lines.append(level + content)
    return "\n".join(lines) + "\n"
