"""The model store on S3: claims, leftovers, writers that meet, and what polling costs."""

import datetime
import json
import os
import shutil
import threading
import time

import pytest
from s3_loopback import client
from store_kinds import Objects

from graft.pipeline import cli
from graft.serving import manifest, version_cache
from graft.serving.pointer import StoreError, Unreachable
from graft.serving.s3_bucket import Bucket
from graft.serving.s3_store import S3Store
from graft.serving.sources import StoreSource
from graft.serving.store import open_store


@pytest.fixture
def store(s3) -> S3Store:
    return S3Store(s3)


@pytest.fixture
def files(s3) -> Objects:
    return Objects(s3)


class Killed(BaseException):
    """Ends a writer without giving it a chance to tidy up."""


def die_before(monkeypatch, operation: str, key: str) -> None:
    """The next such request never leaves, nor does any after it."""
    real = Bucket._call
    dead = []

    def call(self, asked, **arguments):
        if dead or (asked == operation and arguments.get("Key", "").endswith(key)):
            dead.append(True)
            raise Killed
        return real(self, asked, **arguments)

    monkeypatch.setattr(Bucket, "_call", call)


def left_by_a_dead_push(store, export, monkeypatch) -> None:
    with monkeypatch.context() as context:
        die_before(context, "put_object", "saved_model.pb")
        with pytest.raises(Killed):
            store.push("m", export, {})


def test_a_push_under_way_is_seen_by_no_reader(store, exports, files, monkeypatch):
    store.push("m", exports[0], {})
    left_by_a_dead_push(store, exports[1], monkeypatch)
    assert files.keys("m/2/") == [
        *("m/2/graft_manifest.json", "m/2/variables/variables.data-00000-of-00001", "m/2/variables/variables.index")
    ]
    assert "claim" in json.loads(files.read("m/2/graft_manifest.json"))
    assert store.versions("m") == [1] and store.verify("m") == [] and store.foreign() == []
    with pytest.raises(StoreError, match="has no version 2; there are: 1"):
        store.version_path("m", 2)
    assert list(StoreSource(store).poll()["m"].versions) == [1]


@pytest.mark.slow
def test_leftovers_are_told_of_and_swept_after_a_safe_time(s3, store, exports, files, monkeypatch, capsys, caplog):
    store.push("m", exports[0], {})
    left_by_a_dead_push(store, exports[1], monkeypatch)
    begun = client().create_multipart_upload(Bucket=files.bucket, Key=f"{files.prefix}/m/2/large")["UploadId"]
    claim, upload = store.unfinished()
    assert claim.startswith("m/2: a push that has not ended, last seen 20") and "2 files" in claim
    assert upload.startswith("m/2/large: an upload in parts, not ended") and "older than 24 h" in upload
    assert cli.main(["models", "verify", "--store", s3, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] == [claim, upload]
    assert store.push("m", exports[2], {}) == 3, "a writer that may live keeps its number and its files"
    assert len(files.keys("m/2/")) == 3
    monkeypatch.setattr(Bucket, "now", datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=24.1))
    assert store.push("m", exports[3], {}) == 4
    assert files.keys("m/2/") == [] and store.unfinished() == []
    assert begun not in [item.id for item in store.bucket.uploads()]
    assert "m/2 was left by a writer that did not end: deleted" in caplog.text


@pytest.mark.slow
def test_a_writer_that_slept_until_it_was_swept_does_not_come_back(s3, exports, monkeypatch):
    """Its files are gone: the manifest must not follow them."""
    store = S3Store(s3)
    store.push("m", exports[0], {})
    real = Bucket.upload

    def upload(self, key, *rest):
        real(self, key, *rest)
        if key.endswith("saved_model.pb"):
            monkeypatch.undo()
            S3Store(s3, leftover_s=0).push("m", exports[2], {})

    monkeypatch.setattr(Bucket, "upload", upload)
    with pytest.raises(StoreError, match="this push was taken for dead, because it wrote nothing for 86400 s"):
        store.push("m", exports[1], {})
    assert store.verify("m") == [] and store.unfinished() == []
    assert store.current("m").version == store.versions("m")[-1]


@pytest.mark.slow
def test_a_push_that_fails_leaves_nothing_and_frees_its_number(store, exports, files, s3_server):
    store.push("m", exports[0], {})
    before = files.keys()
    s3_server.fault = lambda method, path: (403, "AccessDenied") if method == "PUT" and path.endswith(".pb") else None
    with pytest.raises(StoreError, match=r"push of m failed: .*/m/2/saved_model\.pb: PutObject is denied"):
        store.push("m", exports[1], {})
    s3_server.fault = lambda method, path: (
        (403, "AccessDenied") if method == "PUT" and path.endswith("CURRENT") else None
    )
    with pytest.raises(StoreError, match=r"push of m failed: .*/m/CURRENT: PutObject is denied"):
        store.push("m", exports[1], {})
    s3_server.plain()
    assert files.keys() == before and store.current("m").version == 1
    assert store.push("m", exports[1], {}) == 2


def test_a_source_that_changes_during_a_push_is_not_pushed(store, exports, monkeypatch):
    real = Bucket.upload

    def racing(self, key, path, *rest):
        if path.name == "variables.index":
            path.write_bytes(b"rewritten")
        real(self, key, path, *rest)

    monkeypatch.setattr(Bucket, "upload", racing)
    with pytest.raises(StoreError, match="changed while it was copied"):
        store.push("m", exports[0], {})
    assert store.versions("m") == [] and store.unfinished() == []


@pytest.mark.slow
def test_a_slow_push_does_not_take_the_pointer_back(s3, exports, monkeypatch, caplog):
    """Of two writers the one with the lower number ends last: the newer version stays served."""
    S3Store(s3).push("m", exports[0], {})
    real = Bucket.upload
    newer = []

    def upload(self, key, *rest):
        if not newer:
            newer.append(True)
            newer.append(S3Store(s3).push("m", exports[2], {}))
        real(self, key, *rest)

    monkeypatch.setattr(Bucket, "upload", upload)
    assert S3Store(s3).push("m", exports[1], {}) == 2
    store = S3Store(s3)
    assert newer[1] == 3 and store.versions("m") == [1, 2, 3]
    assert (store.current("m").version, store.current("m").previous) == (3, 1)
    assert "version 3, pushed meanwhile, stays served" in caplog.text
    assert store.verify("m") == [] and store.config_follows()


@pytest.mark.slow
def test_a_pin_and_a_push_that_meet_are_both_done(s3, exports, monkeypatch):
    """Between reading the pointer and writing it another writer pins: the push decides anew."""
    store = S3Store(s3)
    for export in exports[:2]:
        store.push("m", export, {})
    real, met = Bucket.swap, []

    def swap(self, key, *rest):
        if key == "m/CURRENT" and not met:
            met.append(True)
            S3Store(s3).pin("m", 1)
        return real(self, key, *rest)

    monkeypatch.setattr(Bucket, "swap", swap)
    assert store.push("m", exports[2], {}) == 3
    pointer = store.current("m")
    assert (pointer.version, pointer.pinned) == (1, True) and store.versions("m") == [1, 2, 3]


@pytest.mark.slow
def test_retention_and_a_pin_that_meet_see_one_another(s3, exports, monkeypatch):
    """The pointer moves to a version that a push of another has begun to delete: it is put back."""
    store = S3Store(s3, keep=1)
    for export in exports[:2]:
        store.push("m", export, {})
    real, pins = Bucket.swap, []

    def swap(self, key, content, seen):
        etag = real(self, key, content, seen)
        if b"deleted" in content and not pins:
            pins.append(threading.Thread(target=lambda: pins.append(S3Store(s3)._write_pointer("m", *target()))))
            pins[0].start()
            end = time.monotonic() + 20
            while json.loads(Objects(s3).read("m/CURRENT"))["version"] != 1 and time.monotonic() < end:
                time.sleep(0.01)
        return etag

    def target():
        found, seen = S3Store(s3)._seen("m")
        return type(found)(1, True, 3, found.time), seen

    monkeypatch.setattr(Bucket, "swap", swap)
    store.push("m", exports[2], {})
    pins[0].join(20)
    assert len(pins) == 2, "the pin went through"
    assert store.current("m").version == 1 and store.verify("m") == []
    assert store.versions("m") == [1, 2, 3] and store.unfinished() == []


@pytest.mark.slow
def test_a_pointer_that_moves_to_what_is_gone_is_recovered(s3, exports, monkeypatch):
    monkeypatch.setattr("graft.serving.s3_store._RESTORED_S", 0.2)
    store = S3Store(s3)
    for export in exports[:3]:
        store.push("m", export, {})
    real = Bucket.swap

    def swap(self, key, *rest):
        if key == "m/CURRENT":
            monkeypatch.setattr(Bucket, "swap", real)
            for entry in self.entries("m/1/"):
                self.delete([entry.key])
        return real(self, key, *rest)

    monkeypatch.setattr(Bucket, "swap", swap)
    with pytest.raises(StoreError, match="m version 1 was deleted by another writer meanwhile; version 3 is served"):
        store.pin("m", 1)
    assert store.current("m").version == 3


@pytest.mark.slow
def test_an_answer_that_does_not_come_is_no_fault_of_a_version(store, exports, files, s3_server, monkeypatch):
    """Else the recovery rule would go back to an older version whenever the network is down."""
    for export in exports[:2]:
        store.push("m", export, {})
    files.write("m/CURRENT", b"{")
    s3_server.fault = lambda method, path: (403, "AccessDenied") if "m/2/saved_model" in path else None
    with pytest.raises(Unreachable, match="GetObject is denied"):
        store.served("m")
    with pytest.raises(StoreError, match="GetObject is denied"):
        store.recover("m")
    s3_server.plain()
    assert store.recover("m").version == 2


@pytest.mark.slow
def test_a_large_file_that_an_earlier_version_has_is_copied_in_the_store(store, exports, files, s3_server):
    for export in exports[:3]:
        (export / "vocabulary").write_bytes(b"word " * 400_000)
    store.push("m", exports[0], {})
    sent = []
    s3_server.fault = lambda method, path: sent.append(path) if method == "PUT" else None
    store.push("m", exports[1], {})
    assert store.verify("m") == [] and files.read("m/2/vocabulary") == files.read("m/1/vocabulary")
    uploads = []
    real = Bucket.upload
    Bucket.upload = lambda self, key, *rest: (uploads.append(key), real(self, key, *rest))[1]
    try:
        store.push("m", exports[2], {})
        assert "m/3/vocabulary" not in uploads and "m/3/saved_model.pb" in uploads
        # What somebody has overwritten is no longer vouched for, and is sent.
        for version in (1, 2, 3):
            files.write(f"m/{version}/vocabulary", b"rotten" + b"word " * 400_000)
        (exports[3] / "vocabulary").write_bytes(b"word " * 400_000)
        store.push("m", exports[3], {})
        assert "m/4/vocabulary" in uploads
    finally:
        Bucket.upload = real
    assert store.verify("m", 4) == [] and len(store.verify("m")) == 3


def test_a_version_is_brought_once_and_compared_with_its_manifest(s3, store, exports, files, s3_server, tmp_path):
    store.push("m", exports[0], {"run": 1})
    s3_server.plain()
    path = store.version_path("m", 1)
    assert sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()) == [
        *("graft_manifest.json", "saved_model.pb"),
        *("variables/variables.data-00000-of-00001", "variables/variables.index"),
    ]
    first = s3_server.asked["GET"]
    assert S3Store(s3).version_path("m", 1) == path
    assert s3_server.asked["GET"] <= first + 2, "the list and the manifest"
    # Somebody damages the copy: it is brought anew.
    (path / "saved_model.pb").write_bytes(b"damaged")
    assert (store.version_path("m", 1) / "saved_model.pb").read_bytes() == b"model 0"
    # A file that another version has, too, is not brought again.
    shutil.copyfile(exports[0] / "variables" / "variables.index", exports[1] / "variables" / "variables.index")
    store.push("m", exports[1], {})
    asked = []
    s3_server.fault = lambda method, key: asked.append(key) if method == "GET" else None
    store.version_path("m", 2)
    assert not any(key.endswith("variables.index") for key in asked)
    assert any(key.endswith("2/saved_model.pb") for key in asked)
    files.write("m/2/saved_model.pb", b"rotten")
    shutil.rmtree(store.places("m")[2])
    with pytest.raises(StoreError, match=r"m/2/saved_model\.pb: not as the manifest says; see `graft models verify`"):
        store.version_path("m", 2)
    assert not store.places("m")[2].exists() and not list(store.local_root.glob("*.partial"))


@pytest.mark.slow
def test_polling_costs_one_request_while_no_pointer_moves(store, exports, s3_server):
    for model in ("a", "b", "c"):
        for export in exports[:3]:
            store.push(model, export, {})
    source = StoreSource(S3Store(store.address))
    source.poll()
    s3_server.plain()
    for _ in range(10):
        assert {name: list(wanted.versions) for name, wanted in source.poll().items()} == {"a": [3], "b": [3], "c": [3]}
    assert s3_server.total == 10 and s3_server.asked["HEAD"] == 10
    store.rollback("b")
    s3_server.plain()
    assert list(source.poll()["b"].versions) == [2]
    assert s3_server.total <= 2 + 3 * 3


@pytest.mark.slow
def test_a_pointer_whose_models_config_did_not_follow_is_seen_in_time(store, exports, s3_server, monkeypatch):
    monkeypatch.setattr("graft.serving.sources.LOOK_S", 0.0)
    store.push("m", exports[0], {})
    store.push("m", exports[1], {})
    source = StoreSource(store)
    source.poll()
    s3_server.fault = lambda method, path: (403, "AccessDenied") if method == "PUT" and "config" in path else None
    assert store.rollback("m").version == 1
    assert not store.config_follows()
    assert list(source.poll()["m"].versions) == [1]


def test_a_store_that_cannot_be_reached_takes_nothing_away(store, exports, s3_server, caplog):
    store.push("m", exports[0], {})
    source = StoreSource(store)
    source.poll()
    s3_server.fault = lambda method, path: (403, "AccessDenied")
    assert source.poll() == {} and source.poll() == {}
    assert caplog.text.count("is denied") == 1, "said once, not at each poll"
    s3_server.plain()
    assert list(source.poll()["m"].versions) == [1]


@pytest.mark.slow
def test_names_of_files_are_kept_as_they_are(store, exports):
    names = {"assets/wörter & +%20.txt", "assets/a b=c?d#e.txt", ".hidden/x"}
    for name in names:
        (exports[0] / name).parent.mkdir(exist_ok=True)
        (exports[0] / name).write_bytes(name.encode() * 50_000)
    store.push("m", exports[0], {})
    assert names <= set(store.manifest("m", 1)["files"]) and store.verify("m") == []
    path = store.version_path("m", 1)
    assert all((path / name).read_bytes() == name.encode() * 50_000 for name in names)
    (exports[0] / "saved_model.pb").write_bytes(b"another")
    assert store.push("m", exports[0], {}) == 2 and store.verify("m", 2) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "a//b", "."])
def test_a_manifest_that_leads_out_of_its_version_writes_nothing(store, exports, files, tmp_path, name):
    """Who can write to the store decides what is served; it must not decide what else lies on the server's disk."""
    store.push("m", exports[0], {})
    described = {"size": 1, "sha256": "0" * 64}
    files.write("m/1/graft_manifest.json", manifest.encode("m", 1, "now", {name: described}, {}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=r"its manifest names .*; allowed: relative paths without '\.\.'"):
        store.version_path("m", 1)
    assert set(tmp_path.rglob("*")) - set(before) <= {tmp_path / "store-cache"}


@pytest.mark.slow
@pytest.mark.parametrize("content", ["huge", b"[]", b"\xff", b'{"format": 1, "files": {"a": 1}}'])
def test_a_damaged_manifest_hides_no_other_version(store, exports, files, content, capsys):
    for export in exports[:2]:
        store.push("m", export, {})
    store.push("other", exports[2], {})
    files.write("m/1/graft_manifest.json", bytes((64 << 20) + 1) if content == "huge" else content)
    fresh = S3Store(store.address)
    assert fresh.models() == ["m", "other"] and fresh.versions("m") == [1, 2] and fresh.served("m") == 2
    assert len(fresh.verify("m")) == 1 and "m/1/" in fresh.verify("m")[0]
    assert list(StoreSource(fresh).poll()["m"].versions) == [2]
    assert cli.main(["models", "list", "--store", store.address, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["state"] == "manifest damaged"
    assert fresh.push("m", exports[3], {}) == 3


def test_an_object_that_has_grown_is_not_taken_in_whole(store, exports, files, monkeypatch):
    store.push("m", exports[0], {})
    files.write("m/1/saved_model.pb", bytes(20 << 20))
    written = []
    real = version_cache.bring

    def bring(content, address, download, together):
        def watched(name, path, *rest):
            try:
                download(name, path, *rest)
            finally:
                written.append(path.stat().st_size)

        return real(content, address, watched, together)

    monkeypatch.setattr(version_cache, "bring", bring)
    with pytest.raises(StoreError, match="not as the manifest says"):
        store.version_path("m", 1)
    assert max(written) < 1 << 20


def test_a_mounted_copy_of_the_store_has_a_config_of_its_own(store, exports, files):
    store.push("m", exports[0], {})
    store.push("m", exports[1], {})
    store.rollback("m")
    assert f'base_path: "{store.address}/m"' in files.read("models.config").decode()
    mounted = files.read("mounted.config").decode()
    assert 'base_path: "/mnt/models/m"' in mounted and "versions: 1 " in mounted


def test_a_number_that_is_not_the_stores_is_left_alone(store, exports, files):
    files.write("m/7/saved_model.pb", b"by hand")
    assert S3Store(store.address, leftover_s=0).push("m", exports[0], {}) == 8
    assert files.read("m/7/saved_model.pb") == b"by hand"
    assert store.versions("m") == [8] and store.foreign() == ["'m/7': no version of the model; left alone"]
    files.write(f"m/{2**63 - 1}/x", b"")
    with pytest.raises(StoreError, match="no larger number exists"):
        store.push("m", exports[1], {})


def test_the_top_of_a_bucket_can_be_a_store(s3, exports):
    bucket = s3.removeprefix("s3://").partition("/")[0]
    store = open_store(f"s3://{bucket}/")
    assert store.push("m", exports[0], {}) == 1 and store.address == f"s3://{bucket}"
    assert store.version_address("m", 1) == f"s3://{bucket}/m/1" and store.models() == ["m"]


@pytest.mark.slow
def test_commands(s3, exports, files, capsys):
    store = open_store(s3)
    for export in exports[:3]:
        store.push("m", export, {})

    def graft(*words):
        code = cli.main(["models", *words, "--store", s3, "--json"])
        return code, json.loads(capsys.readouterr().out)

    assert graft("rollback", "m") == (0, {"model": "m", "version": 2, "pinned": True})
    assert [row["state"] for row in graft("list")[1]["models"]] == ["", "served, pinned", ""]
    assert graft("unpin", "m")[1]["pinned"] is False
    assert graft("pin", "m", "3")[1] == {"model": "m", "version": 3, "pinned": True}
    assert graft("verify")[0] == 0
    files.write("m/1/variables/variables.index", os.urandom(13))
    code, value = graft("verify")
    assert code == 1 and value["faults"] == [
        "m/1/variables/variables.index: changed (sha256 differs from the manifest)"
    ]
    code, value = graft("list", "--store", "s3://nobody-has-this/x")
    assert code == 2 or value


@pytest.mark.slow
def test_the_cache_is_bounded(store, exports, monkeypatch):
    for export in exports[:4]:
        store.push("m", export, {})
    monkeypatch.setattr(version_cache, "MAX_BYTES", 110_000)
    paths = []
    for version in (1, 2, 3):
        paths.append(store.version_path("m", version))
        os.utime(paths[-1], (version, version))
    assert [path.exists() for path in paths] == [True, True, True]
    store.version_path("m", 4)
    assert [path.exists() for path in paths] == [False, True, True], "those asked for longest ago go"
    monkeypatch.setattr(version_cache, "MAX_BYTES", 1)
    kept = store.version_path("m", 1)
    assert kept.exists() and store.places("m")[4].exists(), "somebody may be about to load it"
