"""Spans and the rolling window."""

import pytest

from graft.components.ingest.spans import resolve_spans
from graft.models.errors import GraftError


def make(tmp_path, *names):
    for name in names:
        (tmp_path / name).mkdir(parents=True)


def test_path_without_spans(tmp_path):
    assert resolve_spans("data/photos", 3) == [(None, "data/photos")]


def test_newest_by_number_not_by_name(tmp_path):
    make(tmp_path, "2", "10", "009", "notes", "11x")
    found = resolve_spans(f"{tmp_path}/{{SPAN}}", 2)
    assert found == [(9, f"{tmp_path}/009"), (10, f"{tmp_path}/10")]


def test_span_within_a_name_and_folders_below(tmp_path):
    make(tmp_path, "day-1/images", "day-2/images", "day-3")
    assert resolve_spans(f"{tmp_path}/day-{{SPAN}}/images", 5) == [
        (1, f"{tmp_path}/day-1/images"),
        (2, f"{tmp_path}/day-2/images"),
    ]


@pytest.mark.parametrize(
    ("path", "message"), [("{SPAN}", "no span in"), ("none/{SPAN}", "No such file"), ("{SPAN}/{SPAN}", "once")]
)
def test_errors(tmp_path, path, message):
    with pytest.raises(GraftError, match=message):
        resolve_spans(f"{tmp_path}/{path}", 1)


def test_window_of_spans_is_ingested(make_folder, ingest, tmp_path):
    for span in (1, 2, 3):
        make_folder({"cat": 40, "dog": 40}, f"data/{span}", span * 1000)
    result = ingest(source="image_folder", path=tmp_path / "data" / "{SPAN}", window=2)
    assert result.summary.span == 3
    assert {file.split("/")[0] for file in result.split_of()} == {"2", "3"}
    assert result.summary.used_count == 160
