"""The pages of the dashboard: what they show, what they do not believe, and that nothing is written."""

import hashlib
import json
import pathlib
import re
import subprocess
import sys

import pytest
from dashboard_places import ATTACK, FIRST, HOSTILE, LAST, SECOND, make_places, write_windows
from markupsafe import escape
from metadata_writer import MetadataWriter
from run_folders import write_run
from workshop import STAGES

from graft.monitoring.dashboard import drift_view, run_view, store_view
from graft.monitoring.dashboard.pages import Pages
from graft.monitoring.dashboard.places import Places
from graft.serving.store import open_store

ADDRESSES = (
    "/", "/runs/flowers", f"/runs/flowers/{FIRST}", f"/runs/flowers/{SECOND}", f"/runs/flowers/{LAST}",
    "/models/0/flowers", "/drift/flowers", "/runs/%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E",
)  # fmt: skip


@pytest.fixture
def places(tmp_path):
    return make_places(tmp_path)


@pytest.fixture
def own(places):
    """Of places that the test changes."""
    return Pages(places)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return Pages(make_places(tmp_path_factory.mktemp("places")))


def text(pages: Pages, address: str, status: int = 200) -> str:
    page = pages.page(address)
    assert page.status == status, page.content.decode()
    return page.content.decode()


def test_the_first_page_leads_to_all_others(pages):
    seen, waiting = set(), ["/"]
    while waiting:
        address = waiting.pop()
        seen.add(address)
        found = re.findall(r'href="(/[^"]*)"', text(pages, address))
        waiting += [one for one in dict.fromkeys(found) if one not in seen and one not in waiting]
    assert set(ADDRESSES) <= seen


def test_a_run_tells_its_stages_gates_and_lineage(pages):
    shown = text(pages, f"/runs/flowers/{SECOND}")
    for part in ("gate closed", "1970-01-02 01:00:00", "10.0 s", "60.0", "closed", "0.4", "/artifacts/pushed/"):
        assert part in shown
    assert f'<a href="/runs/flowers/{FIRST}">{FIRST}</a>' in shown  # it did the work of the cached stage
    rails = re.findall(r"<path [^>]*><title>([^<]*)</title>", shown)
    assert f"classes: {escape(ATTACK)}" in shown
    assert rails == ["examples of ingest to train, push", "model of train to push"]


def test_metrics_are_drawn_over_time_and_lead_to_their_runs(pages):
    shown = text(pages, "/runs/flowers")
    assert "<figcaption>f1</figcaption>" in shown and 'aria-label="f1 over time"' in shown
    assert f'<a href="/runs/flowers/{FIRST}"><circle' in shown and f"{SECOND}: 0.4" in shown


def test_versions_have_a_command_that_serves_them(places, own, capsys):
    from graft.pipeline.cli import main

    store = open_store(places.stores[0])
    assert store.current("flowers").version == 2
    [command] = re.findall(r"<code class=\"copy\">(graft models rollback flowers 1 [^<]*)</code>", _model(own))
    assert main(command.split()[1:]) == 0
    assert store.current("flowers").version == 1
    assert "graft models unpin flowers" in _model(own)
    with pytest.raises(SystemExit):
        main([*command.split()[1:-2], "--no-store"])


def _model(pages: Pages) -> str:
    return text(pages, "/models/0/flowers")


def test_drift_is_drawn_by_signal_and_alarms_stand_out(pages):
    shown = text(pages, "/drift/flowers")
    figures = dict(re.findall(r"<figure><figcaption>(.*?)</figcaption>(.*?)</figure>", shown, re.S))
    assert figures[f"{escape(ATTACK)} against the reference"].count('class="dot marked"') == 3
    assert 'class="dot marked"' not in figures["size against the reference"]
    assert 'class="limit"' in figures["size against the reference"]
    assert 'class="bar"' in figures["estimated quality"] and "latency, 0.95 quantile (ms)" in figures


def test_nothing_from_outside_becomes_markup(pages):
    shown = {address: text(pages, address) for address in ADDRESSES}
    assert not [address for address, page in shown.items() if "<script" in page or "<img" in page]
    for address in (f"/runs/flowers/{FIRST}", f"/runs/flowers/{SECOND}", "/runs/flowers", "/drift/flowers"):
        assert str(escape(ATTACK)) in shown[address]
    assert str(escape(HOSTILE)) in shown["/"]


@pytest.mark.parametrize(
    "address",
    [
        "/runs", "/runs/", "/nowhere", "/runs/../flowers", "/runs/..", "/runs/flowers/..", "/runs/flowers/../..",
        "/runs/%2e%2e/flowers", "/runs/..%2f..%2fetc/passwd", "/runs/flowers/..%2f..%2fflowers", "//runs/flowers",
        "/runs/flowers/%00", "/runs/flowers?before=x", "/models/1/flowers", "/models/-1/flowers", "/models/0/..",
        "/models/0/STORE", "/models/0/flowers?before=9", "/models/\u00b2/flowers", "/drift/..",
        "/drift/flowers?before=-1",
        "/drift/flowers?before=1.5", "/templates/dashboard.css", "/style.css/", "/%ff", "//[", "/?a=1&b=2&c=3&d=4&e=5",
    ],
)  # fmt: skip
def test_what_was_not_listed_is_not_found(pages, address):
    assert "There is no such page." in text(pages, address, 404)


def digest(folder: pathlib.Path) -> dict[str, str]:
    return {
        str(
            path
        ): f"{path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ''}"
        for path in sorted(folder.rglob("*"))
    }


def test_looking_changes_nothing(tmp_path, own):
    before = digest(tmp_path)
    for address in ADDRESSES:
        text(own, address)
    assert digest(tmp_path) == before
    (tmp_path / "export1" / "saved_model.pb").write_bytes(b"other")
    assert digest(tmp_path) != before


def test_what_is_damaged_is_told_and_hides_nothing_else(places, own):
    store = pathlib.Path(places.stores[0])
    (store / "flowers" / "CURRENT").write_text("{")
    (store / "flowers" / "2" / "graft_manifest.json").write_text("{")
    (places.root / "flowers" / "metadata.sqlite").write_bytes(b"no database" * 100)
    (places.root / "flowers" / "drift" / "windows.jsonl").open("a").write("{}\n")
    (places.log / "labels.sqlite").write_bytes(b"no database" * 100)
    first = text(own, "/")
    for part in ("pointer damaged", "manifest damaged", "1 damaged", "labels.sqlite: ", "must be a window as"):
        assert part in first
    model = text(own, "/models/0/flowers")
    assert "manifest damaged" in model and "rollback flowers 1 " in model and "rollback flowers 2 " not in model
    run = text(own, f"/runs/flowers/{FIRST}")
    assert "Cannot be read" in run and "metadata" in run and "60.0" in run
    assert "run.json: damaged" in text(own, f"/runs/flowers/{LAST}")
    drift = text(own, "/drift/flowers")
    assert "must be a window as" in drift and 'class="dot marked"' in drift


def test_metadata_of_something_else_leave_the_rest_of_a_run(tmp_path):
    write_run(tmp_path, "flowers", FIRST)
    MetadataWriter(tmp_path / "flowers").execution(FIRST, "ingest", {})
    shown = text(Pages(Places(tmp_path)), f"/runs/flowers/{FIRST}")
    assert "is damaged: KeyError" in shown and "60.0" in shown


def test_a_place_that_went_away_fails_alone(places, own):
    places.root.rename(places.root.with_name("moved"))
    first = text(own, "/")
    assert "Cannot be read" in first and "1 file" not in first and "labels" in first
    assert "No such file or directory" in text(own, "/runs/flowers", 500)


def test_lists_are_bounded_and_older_ones_one_link_away(tmp_path, monkeypatch):
    monkeypatch.setattr(run_view, "PAGE", 2)
    monkeypatch.setattr(store_view, "PAGE", 1)
    monkeypatch.setattr(drift_view, "PAGE", 2)
    places = make_places(tmp_path)
    pages = Pages(places)
    runs = text(pages, "/runs/flowers")
    assert FIRST not in re.findall(r'class="id"><a href="[^"]*">([^<]*)', runs)
    assert FIRST in text(pages, *re.findall(r'href="([^"]*)">Older runs', runs))
    assert "rollback flowers 1 " in text(pages, *re.findall(r'href="([^"]*)">Older versions', _model(pages)))
    write_windows(places.root / "flowers" / "drift", 5)
    seen, address = [], "/drift/flowers"
    while address:
        shown = text(pages, address)
        seen += re.findall(r'data-title="window" class="n">(\d+)<', shown)
        address = next(iter(re.findall(r'href="([^"]*)">Older windows', shown)), "")
    assert seen == ["5", "4", "3", "2", "1"]


def test_a_run_under_way_and_one_of_a_killed_process(tmp_path):
    write_run(tmp_path, "flowers", FIRST)
    (tmp_path / "flowers" / "runs" / SECOND).mkdir()
    pages = Pages(Places(tmp_path))
    assert "unfinished" in text(pages, "/runs/flowers")
    shown = text(pages, f"/runs/flowers/{SECOND}")
    assert "This run has written no result" in shown and "no metadata store" in shown
    assert "No model store was named" in text(pages, "/")


def test_names_that_are_not_utf8_have_an_address(tmp_path):
    (tmp_path / "caf\udce9" / "runs").mkdir(parents=True)
    pages = Pages(Places(tmp_path))
    [address] = re.findall(r'href="(/runs/[^"]*)"', text(pages, "/"))
    assert address == "/runs/caf%E9" and r"caf\udce9" in text(pages, address)


@pytest.mark.slow
def test_pages_load_no_heavy_package(places):
    code = (
        "import json, pathlib, sys\n"
        "from graft.monitoring.dashboard.command import Places\n"
        "from graft.monitoring.dashboard.pages import Pages\n"
        "pages = Pages(Places(pathlib.Path(sys.argv[1]), (sys.argv[2],)))\n"
        f"assert all(pages.page(address).status == 200 for address in {ADDRESSES!r})\n"
        "print(json.dumps([name for name in ('tensorflow', 'tfx', 'keras', 'matplotlib') if name in sys.modules]))"
    )
    run = [sys.executable, "-c", code, str(places.root), places.stores[0]]
    assert json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout) == []


@pytest.mark.slow
def test_a_real_run_and_what_it_pushed(workshop, first_run):
    pages = Pages(Places(workshop.folder / "runs", (str(workshop.store),)))
    run = first_run.value["run_id"]
    shown = text(pages, f"/runs/shapes/{run}")
    assert re.findall(r'<text class="stage"[^>]*>([^<]*)</text>', shown) == list(STAGES)
    assert "classes: brick, grass, sea" in shown and "Cannot be read" not in shown
    assert f'<a href="/runs/shapes/{run}">{run}</a>' in text(pages, "/models/0/shapes")
