"""A teacher is found where the configuration says, compared with the pipeline's model, and known by its content."""

import json

import pytest
from small_inputs import pictures

from graft.models.errors import GraftError
from graft.pipeline import config as configs
from graft.pipeline import prepare
from graft.serving.store import open_store


def export(folder, names=("cat", "dog"), weights=b"1"):
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(weights)
    target = {"options": {"kind": "label"}, "names": list(names), "facts": {}}
    content = {"input": pictures((16, 16)).prepared_by, "target": target}
    (folder / "assets.extra" / "graft.json").write_text(json.dumps(content))
    return folder


def config_of(folder, teacher, **transfer) -> configs.Config:
    raw = {
        "name": "shapes",
        "data": {"source": "image_folder", "path": str(folder / "data")},
        "backbone": {"handle": "EfficientNetB0"},
        "transfer": {"method": "distil", "teacher": str(teacher), **transfer},
    }
    return configs.parse(raw, "shapes.yaml")


def key(config) -> str:
    return prepare.run_key(config, "data", "code", "backbone", prepare.pinned_transfer(config)["teacher_sha256"])


def test_a_folder_a_version_and_what_is_served(tmp_path):
    first, second = export(tmp_path / "first"), export(tmp_path / "second", weights=b"2")
    store = open_store(tmp_path / "store")
    for folder in (first, second):
        store.push("pets", folder, {})
    model = tmp_path / "store" / "pets"
    assert prepare.teacher_folder(str(first)) == first
    assert prepare.teacher_folder(str(model / "1")) == model / "1"
    assert prepare.teacher_folder(str(model)) == model / "2", "the served one"
    for nothing in (tmp_path / "store", tmp_path / "store" / "cars", model / "3"):
        with pytest.raises(GraftError, match=r"transfer\.teacher: .* is neither an exported model nor a model of a st"):
            prepare.teacher_folder(str(nothing))


def test_another_teacher_in_the_same_place_is_another_run(tmp_path):
    teacher = export(tmp_path / "teacher")
    config = config_of(tmp_path, teacher)
    pinned, before = prepare.pinned_transfer(config), key(config)
    assert pinned["teacher"] == str(teacher) and len(pinned["teacher_sha256"]) == 64
    assert key(config) == before
    (teacher / "saved_model.pb").write_bytes(b"another")
    assert key(config) != before
    with pytest.raises(GraftError, match=r"transfer\.teacher: .* has sha256 .*; transfer\.teacher_sha256 is "):
        prepare.pinned_transfer(config_of(tmp_path, teacher, teacher_sha256=pinned["teacher_sha256"]))


def test_without_a_teacher_the_settings_stay(tmp_path):
    raw = {"name": "a", "data": {"source": "image_folder", "path": "x"}, "backbone": {"handle": "EfficientNetB0"}}
    config = configs.parse(raw, "a.yaml")
    assert prepare.pinned_transfer(config) == config.transfer.model_dump()
    prepare.check_teacher(config, ("a", "b"))


def test_a_teacher_of_other_classes_is_refused_before_the_run(tmp_path):
    config = config_of(tmp_path, export(tmp_path / "teacher"))
    prepare.check_teacher(config, ())
    prepare.check_teacher(config, {"dog", "cat"})
    with pytest.raises(GraftError, match="knows cat, dog; the student learns owl"):
        prepare.check_teacher(config, {"owl"})


def test_a_pattern_in_the_path_of_a_teacher_is_refused(tmp_path):
    with pytest.raises(GraftError, match=r"transfer\.teacher: .* holds '\['"):
        prepare.check_paths(config_of(tmp_path, tmp_path / "teacher [1]"))
