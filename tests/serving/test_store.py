"""The model store, of either kind: what every reader and writer may rely on, wherever the bytes lie."""

import itertools
import os
import pathlib
import shutil
import string
import tempfile
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kinds import saved_model

from graft.models.errors import GraftError
from graft.serving import manifest
from graft.serving.store import PointerError, StoreError, open_store
from graft.serving.versions import check_model_name

PLACES = itertools.count()


def test_push_numbers_versions_and_moves_the_pointer(store, exports, files):
    assert store.current("m") is None
    assert [store.push("m", export, {"run": number}) for number, export in enumerate(exports[:3])] == [1, 2, 3]
    assert store.versions("m") == [1, 2, 3]
    assert store.models() == ["m"]
    pointer = store.current("m")
    assert (pointer.version, pointer.previous, pointer.pinned) == (3, 2, False)
    assert store.verify("m") == []
    assert not files.left_over()
    content = store.manifest("m", 2)
    assert content["metadata"] == {"run": 1}
    assert content["files"]["saved_model.pb"]["size"] == len("model 1")
    here = store.version_path("m", 2)
    assert (here / "saved_model.pb").read_bytes() == b"model 1"
    assert store.places("m")[2] == here and here.is_relative_to(store.local_root)
    assert files.read("m/2/saved_model.pb") == b"model 1", "in a plain file, for other programs"
    if store.is_local:
        assert (here / "assets").is_dir(), "empty folders belong to a SavedModel too"


def test_pushing_the_served_content_again_makes_no_copy(store, exports):
    assert store.push("m", exports[0], {}) == 1
    assert store.push("m", exports[0], {"another": "run"}) == 1
    assert store.versions("m") == [1]
    assert store.push("m", exports[1], {}) == 2
    assert store.push("m", exports[0], {}) == 3, "only the served version is compared, not the history"


def test_served_version_that_rotted_is_pushed_anew(store, exports, files):
    store.push("m", exports[0], {})
    files.write("m/1/saved_model.pb", b"model X")
    assert store.push("m", exports[0], {}) == 2
    assert store.verify("m", 2) == []


def test_push_refuses_what_is_no_saved_model(store, tmp_path, exports, files):
    with pytest.raises(StoreError, match=r"no saved_model\.pb"):
        store.push("m", tmp_path, {})
    with pytest.raises(GraftError, match="metadata of m cannot be written as JSON"):
        store.push("m", exports[0], {"metric": object()})
    os.mkfifo(exports[0] / "assets" / "pipe")
    with pytest.raises(GraftError, match="neither a file nor a folder"):
        store.push("m", exports[0], {})
    assert store.versions("m") == [] and not files.left_over()


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


def test_pin_and_rollback_refuse_a_version_that_is_absent_or_damaged(store, exports, files):
    store.push("m", exports[0], {})
    store.push("m", exports[1], {})
    with pytest.raises(StoreError, match="has no version 7; there are: 1, 2"):
        store.pin("m", 7)
    files.write("m/1/saved_model.pb", b"")
    with pytest.raises(StoreError, match="not whole"):
        store.rollback("m")
    assert store.current("m").version == 2 and not store.current("m").pinned
    with pytest.raises(StoreError, match="no model n; there are: m"):
        store.rollback("n")
    with pytest.raises(StoreError, match="no model n; there are: m"):
        store.verify("n")


def test_retention_spares_served_previous_and_pinned(make_store, exports, files, kind):
    store = make_store(keep=2)
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
    assert not files.left_over()
    with pytest.raises(StoreError, match="keep=0"):
        open_store(kind, keep=0)


def test_numbers_are_never_used_again(make_store, exports):
    store = make_store(keep=1)
    assert [store.push("m", exports[number % 2], {}) for number in range(4)] == [1, 2, 3, 4]


TRUE = b'{"version": true, "pinned": false, "previous": null, "time": ""}'


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": "1"}', b"\xff\x00", b"[" * 60_000, TRUE]
)
def test_corrupt_pointer_is_a_clear_error_and_recovers_to_the_newest_whole_version(
    store, exports, files, content, caplog
):
    for export in exports[:3]:
        store.push("m", export, {})
    files.write("m/CURRENT", content)
    files.remove("m/3/saved_model.pb")
    with pytest.raises(PointerError, match=r"CURRENT: not a pointer .*recover"):
        store.current("m")
    assert store.served("m") == 2
    assert "newest whole version is 2" in caplog.text
    assert any("not a pointer" in fault for fault in store.verify("m"))
    assert store.recover("m").version == 2
    assert store.current("m").version == 2


def test_missing_pointer_and_pointer_to_nowhere(store, exports, files):
    store.push("m", exports[0], {})
    store.push("m", exports[1], {})
    for key in files.keys("m/2/"):
        files.remove(key)
    if store.is_local:
        shutil.rmtree(store.version_path("m", 2))
    with pytest.raises(PointerError, match="names version 2, which is not in the store"):
        store.current("m")
    files.remove("m/CURRENT")
    with pytest.raises(PointerError, match="missing, though the model has versions"):
        store.current("m")
    assert store.push("m", exports[2], {}) == 2
    assert store.current("m").previous == 1, "a push recovers the pointer first"


def test_pushing_the_same_content_mends_a_corrupt_pointer(store, exports, files):
    store.push("m", exports[0], {})
    files.write("m/CURRENT", b"{")
    assert store.push("m", exports[0], {}) == 1
    assert store.current("m").version == 1


def test_recover_leaves_a_sound_pointer_alone(store, exports):
    store.push("m", exports[0], {})
    store.push("m", exports[1], {})
    before = store.rollback("m")
    assert store.recover("m") == before


def test_verify_finds_every_flipped_missing_and_extra_file(store, exports, files):
    store.push("m", exports[0], {"run": "r"})
    keys = files.keys("m/1/")
    assert len(keys) == 4
    for key in keys:
        original = files.read(key)
        for position in (0, len(original) // 2, len(original) - 2):
            flipped = bytearray(original)
            flipped[position] ^= 1
            files.write(key, bytes(flipped))
            assert store.verify("m", 1), f"{key}: flip at {position} not found"
        files.write(key, original + b"x")
        assert store.verify("m", 1)
        if key != "m/1/graft_manifest.json" or store.is_local:
            files.remove(key)
            assert store.verify("m", 1)
        files.write(key, original)
        assert store.verify("m", 1) == []
    files.write("m/1/extra.txt", b"")
    assert store.verify("m", 1) == ["m/1/extra.txt: not in the manifest"]


def test_altered_metadata_shows(store, exports, files):
    store.push("m", exports[0], {"accuracy": 0.7})
    key = f"m/1/{manifest.NAME}"
    files.write(key, files.read(key).replace(b"0.7", b"0.9"))
    assert "seal does not fit" in store.verify("m", 1)[0]


def test_models_config_follows_the_pointer(store, exports, files):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    def parsed():
        text = files.read("models.config").decode()
        return text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config

    store.push("m", exports[0], {})
    store.push("other.model-2", exports[0], {})
    store.push("m", exports[1], {})
    first, second = parsed()
    assert (first.name, list(first.model_version_policy.specific.versions)) == ("m", [2])
    assert (first.base_path, first.model_platform) == (f"{store.address}/m", "tensorflow")
    assert (second.name, list(second.model_version_policy.specific.versions)) == ("other.model-2", [1])
    store.rollback("m")
    assert list(parsed()[0].model_version_policy.specific.versions) == [1]


def test_store_id_is_made_once(store, exports, kind, tmp_path):
    identity = store.store_id
    store.push("m", exports[0], {})
    assert open_store(store.address).store_id == identity
    assert open_store(f"{kind}-other").store_id != identity
    with pytest.raises(StoreError, match="no such folder" if store.is_local else "no store there"):
        open_store(f"{kind}-absent").models()


@pytest.mark.parametrize("address", ["gs://bucket/store", "https://host/store", pathlib.Path("s3://bucket/store")])
def test_addresses_of_no_kind_are_refused(address):
    with pytest.raises(StoreError, match=r"not a local path and no address of a kind that is known; allowed: a folder"):
        open_store(address)


def test_threads_that_push_at_once_each_get_a_version(store, exports, files):
    results = []
    threads = [
        threading.Thread(target=lambda export=export: results.append(store.push("m", export, {})))
        for export in exports[:5]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [1, 2, 3, 4, 5]
    assert store.current("m").version == store.versions("m")[-1] == 5
    assert store.verify("m") == [] and not files.left_over() and store.config_follows()


def test_strangers_are_told_of_and_left_alone(store, exports, files):
    store.push("m", exports[0], {})
    for key in ("notes.txt", "old copies/1/saved_model.pb", "m/1 (copy)/saved_model.pb", "m/readme"):
        files.write(key, b"x")
    told = {line.split("'")[1] for line in store.foreign()}
    assert told == {"notes.txt", "old copies", "m/1 (copy)", "m/readme"}
    assert store.models() == ["m"] and store.versions("m") == [1] and store.verify("m") == []
    assert store.push("m", exports[1], {}) == 2
    assert files.read("notes.txt") == b"x"


@pytest.mark.parametrize("name", ["STORE", "models.config"])
def test_a_model_cannot_be_called_like_a_file_of_the_store(store, exports, name):
    with pytest.raises(StoreError, match="the store has a file of that name"):
        store.push(name, exports[0], {})


def test_a_models_config_left_behind_is_seen_and_mended(store, exports, files):
    store.push("m", exports[0], {})
    assert store.config_follows()
    files.write("models.config", b"model_config_list {}")
    assert not store.config_follows()
    assert store.write_models_config().endswith("models.config")
    assert store.config_follows()


HISTORIES = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 3)),
        st.tuples(st.just("rollback"), st.none()),
        st.tuples(st.just("pin"), st.integers(1, 6)),
        st.tuples(st.just("unpin"), st.none()),
    ),
    max_size=10,
)


@settings(max_examples=25, deadline=None)
@given(HISTORIES, st.integers(1, 3))
def test_any_history_keeps_the_invariants(history, keep):
    with tempfile.TemporaryDirectory() as folder:
        keeps_the_invariants(f"{folder}/store", history, keep)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES, keep=st.integers(1, 3))
def test_any_history_on_s3_keeps_the_invariants(s3, history, keep):
    keeps_the_invariants(f"{s3}/{next(PLACES)}", history, keep)


def keeps_the_invariants(place, history, keep):
    """The pointer names a whole version, a pin holds against pushes, retention never takes what may be served."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [saved_model(pathlib.Path(folder) / f"export{number}", f"model {number}") for number in range(4)]
        store = open_store(place, keep=keep)
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
            assert store.served("m") == pointer.version and not store.unfinished()
