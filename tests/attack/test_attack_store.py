"""What people and machines leave in a store, and a pointer that must never move before the rest is certain."""

import json
import os
import pathlib
import shutil

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from graft.models import durable
from graft.models.errors import GraftError
from graft.pipeline import cli
from graft.serving.store import ModelStore, StoreError, open_store


def export(folder: pathlib.Path, content: str) -> pathlib.Path:
    """A SavedModel in name only."""
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text(content)
    return folder


@pytest.fixture
def store(tmp_path):
    """Versions 1 and 2 of `m` and version 1 of `other`."""
    store = open_store(tmp_path / "store")
    for number in (1, 2):
        store.push("m", export(tmp_path / f"export{number}", f"model {number}"), {})
    store.push("other", tmp_path / "export1", {})
    return store


def configured(store: ModelStore) -> dict[str, int]:
    """What tensorflow_model_server is told to serve."""
    text = (store.path / "models.config").read_text()
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    return {entry.name: entry.model_version_policy.specific.versions[0] for entry in parsed}


def graft(capsys, *args: str) -> tuple[int, dict, str]:
    code = cli.main([*args, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def strew(store: ModelStore) -> set[str]:
    """Leaves in the store what copies, editors, file systems and people leave; returns what is to be reported."""
    shutil.copytree(store.path / "m", store.path / "m (copy)")
    shutil.copytree(store.path / "m" / "1", store.path / "m" / "1 (copy)")
    shutil.copytree(store.path / "m" / "1", store.path / "m" / "-7")
    (store.path / "lost+found").mkdir()
    (store.path / "notes.txt").write_text("remember the milk")
    (store.path / "dangling").symlink_to("nowhere")
    (store.path / "b\x1b[2Kird").mkdir()
    os.mkfifo(store.path / "pipe")
    (store.path / ".DS_Store").write_bytes(b"")
    (store.path / ".snapshots" / "1").mkdir(parents=True)
    (store.path / ".tmp-left").mkdir()
    return {"m (copy)", "m/1 (copy)", "m/-7", "lost+found", "notes.txt", "dangling", "b\\x1b[2Kird", "pipe"}


def test_foreign_files_are_reported_and_stop_nothing(store, tmp_path, capsys):
    told = strew(store)
    assert store.push("m", export(tmp_path / "export3", "model 3"), {}) == 3
    assert configured(store) == {"m": 3, "other": 1}
    path = str(store.path)
    assert graft(capsys, "models", "rollback", "m", "--store", path)[:2] == (
        0,
        {"model": "m", "version": 2, "pinned": True},
    )
    assert graft(capsys, "models", "unpin", "m", "--store", path)[0] == 0
    assert configured(store) == {"m": 2, "other": 1}
    for verb in ("list", "verify"):
        code, value, _ = graft(capsys, "models", verb, "--store", path)
        assert code == 0
        assert {line.split("'")[1] for line in value["foreign"]} == told
    assert graft(capsys, "models", "verify", "--store", path)[1]["faults"] == []
    assert cli.main(["models", "list", "--store", path]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert (store.path / "m (copy)" / "1").is_dir(), "what is foreign is left alone"


def hurt(current: pathlib.Path, kind: str) -> None:
    current.unlink()
    if kind == "folder":
        current.mkdir()
    elif kind == "pipe":
        os.mkfifo(current)
    elif kind == "circle":
        current.symlink_to(current.name)
    elif kind == "huge":
        with current.open("wb") as file:
            file.truncate(1 << 40)
    elif kind != "missing":
        current.write_bytes(
            {"binary": b"\xff\x00", "deep": b"[" * 60_000, "large number": b'{"version": 1' + b"0" * 5000}[kind]
        )


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "circle", "huge", "binary", "deep", "large number"])
def test_a_damaged_pointer_of_one_model_stops_no_other(store, tmp_path, capsys, kind):
    hurt(store.path / "m" / "CURRENT", kind)
    assert store.push("other", export(tmp_path / "export3", "model 3"), {}) == 2
    assert configured(store) == {"m": 2, "other": 2}, "of the damaged one the newest whole version"
    assert store.rollback("other").version == 1
    code, value, _ = graft(capsys, "models", "list", "--store", str(store.path))
    states = {(row["model"], row["version"]): row["state"] for row in value["models"]}
    assert code == 0 and states[("other", 1)] == "served, pinned"
    assert states[("m", 2)] == "served, for CURRENT is damaged"
    code, value, _ = graft(capsys, "models", "verify", "--store", str(store.path))
    assert code == 1 and len(value["faults"]) == 1 and "CURRENT" in value["faults"][0]


def test_a_damaged_manifest_hides_no_row(store, capsys):
    os.mkfifo(store.path / "m" / "pipe")
    manifest = store.version_path("m", 1) / "graft_manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    code, value, _ = graft(capsys, "models", "list", "--store", str(store.path))
    assert code == 0
    assert [row["state"] for row in value["models"]] == ["manifest damaged", "served", "served"]


@pytest.mark.parametrize("place", ["file", "folder", "version", "model"])
def test_a_link_out_of_the_store_is_no_whole_version(store, tmp_path, place):
    version = store.version_path("m", 1)
    if place == "file":
        outside = tmp_path / "secret"
        shutil.copyfile(version / "saved_model.pb", outside)
        link = version / "saved_model.pb"
    else:
        link = {"folder": version / "variables", "version": version, "model": store.path / "m"}[place]
        outside = shutil.copytree(link, tmp_path / "elsewhere")
    link.unlink() if link.is_file() else shutil.rmtree(link)
    link.symlink_to(outside)
    assert f"a link leads out of the store: {link.relative_to(store.path)} -> {outside}" in store.verify("m", 1)[0]
    with pytest.raises(StoreError, match="a link leads out of the store"):
        store.pin("m", 1)
    assert (configured(store)["m"], outside.exists()) == (2, True)


def test_a_link_within_the_store_is_fine(store):
    file = store.version_path("m", 1) / "saved_model.pb"
    (store.path / "shared").mkdir()
    shutil.move(file, store.path / "shared" / "one.pb")
    file.symlink_to(store.path / "shared" / "one.pb")
    assert store.verify("m", 1) == []


def test_the_server_refuses_a_version_with_a_link_out_of_the_store(store, tmp_path):
    from graft.serving.server import EmbeddedServer, ServerError

    file = store.version_path("other", 1) / "saved_model.pb"
    shutil.move(file, tmp_path / "secret")
    file.symlink_to(tmp_path / "secret")
    with pytest.raises(ServerError, match=r"other/1 is not whole: a link leads out of the store"):
        EmbeddedServer(store.path, rest_port=None).start()


@pytest.mark.parametrize("action", ["push", "rollback", "pin"])
@pytest.mark.parametrize("broken", ["lock", "config", "listing"])
def test_nothing_moves_unless_models_config_can_follow(store, tmp_path, monkeypatch, action, broken):
    """Pointer and models.config agree after every failure, and after every success."""
    before = store.current("m")
    if broken == "lock":
        (store.path / ".lock").unlink()
        (store.path / ".lock").mkdir()
    elif broken == "config":
        (store.path / "models.config").unlink()
        (store.path / "models.config").mkdir()
    else:
        monkeypatch.setattr(
            "graft.serving.model_config.format_models_config", lambda _: (_ for _ in ()).throw(OSError(5, "x"))
        )
    calls = {
        "push": lambda: store.push("m", export(tmp_path / "export3", "model 3"), {}),
        "rollback": lambda: store.rollback("m"),
        "pin": lambda: store.pin("m", 1),
    }
    with pytest.raises(GraftError):
        calls[action]()
    monkeypatch.undo()
    assert store.current("m") == before
    assert store.versions("m") == [1, 2]
    assert not list(store.path.rglob(".tmp-*"))


def test_a_config_that_cannot_follow_at_the_last_moment_is_told_and_verify_sees_it(store, monkeypatch, caplog, capsys):
    real = pathlib.Path.replace

    def replace(self, target):
        if pathlib.Path(target).name == "models.config":
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(pathlib.Path, "replace", replace)
    assert store.rollback("m").version == 1
    assert "models.config could not follow the pointer of m" in caplog.text
    monkeypatch.undo()
    code, value, _ = graft(capsys, "models", "verify", "--store", str(store.path))
    assert code == 1 and value["faults"] == [
        "models.config: does not say what the pointers say; any change of the store writes it anew"
    ]
    store.unpin("m")
    assert configured(store)["m"] == 1 and store.config_follows()


def test_numbers_taken_by_files_and_links_are_passed_over(store, tmp_path):
    (store.path / "m" / "3").write_text("a file")
    (store.path / "m" / "4").symlink_to("nowhere")
    assert store.push("m", export(tmp_path / "export3", "model 3"), {}) == 5
    assert (store.path / "m" / "3").read_text() == "a file"
    (store.path / "m" / str(2**63 - 1)).mkdir()
    with pytest.raises(StoreError, match="no larger number exists"):
        store.push("m", export(tmp_path / "export4", "model 4"), {})
    assert store.current("m").version == 5


@pytest.mark.parametrize("name", ["STORE", "models.config"])
def test_a_model_cannot_take_the_name_of_a_file_of_the_store(store, tmp_path, name):
    with pytest.raises(StoreError, match="the store has a file of that name"):
        store.push(name, tmp_path / "export1", {})


def test_an_id_that_is_none_is_refused(store):
    (store.path / "STORE").write_bytes(b"\xff\n<script>")
    with pytest.raises(StoreError, match="no id of a store"):
        _ = store.store_id


def test_leftovers_that_cannot_be_deleted_hold_up_no_push(store, tmp_path, monkeypatch, caplog):
    (store.path / "m" / ".tmp-old").mkdir()
    real = durable.discard

    def discard(path):
        if path.name == ".tmp-old":
            raise PermissionError(13, "Permission denied")
        real(path)

    monkeypatch.setattr(durable, "discard", discard)
    assert store.push("m", export(tmp_path / "export3", "model 3"), {}) == 3
    assert ".tmp-old was left by a push that did not end and cannot be deleted: Permission denied" in caplog.text
