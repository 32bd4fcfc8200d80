"""`graft runs`: metrics beside each run, and a page that plots them."""

import json
import re

from runs_for_comparison import EARLY, FIRST, SECOND, Runs

from graft.pipeline.cli import main

ATTACK = "<script>alert(1)</script>"


def test_runs_show_the_headline_and_the_page_plots_it(tmp_path, capsys):
    root, page = tmp_path / "runs", tmp_path / "pages" / "pets.html"
    runs = Runs(root)
    runs.add(FIRST, wrong=6, metrics={"accuracy": 0.9, "examples": 60, ATTACK: 1.0})
    runs.add(SECOND, wrong=3, status="gate_closed")
    runs.add(EARLY, wrong=None)
    (runs.folder / "runs" / FIRST / "report.html").write_text("report")
    assert main(["runs", "pets", "--root", str(root), "--page", str(page)]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"{FIRST} .*accuracy 0.9000\n", shown) and re.search(rf"{EARLY} .* -\n", shown)
    html = page.read_text()
    assert html.count("<svg") == 4, "two metrics, the attack and the seconds"
    assert "<script" not in html and 'href="../runs/pets/runs/' in html
    assert "http" not in html.replace('http-equiv="Content', "") and 'class="dot marked"' in html
    assert "prefers-color-scheme: dark" in html and 'name="viewport"' in html
    assert main(["runs", "pets", "--root", str(root), "--json", "--page", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == str(page) and found["runs"][1]["metrics"] == {"accuracy": 0.95, "examples": 60}
    assert found["runs"][2]["metrics"] == {}


def test_a_page_of_runs_without_metrics_has_no_plot(tmp_path, capsys):
    runs = Runs(tmp_path)
    runs.add(FIRST, wrong=None)
    page = tmp_path / "p.html"
    assert main(["runs", "--root", str(tmp_path), "--page", str(page)]) == 0
    assert "<svg" not in page.read_text() and FIRST in page.read_text()
