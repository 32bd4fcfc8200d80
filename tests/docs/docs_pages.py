"""Reads the Markdown pages: fenced blocks, links, tables."""

import dataclasses
import pathlib
import re
import textwrap
from collections.abc import Iterator

TOP = pathlib.Path(__file__).parents[2]
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").glob("*.md"))]

# Tables of errors.md whose first column holds parts of messages.
MESSAGE_TABLES = (
    "Set-up",
    "Configuration",
    "Data",
    "Backbone",
    "Training and runs",
    "Store",
    "Server",
    "Kubeflow Pipelines",
    "Several workers",
)
_FENCE = re.compile(
    r"(?P<marker><!-- not run: [^\n]+ -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)\n(?P=indent)```\n",
    re.DOTALL,
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file it is in.
        line: number of its first line.
        language: as the fence says.
        text: without the indentation of the fence.
        not_run: whether `<!-- not run: WHY -->` stands above it.
    """

    page: pathlib.Path
    line: int
    language: str
    text: str
    not_run: bool

    @property
    def commands(self) -> list[str]:
        """Its lines, with continuations joined, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks(page: pathlib.Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        yield Block(page, line, match["language"], textwrap.dedent(match["text"]), bool(match["marker"]))


def broken_links(page: pathlib.Path) -> list[str]:
    """Links to files or headings that are not there; web addresses are not looked at."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in _LINK.findall(text):
        if re.match(r"\w+://", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def anchors(page: pathlib.Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def first_cells(page: str, heading: str) -> list[str]:
    """What stands in backticks in the first column of the table under a heading."""
    text = (TOP / "docs" / page).read_text(encoding="utf-8")
    [part] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    cells = [row.split(" | ")[0] for row in part.splitlines() if row.startswith("| `")]
    return [cell.removeprefix("| ").strip("`").replace("\\`", "`") for cell in cells]


def source_text() -> Iterator[str]:
    """The text of the code, with pieces of one literal over several lines joined."""
    for folder in ("models", "serving", "components", "pipeline", "monitoring", "kubeflow", "scripts"):
        for path in sorted((TOP / folder).rglob("*.[ps]*")):
            if path.suffix in (".py", ".sh"):
                yield re.sub(r'"\n\s*f?"', "", path.read_text(encoding="utf-8"))
