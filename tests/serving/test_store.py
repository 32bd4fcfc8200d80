"""The model store: atomic pushes, the pointer, retention, and what kill, disk full and rivals do to it."""

import errno
import json
import os
import pathlib
import random
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.models import durable
from graft.models.errors import GraftError
from graft.serving import manifest
from graft.serving.store import ModelStore, PointerError, StoreError
from graft.serving.versions import check_model_name, version_folders

CHILD = pathlib.Path(__file__).with_name("crashing_push.py")


def saved_model(folder: pathlib.Path, content: str) -> pathlib.Path:
    """A folder with the files of a SavedModel; the store never opens the graph."""
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "saved_model.pb").write_bytes(content.encode())
    (folder / "variables" / "variables.index").write_bytes(b"index " + content.encode())
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(content.encode() * 5000)
    return folder


@pytest.fixture
def exports(tmp_path):
    return [saved_model(tmp_path / f"export{number}", f"model {number}") for number in range(8)]


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


def left_over(store: ModelStore) -> list[pathlib.Path]:
    return list(store.path.rglob(".tmp-*"))


def test_push_numbers_versions_and_moves_the_pointer(store, exports):
    assert store.current("m") is None
    assert [store.push("m", export, {"run": number}) for number, export in enumerate(exports[:3])] == [1, 2, 3]
    assert store.versions("m") == [1, 2, 3]
    assert store.models() == ["m"]
    pointer = store.current("m")
    assert (pointer.version, pointer.previous, pointer.pinned) == (3, 2, False)
    assert store.verify("m") == []
    assert not left_over(store)
    content = store.manifest("m", 2)
    assert content["metadata"] == {"run": 1}
    assert content["files"]["saved_model.pb"]["size"] == len("model 1")
    assert (store.version_path("m", 2) / "assets").is_dir(), "empty folders belong to a SavedModel too"


def test_pushing_the_served_content_again_makes_no_copy(store, exports):
    assert store.push("m", exports[0], {}) == 1
    assert store.push("m", exports[0], {"another": "run"}) == 1
    assert store.versions("m") == [1]
    assert store.push("m", exports[1], {}) == 2
    assert store.push("m", exports[0], {}) == 3, "only the served version is compared, not the history"


def test_served_version_that_rotted_is_pushed_anew(store, exports):
    store.push("m", exports[0], {})
    (store.version_path("m", 1) / "saved_model.pb").write_bytes(b"model X")
    assert store.push("m", exports[0], {}) == 2
    assert store.verify("m", 2) == []


def test_push_refuses_what_is_no_saved_model(store, tmp_path, exports):
    with pytest.raises(StoreError, match=r"no saved_model\.pb"):
        store.push("m", tmp_path, {})
    with pytest.raises(GraftError, match="metadata of m cannot be written as JSON"):
        store.push("m", exports[0], {"metric": object()})
    os.mkfifo(exports[0] / "assets" / "pipe")
    with pytest.raises(GraftError, match="neither a file nor a folder"):
        store.push("m", exports[0], {})
    assert store.versions("m") == [] and not left_over(store)


@pytest.mark.parametrize("name", ["", "..", "a/b", "../up", "a..b", ".hidden", "a" * 129, "a b", "ä", "a\n", "%2e"])
def test_names_that_could_leave_the_store_are_refused(store, exports, name):
    for call in (store.versions, store.current, store.rollback, store.verify, store.unpin):
        with pytest.raises(GraftError, match="is not allowed"):
            call(name)
    with pytest.raises(GraftError, match="is not allowed"):
        store.push(name, exports[0], {})


@given(st.text(max_size=140))
def test_an_accepted_name_is_one_plain_folder_name(name):
    try:
        accepted = check_model_name(name)
    except GraftError:
        return
    assert pathlib.PurePath("store", accepted).parent == pathlib.PurePath("store")
    assert set(accepted) <= set(string.ascii_letters + string.digits + "_.-")


def test_version_folders_are_read_as_tensorflow_serving_does(tmp_path, caplog):
    for name in ("1", "00000123", "20170111173521", "001", "junk", "7.tmp", "-4", "9" * 20, "²"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").write_text("a file")
    found = version_folders(tmp_path)
    assert list(found) == [1, 123, 20170111173521]
    assert found[123].name == "00000123"
    assert "already given" in caplog.text


def test_rollback_moves_and_pins_so_that_a_push_does_not_undo_it(store, exports, caplog):
    for export in exports[:3]:
        store.push("m", export, {})
    pointer = store.rollback("m")
    assert (pointer.version, pointer.pinned, pointer.previous) == (2, True, 3)
    assert store.push("m", exports[3], {}) == 4
    assert store.current("m").version == 2
    assert "pinned to version 2: version 4 is stored but not served" in caplog.text
    assert store.push("m", exports[3], {}) == 4, "pushing it again while pinned makes no second copy"
    assert store.rollback("m").version == 1, "a second rollback goes further back, not forth"
    with pytest.raises(StoreError, match="no version before 1"):
        store.rollback("m")
    assert store.rollback("m", 3).version == 3
    assert not store.unpin("m").pinned
    assert store.current("m").version == 3, "unpin alone moves nothing"
    assert store.push("m", exports[3], {}) == 4, "what was held back is served by the next push, without a copy"
    assert store.current("m").version == 4


def test_pin_and_rollback_refuse_a_version_that_is_absent_or_damaged(store, exports):
    store.push("m", exports[0], {})
    store.push("m", exports[1], {})
    with pytest.raises(StoreError, match="has no version 7; there are: 1, 2"):
        store.pin("m", 7)
    (store.version_path("m", 1) / "saved_model.pb").write_bytes(b"")
    with pytest.raises(StoreError, match="not whole"):
        store.rollback("m")
    assert store.current("m").version == 2 and not store.current("m").pinned
    with pytest.raises(StoreError, match="no model n; there are: m"):
        store.rollback("n")
    with pytest.raises(StoreError, match="no model n; there are: m"):
        store.verify("n")


def test_retention_spares_served_previous_and_pinned(tmp_path, exports):
    store = ModelStore(tmp_path / "store", keep=2)
    for export in exports[:2]:
        store.push("m", export, {})
    store.rollback("m")
    for export in exports[2:5]:
        store.push("m", export, {})
    assert store.versions("m") == [1, 2, 4, 5], "1 is pinned, 2 was served before"
    store.unpin("m")
    store.push("m", exports[5], {})
    store.push("m", exports[6], {})
    assert store.versions("m") == [6, 7]
    assert not left_over(store)
    with pytest.raises(StoreError, match="keep=0"):
        ModelStore(tmp_path, keep=0)


def test_numbers_are_never_used_again(tmp_path, exports):
    store = ModelStore(tmp_path / "store", keep=1)
    assert [store.push("m", exports[number % 2], {}) for number in range(4)] == [1, 2, 3, 4]


TRUE = b'{"version": true, "pinned": false, "previous": null, "time": ""}'


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": "1"}', b"\xff\x00", b"[" * 60_000, TRUE]
)
def test_corrupt_pointer_is_a_clear_error_and_recovers_to_the_newest_whole_version(store, exports, content, caplog):
    for export in exports[:3]:
        store.push("m", export, {})
    (store.path / "m" / "CURRENT").write_bytes(content)
    (store.version_path("m", 3) / "saved_model.pb").unlink()
    with pytest.raises(PointerError, match=r"CURRENT: not a pointer .*recover"):
        store.current("m")
    assert store.served("m") == 2
    assert "newest whole version is 2" in caplog.text
    assert any("not a pointer" in fault for fault in store.verify("m"))
    assert store.recover("m").version == 2
    assert store.current("m").version == 2


def test_missing_pointer_and_pointer_to_nowhere(store, exports):
    store.push("m", exports[0], {})
    store.push("m", exports[1], {})
    shutil.rmtree(store.version_path("m", 2))
    with pytest.raises(PointerError, match="names version 2, which is not in the store"):
        store.current("m")
    (store.path / "m" / "CURRENT").unlink()
    with pytest.raises(PointerError, match="missing, though the model has versions"):
        store.current("m")
    assert store.push("m", exports[2], {}) == 2
    assert store.current("m").previous == 1, "a push recovers the pointer first"


def test_pushing_the_same_content_mends_a_corrupt_pointer(store, exports):
    store.push("m", exports[0], {})
    (store.path / "m" / "CURRENT").write_text("{")
    assert store.push("m", exports[0], {}) == 1
    assert store.current("m").version == 1


def test_recover_leaves_a_sound_pointer_alone(store, exports):
    store.push("m", exports[0], {})
    store.push("m", exports[1], {})
    before = store.rollback("m")
    assert store.recover("m") == before


def test_verify_finds_every_flipped_missing_and_extra_file(store, exports):
    store.push("m", exports[0], {"run": "r"})
    folder = store.version_path("m", 1)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 4
    for path in files:
        original = path.read_bytes()
        for position in (0, len(original) // 2, len(original) - 2):
            flipped = bytearray(original)
            flipped[position] ^= 1
            path.write_bytes(flipped)
            assert store.verify("m", 1), f"{path.name}: flip at {position} not found"
        path.write_bytes(original + b"x")
        assert store.verify("m", 1)
        path.unlink()
        assert store.verify("m", 1)
        path.write_bytes(original)
        assert store.verify("m", 1) == []
    (folder / "extra.txt").write_text("")
    assert store.verify("m", 1) == ["m/1/extra.txt: not in the manifest"]


def test_altered_metadata_shows(store, exports):
    store.push("m", exports[0], {"accuracy": 0.7})
    path = store.version_path("m", 1) / manifest.NAME
    path.write_text(path.read_text().replace("0.7", "0.9"))
    assert "seal does not fit" in store.verify("m", 1)[0]


def test_models_config_follows_the_pointer(store, exports):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    def parsed():
        text = (store.path / "models.config").read_text()
        return text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config

    store.push("m", exports[0], {})
    store.push("other.model-2", exports[0], {})
    store.push("m", exports[1], {})
    first, second = parsed()
    assert (first.name, list(first.model_version_policy.specific.versions)) == ("m", [2])
    assert (first.base_path, first.model_platform) == (str(store.path / "m"), "tensorflow")
    assert (second.name, list(second.model_version_policy.specific.versions)) == ("other.model-2", [1])
    store.rollback("m")
    assert list(parsed()[0].model_version_policy.specific.versions) == [1]


def test_what_is_no_model_of_the_store_holds_up_nothing(store, exports, monkeypatch, caplog):
    """Folders that no model may be named after, as users and file systems leave them; one that cannot be listed."""
    (store.path / "old copies" / "1").mkdir(parents=True)
    (store.path / ".snapshots" / "1").mkdir(parents=True)
    (store.path / "private" / "1").mkdir(parents=True)

    def listing(base):
        if base.name == "private":
            raise PermissionError(13, "Permission denied")
        return version_folders(base)

    monkeypatch.setattr("graft.serving.store.version_folders", listing)
    store.push("m", exports[0], {})
    assert store.models() == ["m"]
    assert "private: cannot be listed: Permission denied" in caplog.text
    assert (store.path / "models.config").read_text().count("name:") == 1


def test_store_id_is_made_once(store, exports, tmp_path):
    identity = store.store_id
    store.push("m", exports[0], {})
    assert ModelStore(store.path).store_id == identity
    assert ModelStore(tmp_path / "other").store_id != identity
    with pytest.raises(StoreError, match="not a local path"):
        ModelStore("gs://bucket/store")
    with pytest.raises(StoreError, match="no such folder"):
        ModelStore(tmp_path / "absent").models()


def test_sweep_removes_what_a_dead_push_left_but_not_a_live_one(store, exports):
    store.push("m", exports[0], {})
    stale = store.path / "m" / ".tmp-dead"
    (stale / "variables").mkdir(parents=True)
    store.push("m", exports[1], {})
    assert not stale.exists()
    # A live push holds the lock: a rival waits for it and so never sweeps its temporary folder.
    with durable.locked(store.path / "m" / ".lock"):
        (store.path / "m" / ".tmp-live").mkdir()
        rival = threading.Thread(target=store.push, args=("m", exports[2], {}))
        rival.start()
        rival.join(0.3)
        assert rival.is_alive() and (store.path / "m" / ".tmp-live").exists()
    rival.join(10)
    assert store.versions("m") == [1, 2, 3]


def push_in_child(store: ModelStore, export: pathlib.Path, kill_at: int, when: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(CHILD), str(store.path), str(export), str(kill_at), when]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_killed_at_any_disk_operation_the_store_serves_a_whole_version(tmp_path, exports):
    """SIGKILL before each operation of a push with retention, and after every third; then the same push again."""
    template = ModelStore(tmp_path / "template", keep=1)
    for export in exports[:2]:
        template.push("m", export, {})
    rehearsal = shutil.copytree(template.path, tmp_path / "rehearsal")
    operations = int(push_in_child(ModelStore(rehearsal), exports[2], 0, "never").stdout)
    assert operations > 15
    outcomes = set()
    for kill_at in range(1, operations + 1):
        when = "after" if kill_at % 3 == 0 else "before"
        store = ModelStore(shutil.copytree(template.path, tmp_path / f"store{kill_at}"), keep=1)
        child = push_in_child(store, exports[2], kill_at, when)
        assert child.returncode == -signal.SIGKILL, child.stderr
        served = store.current("m").version
        assert served in (2, 3)
        assert store.verify("m") == [], f"killed {when} operation {kill_at}"
        outcomes.add(served)
        assert store.push("m", exports[2], {}) == 3
        assert store.current("m").version == 3 and store.verify("m") == []
        assert store.versions("m") == [2, 3] and not left_over(store)
        assert "versions: 3 " in (store.path / "models.config").read_text()
    assert outcomes == {2, 3}


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, exports):
    store = ModelStore(tmp_path / "store", keep=2)
    store.push("m", exports[0], {})
    (exports[1] / "big").write_bytes(os.urandom(30 << 20))
    (exports[2] / "big").write_bytes(os.urandom(30 << 20))
    generator = random.Random(0)
    for round_number in range(15):
        command = [sys.executable, str(CHILD), str(store.path), str(exports[1 + round_number % 2]), "0", "never"]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(generator.uniform(0.05, 0.6))
        child.kill()
        child.wait()
        assert store.verify("m", store.current("m").version) == []
        assert store.verify("m") == []
    store.push("m", exports[3], {})
    assert not left_over(store)


@pytest.mark.parametrize("failing", ["copy", "manifest", "rename", "pointer"])
def test_disk_full_at_any_step_leaves_the_old_version(store, exports, monkeypatch, failing):
    store.push("m", exports[0], {})
    before = store.current("m")

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing == "copy":
        monkeypatch.setattr(shutil, "copyfileobj", full)
    elif failing == "manifest":
        monkeypatch.setattr(durable, "write_synced", full)
    elif failing == "rename":
        monkeypatch.setattr(pathlib.Path, "rename", full)
    else:
        monkeypatch.setattr(durable, "write_atomic", full)
    words = r"push of m in .* failed: .*No space left on device; version 1 is served"
    with pytest.raises(StoreError, match=words):
        store.push("m", exports[1], {})
    if failing == "pointer":
        with pytest.raises(StoreError, match=r"pin of m in .* failed"):
            store.pin("m", 1)
    monkeypatch.undo()
    assert store.current("m") == before
    assert store.versions("m") == [1] and store.verify("m") == [] and not left_over(store)
    assert store.push("m", exports[1], {}) == 2


def test_disk_full_on_a_real_small_filesystem(tmp_path, exports):
    mount = tmp_path / "mount"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    try:
        store = ModelStore(mount / "store")
        store.push("m", exports[0], {})
        (exports[1] / "big").write_bytes(bytes(4 << 20))
        with pytest.raises(StoreError, match="No space left on device"):
            store.push("m", exports[1], {})
        assert store.current("m").version == 1 and store.verify("m") == []
        assert store.versions("m") == [1] and not left_over(store)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_file_size_limit_stops_a_push_cleanly(tmp_path, exports):
    """The same fault where mounting is not permitted: the kernel refuses the write of a real process."""
    store = ModelStore(tmp_path / "store")
    store.push("m", exports[0], {})
    (exports[1] / "big").write_bytes(bytes(1 << 20))
    program = (
        "import resource, signal, sys; from graft.serving.store import ModelStore; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)); "
        "ModelStore(sys.argv[1]).push('m', sys.argv[2], {})"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, str(store.path), str(exports[1])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 1 and "StoreError: push of m" in child.stderr
    assert store.current("m").version == 1 and store.verify("m") == [] and not left_over(store)


def test_a_source_that_changes_during_the_copy_is_not_pushed(store, exports, monkeypatch):
    copy = durable.copy_tree

    def racing(source, *args):
        (source / "saved_model.pb").write_bytes(b"rewritten")
        copy(source, *args)

    monkeypatch.setattr(durable, "copy_tree", racing)
    with pytest.raises(StoreError, match="changed while it was copied"):
        store.push("m", exports[0], {})
    assert store.versions("m") == [] and not left_over(store)


def test_two_writers_at_once_each_get_a_version(store, exports):
    children = [
        subprocess.Popen(
            [sys.executable, str(CHILD), str(store.path), str(export), "0", "never"],
            stdout=subprocess.DEVNULL,
        )
        for export in exports[:2]
    ]
    results = []
    threads = [
        threading.Thread(target=lambda export=export: results.append(store.push("m", export, {})))
        for export in exports[2:5]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [child.wait(30) for child in children] == [0, 0]
    assert len(set(results)) == 3
    pointer = store.current("m")
    assert pointer.version == store.versions("m")[-1] == 5
    assert store.verify("m") == [] and not left_over(store)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 3)),
            st.tuples(st.just("rollback"), st.none()),
            st.tuples(st.just("pin"), st.integers(1, 6)),
            st.tuples(st.just("unpin"), st.none()),
        ),
        max_size=10,
    ),
    st.integers(1, 3),
)
def test_any_history_keeps_the_invariants(history, keep):
    """The pointer names a whole version, a pin holds against pushes, retention never takes what may be served."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [saved_model(pathlib.Path(folder) / f"export{number}", f"model {number}") for number in range(4)]
        store = ModelStore(pathlib.Path(folder) / "store", keep=keep)
        store.push("m", sources[0], {})
        for action, argument in history:
            before = store.current("m")
            try:
                if action == "push":
                    version = store.push("m", sources[argument], {})
                    assert version in store.versions("m")
                    assert store.current("m").version == (before.version if before.pinned else version)
                elif action == "rollback":
                    assert store.rollback("m").version < before.version
                elif action == "pin":
                    store.pin("m", argument)
                else:
                    store.unpin("m")
            except StoreError:
                assert store.current("m") == before
            pointer = store.current("m")
            assert store.verify("m") == []
            assert pointer.version in store.versions("m")
            assert len(store.versions("m")) <= keep + 2
            assert json.loads((store.path / "m" / "CURRENT").read_text())["version"] == pointer.version
