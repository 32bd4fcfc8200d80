"""The model store in a folder: locks, renames, and what kill, disk full and rivals do to it."""

import errno
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from graft.models import durable
from graft.serving.folder_store import FolderStore
from graft.serving.store import StoreError
from graft.serving.versions import version_folders

CHILD = pathlib.Path(__file__).with_name("crashing_push.py")


@pytest.fixture
def store(tmp_path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def left_over(store: FolderStore) -> list[pathlib.Path]:
    return list(store.path.rglob(".tmp-*"))


def test_version_folders_are_read_as_tensorflow_serving_does(tmp_path, caplog):
    for name in ("1", "00000123", "20170111173521", "001", "junk", "7.tmp", "-4", "9" * 20, "²"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").write_text("a file")
    found = version_folders(tmp_path)
    assert list(found) == [1, 123, 20170111173521]
    assert found[123].name == "00000123"
    assert "already given" in caplog.text


def test_what_is_no_model_of_the_store_holds_up_nothing(store, exports, monkeypatch, caplog):
    """Folders that no model may be named after, as users and file systems leave them; one that cannot be listed."""
    (store.path / "old copies" / "1").mkdir(parents=True)
    (store.path / ".snapshots" / "1").mkdir(parents=True)
    (store.path / "private" / "1").mkdir(parents=True)

    def listing(base):
        if base.name == "private":
            raise PermissionError(13, "Permission denied")
        return version_folders(base)

    monkeypatch.setattr("graft.serving.folder_store.version_folders", listing)
    store.push("m", exports[0], {})
    assert store.models() == ["m"]
    assert "private: cannot be listed: Permission denied" in caplog.text
    assert (store.path / "models.config").read_text().count("name:") == 1


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


def push_in_child(store: FolderStore, export: pathlib.Path, kill_at: int, when: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(CHILD), str(store.path), str(export), str(kill_at), when]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_killed_at_any_disk_operation_the_store_serves_a_whole_version(tmp_path, exports):
    """SIGKILL before each operation of a push with retention, and after every third; then the same push again."""
    template = FolderStore(tmp_path / "template", keep=1)
    for export in exports[:2]:
        template.push("m", export, {})
    rehearsal = shutil.copytree(template.path, tmp_path / "rehearsal")
    operations = int(push_in_child(FolderStore(rehearsal), exports[2], 0, "never").stdout)
    assert operations > 15
    outcomes = set()
    for kill_at in range(1, operations + 1):
        when = "after" if kill_at % 3 == 0 else "before"
        store = FolderStore(shutil.copytree(template.path, tmp_path / f"store{kill_at}"), keep=1)
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
    store = FolderStore(tmp_path / "store", keep=2)
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
        store = FolderStore(mount / "store")
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
    store = FolderStore(tmp_path / "store")
    store.push("m", exports[0], {})
    (exports[1] / "big").write_bytes(bytes(1 << 20))
    program = (
        "import resource, signal, sys; from graft.serving.store import open_store; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)); "
        "open_store(sys.argv[1]).push('m', sys.argv[2], {})"
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
