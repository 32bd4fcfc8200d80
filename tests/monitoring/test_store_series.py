"""Series of a model store and of late labels."""

import datetime
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from graft.models.errors import GraftError
from graft.monitoring.store_series import Store
from graft.serving.store import open_store


def values(lines: list[str]) -> dict[tuple, float]:
    families = text_string_to_metric_families("\n".join(lines) + "\n")
    return {(s.name.removeprefix("graft_store_"), *s.labels.values()): s.value for f in families for s in f.samples}


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path / "store")
    for content in (b"one", b"two"):
        folder = tmp_path / content.decode()
        folder.mkdir()
        (folder / "saved_model.pb").write_bytes(content)
        made.push("flowers", folder, {})
    return made


def test_versions_pointer_and_times(store, tmp_path):
    before = time.time() - 60
    found = values(Store(str(tmp_path / "store")).lines())
    assert found["versions", "flowers"] == found["newest_version", "flowers"] == found["served_version", "flowers"] == 2
    assert found["pinned", "flowers"] == found["pointer_broken", "flowers"] == 0
    pushed = datetime.datetime.fromisoformat(store.manifest("flowers", 2)["time"]).timestamp()
    assert found["pushed_timestamp_seconds", "flowers"] == pushed > before
    store.rollback("flowers")
    found = values(Store(str(tmp_path / "store")).lines())
    assert (found["served_version", "flowers"], found["newest_version", "flowers"]) == (1, 2)
    assert found["pinned", "flowers"] == 1 and found["pointer_moved_timestamp_seconds", "flowers"] >= pushed


def test_a_broken_pointer_is_told_and_the_rest_stays(store, tmp_path):
    (tmp_path / "store" / "flowers" / "CURRENT").write_text("{")
    found = values(Store(str(tmp_path / "store")).lines())
    assert found["pointer_broken", "flowers"] == 1 and found["versions", "flowers"] == 2
    assert ("served_version", "flowers") not in found


@pytest.mark.parametrize("content", ["{", "{}", '{"time": "yesterday"}'])
def test_a_broken_manifest_is_told_and_the_rest_stays(store, tmp_path, content):
    (tmp_path / "store" / "flowers" / "2" / "graft_manifest.json").write_text(content)
    found = values(Store(str(tmp_path / "store")).lines())
    assert found["manifest_broken", "flowers"] == 1 and found["served_version", "flowers"] == 2
    assert ("pushed_timestamp_seconds", "flowers") not in found


def test_a_store_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(GraftError, match="no such folder"):
        Store(str(tmp_path / "nowhere")).lines()
