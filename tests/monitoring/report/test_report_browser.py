"""The page in a real browser: it fits a screen and a telephone, and asks nobody for anything."""

import html
import json
import re
import shutil
import subprocess

import pytest
import report_samples as samples

from graft.monitoring.report import command
from graft.pipeline import cli

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (1200, 390)

_MEASURES = """
addEventListener("load", () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument;
    const inside = (one) => one.closest(".wide, svg") === null;
    const wide = [...page.body.querySelectorAll("*")].filter(
      (one) => inside(one) && one.getBoundingClientRect().right > frame.clientWidth + 1);
    found[frame.width] = {
      scroll: page.documentElement.scrollWidth, wide: wide.map((one) => one.outerHTML.slice(0, 80)),
      broken: [...page.images].filter((one) => !one.naturalWidth).length, images: page.images.length,
      sections: page.querySelectorAll("section").length };
  }
  document.body.dataset.found = JSON.stringify(found);
});
"""


def measured(page: str, folder) -> dict:
    """What a browser makes of a page at each width; frames are as narrow as asked, windows are not."""
    frames = "".join(f'<iframe width="{width}" height="900" srcdoc="{html.escape(page)}"></iframe>' for width in WIDTHS)
    path = folder / "frames.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'><script>{_MEASURES}</script><body>{frames}")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
    done = subprocess.run(
        [BROWSER, *options, "--virtual-time-budget=10000", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium on the PATH (Debian: apt-get install chromium)")
def test_it_fits_a_screen_and_a_telephone(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_now", lambda: samples.BEGIN + 8.2 * samples.DAY)
    config = samples.make(tmp_path / "a-folder-whose-name-is-rather-long-and-has-no-place-to-break" / ("x" * 80))
    assert cli.main(["monitor", "report", str(config), "-o", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    for width, found in measured(page, tmp_path).items():
        assert found["scroll"] <= int(width) and not found["wide"], (width, found)
        assert (found["images"], found["broken"], found["sections"]) == (16, 0, 6)
    wide = page.replace("<main>", '<main><p style="width: 1300px; overflow-wrap: normal">x</p>')
    assert all(found["wide"] for found in measured(wide, tmp_path).values()), "what is too wide is seen"
