"""Handles that packages resolve: the network is checked and loaded as any other; what is at fault is one line."""

import foreign_package
import keras
import pytest
from small_inputs import pictures

from graft.models import handles
from graft.models.backbone import load_backbone
from graft.models.entry_points import RegistrationError
from graft.models.errors import GraftError
from graft.models.hashing import hash_file
from graft.models.options import BackboneOptions
from graft.models.shared_backbone import shared_backbone
from graft.pipeline.prepare import backbone_identity

ZOO = """
import os
from graft.models.backbone_facts import Facts
from graft.models.errors import GraftError

FACTS = {"tiny": Facts(feature_dim=3, image_size=(16, 16))}

def resolve(name):
    if name == "refused":
        raise GraftError("the zoo is closed")
    if name == "broken":
        raise ValueError("no such day")
    if name == "number":
        return 3
    return {"tiny": os.environ.get("ZOO"), "gone": "/nowhere/gone.keras", "far": "https://example.org/far/1"}[name]
"""


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """zoo(entries, source) installs a package with kinds of handle; $ZOO is its one network."""
    path = tmp_path / "tiny.keras"
    images = keras.Input((16, 16, 3))
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(images)).save(path)
    monkeypatch.setenv("ZOO", str(path))

    def install(entries=None, source=ZOO, name="leaf-zoo"):
        foreign_package.install(
            tmp_path / name, monkeypatch, name, {"graft.backbones": entries or {"leaf": "leaf_zoo"}}, source
        )
        return path

    return install


def test_a_network_of_a_package_is_one_like_others(zoo):
    path = zoo()
    assert handles.placed("leaf:tiny") == str(path) and handles.placed("leaf:far").startswith("https://")
    options = BackboneOptions(handle="leaf:tiny")
    backbone = load_backbone("leaf:tiny", pictures((16, 16)))
    assert (backbone.handle, backbone.feature_dim, backbone.identity) == ("leaf:tiny", 3, hash_file(path))
    assert backbone_identity(options) == hash_file(path)
    assert shared_backbone(options, pictures((16, 16))).identity == hash_file(path)
    assert dict(handles.every())["leaf:tiny"] == handles.facts("leaf:tiny") and handles.facts("leaf:far") is None


def test_it_is_checked_as_others_are(zoo, tmp_path):
    path = zoo()
    with pytest.raises(GraftError, match="is not the one that was asked for"):
        load_backbone("leaf:tiny", pictures((16, 16)), sha256="0" * 64)
    images = keras.Input((16, 16, 3))
    keras.Model(images, keras.layers.Lambda(lambda x: x)(images)).save(path)
    with pytest.raises(GraftError, match="Lambda"):
        load_backbone("leaf:tiny", pictures((16, 16)))


def test_own_handles_and_files_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:name").mkdir()
    for handle in ("MobileNetV2", "applications:X", "https://x.org/y", "gs://x/y", "a/b.keras", "C:\\x", "odd:name"):
        assert handles.placed(handle) == handle and handles.facts(handle) is None


@pytest.mark.parametrize(
    ("handle", "told"),
    [
        ("leaf:tyny", r"'leaf' of leaf_zoo \(leaf-zoo\) has no network 'tyny'; did you mean 'tiny'\? it names: tiny"),
        (
            "leav:tiny",
            r"no installed package has handles that begin with 'leav:'; did you mean 'leaf:'\? installed: leaf",
        ),
        ("leaf:refused", "the zoo is closed"),
        ("leaf:broken", "'leaf:broken' cannot be resolved: ValueError: no such day"),
        ("leaf:number", "to a int; allowed: a path or a URL"),
        ("leaf:gone", "'/nowhere/gone.keras', which does not exist"),
    ],
)
def test_what_cannot_be_resolved_is_one_line(zoo, handle, told):
    zoo()
    with pytest.raises(GraftError, match=told) as refused:
        handles.placed(handle)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("entries", "source", "told"),
    [
        ({"leaf": "no_such"}, ZOO, r"'leaf' of no_such \(leaf-zoo\): cannot be imported: ModuleNotFoundError"),
        ({"leaf": "leaf_zoo"}, "FACTS = {}", "has no function `resolve`"),
        ({"leaf": "leaf_zoo"}, "def resolve(name): raise KeyError(name)", "`FACTS` must map names to"),
        ({"https": "leaf_zoo"}, ZOO, "'https' of leaf_zoo.*is a name of Graft's own"),
        ({"applications": "leaf_zoo"}, ZOO, "is a name of Graft's own"),
        ({"l": "leaf_zoo"}, ZOO, "at least two together"),
    ],
)
def test_a_package_at_fault_is_named(zoo, entries, source, told):
    zoo(entries, source)
    with pytest.raises(RegistrationError, match=told):
        handles.placed("leaf:x")


def test_a_name_taken_twice_is_told(zoo):
    zoo()
    zoo({"leaf": "other_zoo"}, name="other-zoo")
    with pytest.raises(RegistrationError, match=r"leaf: the kind of handle is registered twice: .*leaf-zoo.*other-zoo"):
        handles.placed("leaf:tiny")


def test_a_typing_error_in_a_handle_of_keras_is_recognised():
    with pytest.raises(GraftError, match="did you mean 'applications:'"):
        handles.placed("application:MobileNetV2")
