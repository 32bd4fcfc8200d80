"""The dashboard in a real browser: nothing overflows, no script runs, nothing is asked of another host."""

import threading

import pytest
from browser import NAMES, Browser, browser, executable
from dashboard_places import FIRST, SECOND, make_places, write_windows

from graft.monitoring.dashboard.server import Server

pytestmark = pytest.mark.skipif(executable() is None, reason=f"needs a browser on the PATH: {', '.join(NAMES)}")
PATHS = (
    "/",
    "/runs/flowers",
    f"/runs/flowers/{FIRST}",
    f"/runs/flowers/{SECOND}",
    "/models/0/flowers",
    "/drift/flowers",
)
WIDTHS = (1200, 390)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    places = make_places(tmp_path_factory.mktemp("a-folder-with-a-rather-long-name-as-they-come-in-real-life"))
    write_windows(places.root / "flowers" / "drift", 60)
    with Server("127.0.0.1", 0, places) as opened:
        threading.Thread(target=opened.serve_forever, args=(0.02,), daemon=True).start()
        yield opened
        opened.shutdown()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def faults(page: Browser, address: str) -> list[str]:
    """What is wrong with the page that is open; the server's address is `address`."""
    found = [f"complaint: {text}" for text in page.complaints]
    found += [f"asked for {url}" for url in page.requests if not url.startswith((address, "data:"))]
    width, room = page.value("document.documentElement.scrollWidth"), page.value("innerWidth")
    if width > room:
        found.append(f"{width} pixels wide, there are {room}")
    if page.value("document.scripts.length + document.images.length"):
        found.append("markup from outside")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_and_asks_nobody_else(server, page, path):
    for width in WIDTHS:
        page.open(server.address + path[1:], width)
        assert faults(page, server.address) == []
        assert page.value("getComputedStyle(document.body).maxWidth") == "1160px"  # its style was taken
        assert page.value("document.querySelector('h1, h2').getBoundingClientRect().height") > 0


@pytest.mark.slow
def test_colours_follow_the_scheme_and_keep_their_contrast(server, page):
    found = []
    for scheme in ("light", "dark"):
        page.open(f"{server.address}drift/flowers", 1200, scheme=scheme)
        text = "(() => {const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]})()"
        ink, paper = (sum(map(int, c[4:-1].split(","))) / 3 for c in page.value(text))
        assert abs(ink - paper) > 150
        found.append(ink < paper)
    assert found == [True, False]


@pytest.mark.slow
def test_the_checks_see_what_is_wrong(server, page):
    page.open(server.address, 390)
    page.value("document.body.append(Object.assign(document.createElement('pre'), {textContent: 'x'.repeat(999)}))")
    assert "pixels wide" in faults(page, server.address)[0]
    hostile = "data:text/html,<script>alert</script><link rel=stylesheet href='http://127.0.0.1:9/other.css'>"
    page.open(hostile, 390)
    found = faults(page, server.address)
    assert "asked for http://127.0.0.1:9/other.css" in found and "markup from outside" in found


@pytest.mark.slow
def test_the_policy_holds_off_a_script_in_a_page(server, page):
    page.open(server.address, 1200)
    page.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    assert page.value("window.ran") is None
    page.open("data:text/html,<p>without a policy", 1200)
    page.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    assert page.value("window.ran") == 1
