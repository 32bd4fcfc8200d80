"""What the cache keys know of code and backbone."""

import importlib.metadata
import json
import shutil

import pytest
from workshop import STAGES, write_backbone

from graft.models import hub_layer, shared_backbone
from graft.models.errors import GraftError
from graft.models.hashing import hash_file, hash_folder
from graft.models.options import BackboneOptions
from graft.pipeline import prepare
from graft.pipeline.prepare import backbone_identity, code_version


def identity(handle: str, **options) -> str:
    return backbone_identity(BackboneOptions(handle=handle, **options))


def test_a_local_backbone_is_known_by_its_content(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"one")
    assert identity(str(tmp_path)) == hash_folder(tmp_path)
    file = tmp_path / "saved_model.pb"
    assert identity(str(file)) == hash_file(file)


def test_another_content_than_the_pinned_one_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"one")
    pinned = hash_folder(tmp_path)
    assert identity(str(tmp_path), sha256=pinned) == pinned
    (tmp_path / "saved_model.pb").write_bytes(b"two")
    with pytest.raises(GraftError, match=f"its sha256 is {hash_folder(tmp_path)}, expected {pinned}"):
        identity(str(tmp_path), sha256=pinned)


def test_a_backbone_behind_a_url_is_known_by_its_content(tmp_path, monkeypatch):
    """A cache that was filled anew holds other content under the same address."""
    monkeypatch.setattr(prepare, "fetch", lambda *_: tmp_path / "cache")
    found = []
    for content in (b"one", b"two", b"one"):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "saved_model.pb").write_bytes(content)
        found.append(identity("https://example.com/model/1"))
        assert found[-1] == hash_folder(tmp_path / "cache")
    assert found[0] == found[2] != found[1]


@pytest.mark.slow
def test_other_content_behind_a_url_is_no_cache_hit(workshop, tmp_path, monkeypatch):
    """Old features met the new network: good eval figures, a served model that guesses."""
    cache = shutil.copytree(workshop.config.parent / "backbone", tmp_path / "cache")
    for module in (prepare, hub_layer, shared_backbone):
        monkeypatch.setattr(module, "fetch", lambda *_: cache)
    beside = workshop.beside(tmp_path / "url")
    options = ("--set", "backbone.handle=https://example.com/shapes/1")
    ran = []
    for seed in (None, None, 1):
        if seed:
            shutil.rmtree(cache)
            write_backbone(cache, seed)
        outcome = beside.again(*options)
        assert outcome.code == 0, outcome.stderr
        ran.append([stage["name"] for stage in outcome.value["stages"] if not stage["cached"]])
    assert ran[0] == list(STAGES) and ran[1] == []
    assert ran[2][:2] == ["features", "train"]
    made = json.loads((beside.artifact("features", "features") / "backbone.json").read_text())
    assert made["identity"] == hash_folder(cache)


def test_a_network_of_keras_is_known_by_name_and_version(monkeypatch):
    known = identity("MobileNetV2")
    assert known != identity("MobileNetV2?weights=none")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0")
    assert identity("MobileNetV2") != known


@pytest.mark.slow
@pytest.mark.parametrize(
    "library", ["tensorflow", "keras", "numpy", "scikit-learn", "scipy", "tensorflow-model-analysis", "pillow", "tfx"]
)
def test_another_version_of_a_library_is_other_code(library, monkeypatch):
    monkeypatch.setattr(prepare, "hash_folder", lambda *_: "sources")
    before, version = code_version(), importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0" if name == library else version(name))
    assert code_version() != before


def test_other_sources_are_other_code(monkeypatch):
    before = code_version()
    assert code_version() == before
    monkeypatch.setattr(prepare, "hash_folder", lambda *_: "changed")
    assert code_version() != before
