"""The report in a real browser: it fits a telephone, can be read in both schemes, tables have names, it prints."""

import pathlib

import pytest
from browser import NAMES, Browser, browser, executable
from test_report import run  # noqa: F401 - a fixture

from graft.models.gates import Gate

pytestmark = pytest.mark.skipif(executable() is None, reason=f"needs a browser on the PATH: {', '.join(NAMES)}")
LEAST_CONTRAST = 4.5
"""Of text and what is behind it: WCAG 2.2, success criterion 1.4.3 (AA)."""
FAULTS = pathlib.Path(__file__).with_name("report_faults.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def address(run):  # noqa: F811
    words = "the lowest of all classes, that of a-class-with-a-rather-long-name and " + "x" * 120
    run.result.gates.append(Gate("recall_of_the_rarest_class", 0.25, 0.5, False, words))
    run.write()
    return (run.folder / "report.html").as_uri()


def faults(page: Browser, width: int) -> list[str]:
    """What is wrong with the page that is open at a width."""
    found = [f"complaint: {text}" for text in page.complaints]
    found += [f"asked: {url}" for url in page.requests[1:] if not url.startswith("data:")]
    return found + page.value(f"({FAULTS.partition(chr(10))[2]})({width}, {LEAST_CONTRAST})")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_it_fits_and_can_be_read(page, address, width, scheme):
    page.open(address, width, scheme=scheme)
    assert faults(page, width) == []
    assert page.value("document.querySelectorAll('section').length") > 10 and page.value("document.images.length") > 5
    dark = page.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


@pytest.mark.slow
def test_what_is_too_wide_moves_within_its_frame_also_by_keys(page, address):
    page.open(address, 390)
    frames = "[...document.querySelectorAll('.wide')]"
    assert page.value(f"{frames}.some((one) => one.scrollWidth > one.clientWidth)")
    assert page.value(f"{frames}.every((one) => one.tabIndex === 0 && one.getAttribute('aria-label'))")


@pytest.mark.slow
def test_print_is_light_and_without_navigation(page, address):
    page.open(address, 1200, scheme="dark")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.call("Page.printToPDF")["data"].startswith("JVBERi0"), "a PDF in base64"
    page.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("width", "</main>", "<hr style='width: 999px'></main>"),
        ("contrast", "--soft: #5b6670", "--soft: #c0c0c0"),
        ("torn", "min-width: 15em", "max-width: 4px"),
        ("table", ' scope="col"', ""),
        ("table", "<caption", "<!-- caption"),
        ("alt", ' alt="', ' title="'),
        ("asked", "<main>", "<main><img alt='x' src='file:///nothing.png'>"),
    ],
)
def test_the_checks_see_what_is_wrong(page, address, run, kind, old, new):  # noqa: F811
    path = run.folder / "report.html"
    sound = path.read_text(encoding="utf-8")
    assert old in sound
    path.write_text(sound.replace(old, new).replace("img-src data:", "img-src data: file:"), encoding="utf-8")
    page.open(address, 390)
    assert kind in {fault.partition(":")[0] for fault in faults(page, 390)}
