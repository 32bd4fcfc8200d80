"""The site of docs/: it is built without a warning, shows what the pages hold, and asks nobody else for anything."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from browser import NAMES, browser, executable

ROOT = pathlib.Path(__file__).parents[2]
OUTSIDE = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\ssrc=[\"']?(?:https?:)?//"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*\shref=[\"']?(?:https?:)?//"
    r"|url\(\s*[\"']?(?:https?:)?//|@import\s+[\"'](?:https?:)?//"
)
"""What a browser would fetch from elsewhere; a link that a reader may follow is none of it."""
HERE = "Written into the checkout that is built"


def load_hooks():
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "scripts" / "docs_site.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


HOOKS = load_hooks()


def build(folder: pathlib.Path, site: pathlib.Path) -> subprocess.CompletedProcess:
    """What `make docs` runs, in a folder with a mkdocs.yml. With `-q` MkDocs would count no warning."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "-d", site],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Of a checkout where nothing was built before, and that is not the one which Python would import."""
    made, checkout = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("checkout")
    for name in {"mkdocs.yml", "docs", *HOOKS.SOURCES} - {"serving"}:
        (checkout / name).symlink_to(ROOT / name)
    for name in ("scripts", "serving"):
        shutil.copytree(ROOT / name, checkout / name)
    client = checkout / "serving" / "client.py"
    client.write_text(client.read_text().replace("Calls one model on one server;", f"{HERE}.", 1))
    done = build(checkout, made)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    assert "mkdocs build --strict\n" in (ROOT / "Makefile").read_text()
    return made


def test_every_page_is_there(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} | {"index", "api", "changelog", "security", "404"}
    assert {path.stem for path in site.glob("*.html")} == pages


def test_nothing_is_fetched_from_elsewhere(site):
    files = [path for ending in ("html", "css") for path in site.rglob(f"*.{ending}")]
    assert not {path.name: found for path in files if (found := OUTSIDE.findall(path.read_text("utf-8")))}
    assert len(files) > 20


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://unpkg.com/mermaid"></script>',
        '<link rel="stylesheet" href="//fonts.googleapis.com/css">',
        "<style>a {background: url(https://example.com/x.png)}</style>",
        '<img alt="" src="http://example.com/x.png">',
    ],
)
def test_what_is_fetched_from_elsewhere_is_noticed(text):
    assert OUTSIDE.search(text) and not OUTSIDE.search('<a href="https://example.com/x">')


def test_the_reference_tells_what_the_docstrings_do(site):
    text = re.sub(r"<[^>]+>", "", (site / "api.html").read_text("utf-8"))
    for told in (
        "Runs a pipeline: from data to a gated, pushed model.",
        "from_stage",
        "predict_contents",
        "Observer",
        HERE,
    ):
        assert told in text
    assert "_hushed" not in text


def test_no_page_asks_for_diagrams(site):
    """Material would fetch Mermaid from elsewhere where a page holds one; the pages have pictures."""
    assert not [path.name for path in site.glob("*.html") if 'class="mermaid"' in path.read_text("utf-8")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "link", ["../scripts/audit.py", "none.md", "page.md#nowhere"], ids=["outside docs", "no page", "no heading"]
)
def test_a_link_that_leads_nowhere_stops_it(tmp_path, link):
    """In a house of two pages, without the theme and the reference, which take seconds."""
    settings = (ROOT / "mkdocs.yml").read_text()
    validation = settings[settings.index("validation:") : settings.index("nav:\n  -")]
    (tmp_path / "mkdocs.yml").write_text(
        f"site_name: x\ntheme: {{name: null, custom_dir: theme}}\nplugins: []\n{validation}"
    )
    for folder in ("docs", "theme"):
        (tmp_path / folder).mkdir()
    (tmp_path / "theme" / "main.html").write_text("{{ page.content }}")
    (tmp_path / "docs" / "index.md").write_text("# One\n\n[two](page.md#two)\n")
    (tmp_path / "docs" / "page.md").write_text("# Two\n")
    if link == "none.md":  # the sound house, once
        assert build(tmp_path, tmp_path / "site").returncode == 0
    (tmp_path / "docs" / "index.md").write_text(f"# One\n\n[two]({link})\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1 and link.partition("#")[0] in done.stdout + done.stderr


@pytest.mark.skipif(executable() is None, reason=f"needs a browser on the PATH: {', '.join(NAMES)}")
def test_a_browser_shows_it_on_a_telephone_and_fetches_nothing(site, tmp_path):
    with browser(tmp_path / "profile") as page:
        for name, width in (("index.html", 390), ("configuration.html", 390), ("index.html", 1200)):
            page.open((site / name).as_uri(), width)
            page.value("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
            assert page.value("document.documentElement.scrollWidth") <= width
            assert [one for one in page.requests if not one.startswith(("file:", "data:"))] == []
            assert page.complaints == []
        page.open((site / "demo.png").as_uri(), 390)
        assert page.value("document.images[0].naturalWidth") > 300


def test_lists_are_laid_out_as_python_markdown_reads_them():
    written = (
        "Some:\n- one\n  more\n  - below\n\n1. first\n\n   ```sh\n   a\n     b\n   ```\n\n2. second\nlazy\n\nend\n"
    )
    read = "Some:\n\n- one\n    more\n    - below\n\n1. first\n\n    ```sh\n    a\n      b\n    ```\n"
    read += "\n2. second\n    lazy\n\nend\n"
    assert HOOKS.laid_out(written) == read
    fenced = "```text\n- no list\n  1. nor this\n```\n"
    assert HOOKS.laid_out(fenced) == fenced


def test_links_between_the_root_and_docs_lead_to_the_page():
    of_readme = (
        "[a](docs/data.md#x) ![b](docs/demo.png) [c](CHANGELOG.md) [d](LICENSE) [e](https://x.org/docs/y) [f](#g)"
    )
    inside = "[a](data.md#x) ![b](demo.png) [c](changelog.md) [d](LICENSE.txt) [e](https://x.org/docs/y) [f](#g)"
    assert HOOKS.linked(of_readme, of_root=True) == inside
    assert HOOKS.linked("[a](../README.md#x) [b](data.md) [c](../setup.py)", of_root=False) == (
        "[a](index.md#x) [b](data.md) [c](../setup.py)"
    )
