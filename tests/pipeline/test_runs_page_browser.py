"""The page of runs in a real browser; that its checks see what is wrong is shown by `test_report_pages`."""

import pytest
from browser import NAMES, browser, executable
from runs_for_comparison import FIRST, SECOND, Runs
from test_report_pages import faults

from graft.pipeline.cli import main


@pytest.mark.slow
@pytest.mark.skipif(executable() is None, reason=f"needs a browser on the PATH: {', '.join(NAMES)}")
def test_it_fits_a_telephone_and_can_be_read_in_both_schemes(tmp_path, capsys):
    runs = Runs(tmp_path / "runs", "a-pipeline-with-a-rather-long-name-" + "x" * 60)
    runs.add(FIRST, wrong=6)
    runs.add(SECOND, wrong=3, status="gate_closed")
    path = tmp_path / "runs.html"
    assert main(["runs", "--root", str(tmp_path / "runs"), "--page", str(path)]) == 0
    with browser(tmp_path / "profile") as page:
        for width, scheme in ((1200, "light"), (390, "light"), (390, "dark")):
            page.open(path.as_uri(), width, scheme=scheme)
            assert faults(page, width) == []
            dark = page.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
            assert dark == (scheme == "dark") and page.value("document.querySelectorAll('svg circle').length") >= 4
