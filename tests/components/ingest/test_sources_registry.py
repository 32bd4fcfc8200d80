"""Sources that a layer above adds by entry point: found when they are needed, and named where they are at fault."""

import foreign_package
import pytest
from ingest_request import request

from graft.components.ingest import sources
from graft.models.entry_points import RegistrationError
from graft.models.errors import GraftError
from graft.models.registry import Registry

SOURCE = """
from typing import Literal
from pydantic import BaseModel

class Options(BaseModel):
    source: Literal["feed"] = "feed"
"""


def registry(tmp_path, monkeypatch, entry: str, name: str = "feed") -> Registry:
    foreign_package.install(tmp_path / "package", monkeypatch, "news-feed", {"test.sources": {name: entry}}, SOURCE)
    own = {"csv": "graft.components.ingest.sources.csv"}
    return Registry("data.source", own, group="test.sources")


def test_some_have_columns():
    named = sources.with_columns()
    assert {"csv", "tfrecord", "parquet", "tfds"} <= set(named) <= set(sources.REGISTRY) - {"image_folder", "idx"}
    with pytest.raises(GraftError, match=f"use a source with columns .{', '.join(named)}"):
        request(source="image_folder", path="x", target={"kind": "numbers", "columns": ["size"]})


def test_an_added_one_is_a_kind_like_others(tmp_path, monkeypatch):
    kinds = registry(tmp_path, monkeypatch, "news_feed")
    assert list(kinds) == ["csv", "feed"] and kinds["feed"] == "news_feed"
    assert kinds.options("feed").model_fields["source"].default == "feed"
    with pytest.raises(GraftError, match="did you mean 'feed'"):
        kinds.module("feeed")


def test_one_at_fault_says_whose_it_is(tmp_path, monkeypatch):
    with pytest.raises(RegistrationError, match=r"data.source 'feed' of no_such \(news-feed\): cannot be imported"):
        registry(tmp_path, monkeypatch, "no_such").module("feed")


def test_none_takes_the_place_of_graft_s_own(tmp_path, monkeypatch):
    with pytest.raises(RegistrationError, match=r"'csv' of news_feed.*is a name of Graft's own"):
        list(registry(tmp_path, monkeypatch, "news_feed", "csv"))
