"""The page of a monitor's report: what it says, and that nothing in it is taken for HTML or comes from elsewhere."""

import html.parser
import json
import re
import shutil

import pytest
import report_samples as samples

from graft.monitoring.drift import results
from graft.monitoring.report import command, words
from graft.monitoring.retrain import audit
from graft.pipeline import cli


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += f"{data} "


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(command, "_now", lambda: samples.BEGIN + 8.2 * samples.DAY)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """The configuration of a model whose results are there; tests that change something take a copy."""
    return samples.make(tmp_path_factory.mktemp("watched"))


def report(config, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit status, page, what was printed."""
    path = config.parent / "report.html"
    path.unlink(missing_ok=True)
    code = cli.main(["monitor", "report", str(config), "-o", str(path), *arguments])
    printed = capsys.readouterr()
    return code, path.read_text() if path.exists() else "", printed.out + printed.err


@pytest.fixture
def page(watched, capsys) -> str:
    code, text, _ = report(watched, capsys)
    assert code == 0
    return text


def test_the_first_sentence_says_what_moved_and_since_when(page):
    found = Page(page).text
    assert "Quality fell (mean score 0.620, 95 % interval 0.520 to 0.720 against 0.900 of the reference)" in found
    assert "drift in brightness, contrast and predicted since 2023-11-20 12:00" in found


def test_all_parts_are_there(page):
    text = re.sub(r"\s+", " ", Page(page).text)
    assert text.index("brightness (mean grey") < text.index("contrast (standard"), "largest change first"
    assert "at most 5 %, in its whole life" in text and "Look number 6" in text
    assert "version 2 pushed by run run-2" in text and "alarm: brightness, contrast and predicted" in text
    assert "12 records of a request that was counted already" in text and "40 requests to version 9" in text
    assert "examples of the last window whose inputs were not logged" in text
    pictures = [attributes for tag, attributes in Page(page).tags if tag == "img"]
    assert len(pictures) == 16 and all(one["src"].startswith("data:image/png;base64,") for one in pictures)
    assert {one["alt"] for one in pictures} >= {"Reference: images, 1 of 8", "Last window: images, 8 of 8"}


def test_a_class_that_is_a_script_is_text(page):
    found = Page(page)
    assert not [tag for tag, _ in found.tags if tag == "script"] and samples.HOSTILE not in page
    assert samples.HOSTILE in found.text, "it is shown, as text"


def test_nothing_comes_from_another_host(page):
    for tag, attributes in Page(page).tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on") and not re.match(r"\s*(https?:|//|javascript:)", value or ""), (tag, name)
            assert name not in ("src", "href") or value.startswith(("data:", "#"))
    assert "default-src 'none'" in page and "url(" not in page and "@import" not in page


def test_tables_and_charts_can_be_read_aloud(page):
    tags = Page(page).tags
    names = [tag for tag, _ in tags]
    assert names.count("caption") == names.count("table") > 3
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    charts = [attributes for tag, attributes in tags if tag == "svg"]
    assert len(charts) == 6 and all(one["role"] == "img" and one["aria-label"] for one in charts)
    assert "Most changed: up to" in charts[0]["aria-label"]


def test_the_same_results_give_the_same_page(page, watched, capsys):
    assert report(watched, capsys)[1] == page


def test_the_summary_is_one_object(watched, capsys):
    code, _, printed = report(watched, capsys, "--json")
    found = json.loads(printed)
    assert (code, found["status"], found["state"]) == (0, "written", "quality")
    assert (found["version"], found["served"], found["windows"]) == (2, 2, 8)
    assert [test["signal"] for test in found["moved"]] == ["brightness", "contrast", "predicted", "score"]
    assert {"count": 12, "what": "records of a request that was counted already"} in found["unread"]


def test_an_older_versions_page_is_of_that_version(watched, capsys):
    code, text, printed = report(watched, capsys, "--version", "1")
    assert code == 0 and "version 1" in Page(text).text.split("Made")[0] and "Cannot tell how it is now" in printed


@pytest.fixture
def own(watched, tmp_path):
    """A copy whose files may be changed."""
    root = tmp_path / "own"
    shutil.copytree(watched.parent, root)
    config = root / "c.yaml"
    config.write_text(config.read_text().replace(str(watched.parent), str(root)))
    return config


def test_what_is_gone_is_said_in_its_place(own, capsys):
    root = own.parent
    drift = root / "runs" / samples.MODEL / "drift"
    (root / "runs" / samples.MODEL / "metadata.sqlite").unlink()
    shutil.rmtree(root / "log")
    shutil.rmtree(root / "store")
    samples.lose_counters(root)
    code, text, printed = report(own, capsys)
    text = re.sub(r"\s+", " ", Page(text).text)
    assert code == 0 and "Quality fell" in printed
    assert "metadata.sqlite: no metadata store" in text and "log: No such file or directory" in text
    assert "counters are not there" in text and f"{drift / 'state.sqlite'}: cannot be read" in text
    assert f"{root / 'store'}" in text and "brightness" in text
    for path in (drift / "references").iterdir():
        path.unlink()
    code, text, _ = report(own, capsys)
    text = Page(text).text
    assert code == 0 and "No histogram" in text and "drift in brightness" in text


def test_feature_vectors_are_told_in_words(own, capsys):
    drift = own.parent / "runs" / samples.MODEL / "drift"
    [*before, labels] = results.read(drift)
    auc = results.Mean(mean=0.92, low=0.83, high=1.0, miss=0.05, rows=500)
    test = before[-1].alarms[0].model_copy(update={"signal": "feature_vector", "effect": 0.84})
    for vectors, told in (
        (
            results.Vectors(rows=500, reference_rows=512, auc=auc, p_value=1e-9),
            "(AUC 0.92, 95 % interval 0.83 to 1.00)",
        ),
        (results.Vectors(rows=0, reference_rows=0, unwatched=f"it is {samples.HOSTILE}"), f"it is {samples.HOSTILE}."),
    ):
        for tests in (before[-1].tests, (*before[-1].tests, test)):
            last = before[-1].model_copy(update={"vectors": vectors, "tests": tests})
            (drift / results.NAME).unlink()
            samples.put(drift, [*before[:-1], last, labels])
            text = re.sub(r"\s+", " ", Page(report(own, capsys)[1]).text)
            assert text.count("All that the model sees of an input") + text.count("Feature vectors, all that") == 1
            assert told in text or re.sub(r"\s+", " ", told) in text


def test_inputs_that_were_not_logged_or_are_no_pictures_are_said(own, capsys):
    log = own.parent / "log"
    shutil.rmtree(log)
    samples.log(log, [b"<b>no picture</b>", b"\x89PNG\r\n\x1a\n"], samples.BEGIN + 7.5 * samples.DAY)
    text = Page(report(own, capsys)[1]).text
    assert text.count("refused: ") == 2
    shutil.rmtree(log)
    samples.log(log, [b"x"], samples.BEGIN + 7.5 * samples.DAY, inputs={})
    assert "keeps no inputs of the last window" in Page(report(own, capsys)[1]).text


def test_without_results_and_with_wrong_options_one_line_says_why(own, capsys):
    for arguments in (["--every", "1h"], ["--textfile", "x"]):
        code, text, printed = report(own, capsys, *arguments)
        assert (code, text) == (2, "") and f"{arguments[0]} was given; it is allowed with `graft monitor C" in printed
    assert report(own, capsys, "--version", "7")[::2] == (
        2,
        "graft: --version 7: no window of it was judged lately; there are: 1, 2\n",
    )
    assert cli.main(["monitor", str(own), "-o", "x"]) == 2
    assert "--output was given; it is allowed with `graft monitor report CONFIG`" in capsys.readouterr().err
    assert cli.main(["monitor", "report", str(own), "-o", str(own.parent / "none" / "x.html")]) == 2
    assert "its folder must be there" in capsys.readouterr().err
    shutil.rmtree(own.parent / "runs")
    code, text, printed = report(own, capsys)
    assert (code, text) == (2, "") and printed.count("\n") == 1 and "no results yet; `graft monitor CONFIG`" in printed
    own.write_text(own.read_text().partition("monitoring:")[0])
    code, _, printed = report(own, capsys)
    assert code == 2 and "monitoring.request_log.folder is null" in printed and printed.count("\n") == 1


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (words.share(0.0), "0 %"),
        (words.share(0.0004), "< 0.1 %"),
        (words.share(0.05), "5 %"),
        (words.share(0.123), "12 %"),
        (words.luck(0.5), "often"),
        (words.luck(0.00005), "once in 20,000"),
        (words.luck(0.0), "under once in a billion"),
        (words.span(400000), "5 days"),
        (words.moment(1e300), f"{1e300:.0f} s after 1970"),
        (words.named(["a"]), "a"),
        (words.named(list("abc")), "a, b and c"),
        (words.named(list("abcdef")), "a, b, c and 3 more"),
        (words.count(1, "example"), "1 example"),
    ],
)
def test_figures_are_words(made, expected):
    assert made == expected


def test_retrainings_are_among_what_was_done(watched, tmp_path, capsys):
    root = tmp_path / "copy"
    shutil.copytree(watched.parent, root)
    config = root / watched.name
    config.write_text(watched.read_text().replace(str(watched.parent), str(root)))
    assert "retraining" not in Page(report(config, capsys)[1]).text.partition("What was done")[2].partition("newest")[2]
    folder = root / "runs" / samples.MODEL / audit.FOLDER
    done = {"time": samples.BEGIN, "model": samples.MODEL, "kind": "finished", "run": "r9", "status": "passed"}
    audit.append(folder, audit.Event(**done, version=3))
    assert "retraining ended: run r9 passed, version 3 pushed" in Page(report(config, capsys)[1]).text
    (folder / audit.NAME).write_text("no event\n")
    assert "it must be an event as" in Page(report(config, capsys)[1]).text
