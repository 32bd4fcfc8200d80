"""Series of late labels: what came, what found no request, which requests have none."""

import sqlite3

import pytest
from exported_series import values

from graft.models.errors import GraftError
from graft.monitoring.label_series import Labels
from graft.monitoring.request_log.labels import NAME, LabelStore


def test_the_backlog_is_counted_and_nothing_is_written(tmp_path):
    (tmp_path / "labels.csv").write_text("request_id,label\na,daisy\nlost,rose\n")
    (tmp_path / "other.csv").write_text("request_id,label\na,rose\n")
    with LabelStore(tmp_path) as store:
        store.add("flowers", tmp_path / "labels.csv", ["label"])
        store.add("flowers", tmp_path / "other.csv", ["label"])
    database = sqlite3.connect(tmp_path / NAME)
    with database:  # as `index` notes them; one request may stand in two files
        rows = [
            ("a", "flowers", "1"),
            ("b", "flowers", "1"),
            ("b", "flowers", "2"),
            ("c", "birds", "1"),
            ("d", "", "1"),
        ]
        database.executemany("INSERT INTO requests VALUES (?, ?, ?)", rows)
    database.close()
    content = (tmp_path / NAME).read_bytes()
    found = values(Labels(tmp_path))
    assert found == {
        ("graft_labels", "flowers"): 2,
        ("graft_labels_conflicting", "flowers"): 1,
        ("graft_labels_unmatched", "flowers"): 1,
        ("graft_requests_unlabelled", "flowers"): 1,
        ("graft_labels", "birds"): 0,
        ("graft_labels_conflicting", "birds"): 0,
        ("graft_labels_unmatched", "birds"): 0,
        ("graft_requests_unlabelled", "birds"): 1,
    }
    assert (tmp_path / NAME).read_bytes() == content


def test_a_log_without_labels_has_no_series_and_makes_no_database(tmp_path):
    assert values(Labels(tmp_path)) == {} and not (tmp_path / NAME).exists()


def test_what_is_no_log_or_no_database_is_told(tmp_path):
    with pytest.raises(GraftError, match="nowhere: no such folder"):
        Labels(tmp_path / "nowhere").lines()
    (tmp_path / NAME).write_bytes(b"no database" * 100)
    with pytest.raises(GraftError, match="file is not a database"):
        Labels(tmp_path).lines()
