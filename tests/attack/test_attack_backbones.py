"""Backbones and models made by somebody hostile, through `graft` and the server's sockets."""

import collections
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import re
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile

import keras
import pytest
import tensorflow as tf
from hostile_models import PLACES, add_write, edit, function, save, write_to
from small_inputs import pictures
from workshop import SIDE, write_backbone

from graft.components.quality_gate import executor
from graft.models.backbone import check_backbone, load_backbone
from graft.models.errors import GraftError
from graft.models.hashing import hash_folder
from graft.serving.server import EmbeddedServer
from graft.serving.store import ModelStore, open_store

pytestmark = pytest.mark.slow

IMAGES = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32)


@pytest.fixture
def dry_run(workshop, tmp_path):
    """dry_run(image_size, **backbone) -> what `graft run CONFIG --dry-run` left, where nothing was checked before."""
    beside = workshop.beside(tmp_path / "work")

    def run(image_size=(SIDE, SIDE), **backbone):
        keys = {f"backbone.{key}": value for key, value in backbone.items()} | {"input.image_size": image_size}
        settings = [part for key, value in keys.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        return beside.again("--dry-run", *settings)

    return run


@pytest.fixture
def evil(tmp_path) -> pathlib.Path:
    """The file that hostile models write."""
    return tmp_path / "evil"


def refused(outcome, message: str) -> None:
    assert outcome.code == 2, outcome
    assert re.search(message, outcome.value["error"]), outcome.value
    assert "\n" not in outcome.value["error"]


@pytest.mark.parametrize("place", ["call", "nested function", "while", "if", "initialiser"])
def test_a_backbone_that_writes_a_file_is_refused(dry_run, tmp_path, evil, place):
    folder = save(tmp_path / "model", place, write_to(evil))
    refused(dry_run(handle=str(folder), image_size=[16, 16]), r"does more than compute: .*WriteFile \(node ")
    assert not evil.exists()


@pytest.mark.parametrize("place", ["call", "initialiser"])
def test_what_is_refused_would_have_run(dry_run, tmp_path, evil, place):
    """The twin of the test above: a trusted one runs."""
    folder = save(tmp_path / "model", place, write_to(evil))
    outcome = dry_run(handle=str(folder), image_size=[16, 16], trust=True)
    assert outcome.code == 0, outcome
    assert evil.read_text() == "was here"


@pytest.mark.slow
def test_as_a_process_of_its_own(workshop, tmp_path, evil):
    folder = save(tmp_path / "model", "initialiser", write_to(evil))
    outcome = workshop.beside(tmp_path / "work").run(
        "--dry-run", "--set", f"backbone.handle={folder}", "--set", "input.image_size=[16,16]"
    )
    refused(outcome, r"does more than compute: .*WriteFile \(node ")
    assert outcome.stderr.count("graft: ") == 1 and "Traceback" not in outcome.stderr and not evil.exists()


def test_a_keras_file_that_names_a_class_of_this_process_is_refused(dry_run, tmp_path, evil):
    """Graft registers a layer that loads a SavedModel from any address."""
    hostile = save(tmp_path / "model", "initialiser", write_to(evil))
    images = keras.Input((16, 16, 3))
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(images)).save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as old, zipfile.ZipFile(tmp_path / "net.keras", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                layer = config["config"]["layers"][1]
                layer |= {
                    "class_name": "HubLayer",
                    "registered_name": "graft>HubLayer",
                    "module": "graft.models.hub_layer",
                }
                layer["config"] = {"handle": str(hostile), "trust": True, "name": layer["config"]["name"]}
                content = json.dumps(config).encode()
            new.writestr(name, content)
    for trust in (False, True):  # trusting the file is not trusting what it points to
        outcome = dry_run(handle=str(tmp_path / "net.keras"), image_size=[16, 16], trust=trust)
        assert outcome.code == 2, outcome
        assert not evil.exists()
    refused(dry_run(handle=str(tmp_path / "net.keras")), r"holds the class 'HubLayer' \(graft>HubLayer\)")


@pytest.fixture
def site(tmp_path):
    """A loopback web server of the folder `site`, and its address."""
    (tmp_path / "site").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "site"))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield tmp_path / "site", f"http://127.0.0.1:{server.server_port}/model.tar.gz"
    server.shutdown()
    thread.join()
    server.server_close()


def publish(folder: pathlib.Path, site: pathlib.Path) -> str:
    with tarfile.open(site / "model.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname=".")
    return hash_folder(folder)


def test_http_is_refused_and_its_content_pinned(dry_run, site, tmp_path, evil, monkeypatch):
    folder, address = site
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    good = publish(write_backbone(tmp_path / "good"), folder)
    refused(dry_run(handle=address), "is not https")
    options = {"handle": address, "allow_http": True, "sha256": good, "trust": True}
    assert dry_run(**options).code == 0
    shutil.rmtree(tmp_path / "cache")
    other = publish(save(tmp_path / "model", "initialiser", write_to(evil)), folder)
    refused(dry_run(**options), f"is not the one that was asked for: its sha256 is {other}, expected {good}")
    assert not evil.exists()


def test_a_planted_cache_is_not_used(dry_run, site, tmp_path, evil, monkeypatch):
    """The shared temporary folder, where another user waits; and a cache that others may write to."""
    folder, address = site
    publish(write_backbone(tmp_path / "good"), folder)
    hostile = save(tmp_path / "model", "initialiser", write_to(evil))
    name = hashlib.sha1(address.encode()).hexdigest()
    shutil.copytree(hostile, tmp_path / "shared" / "tfhub_modules" / name)
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "shared"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "private"))
    options = {"handle": address, "allow_http": True, "trust": True}
    assert dry_run(**options).code == 0
    assert not evil.exists()
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "shared" / "tfhub_modules"))
    (tmp_path / "shared" / "tfhub_modules").chmod(0o777)
    refused(dry_run(**options), "has mode 0777, so that others may write there")
    assert not evil.exists()


def test_an_archive_that_writes_beside_itself_is_refused(dry_run, site, tmp_path, monkeypatch):
    folder, address = site
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    for name, kind in (("../../escaped", tarfile.REGTYPE), ("saved_model.pb", tarfile.SYMTYPE)):
        with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "/etc/passwd", 1
            archive.addfile(member, io.BytesIO(b"x"))
        refused(dry_run(handle=address, allow_http=True), "cannot be downloaded: its archive holds")
    assert not list(tmp_path.rglob("escaped"))


def test_a_folder_that_never_ends_is_refused(dry_run, tmp_path):
    folder = write_backbone(tmp_path / "model")
    for number in range(4):
        (folder / f"again{number}").symlink_to(folder, target_is_directory=True)
    assert dry_run(handle=str(folder)).code == 0
    os.mkfifo(folder / "pipe")
    refused(dry_run(handle=str(folder)), "pipe: cannot be read: it is no plain file")


def test_damaged_graphs_are_refused(dry_run, tmp_path):
    folder = write_backbone(tmp_path / "model")
    whole = (folder / "saved_model.pb").read_bytes()
    for content in (b"", b"\xff" * 1000, whole[: len(whole) // 2], whole[:-1]):
        (folder / "saved_model.pb").write_bytes(content)
        outcome = dry_run(handle=str(folder))
        assert outcome.code == 2 and "\n" not in outcome.value["error"], outcome


def mutated(proto, rng: random.Random) -> None:
    """Changes one field of a message, wherever it is nested."""
    found = []
    queue = [proto]
    while queue:
        message = queue.pop()
        for field, value in message.ListFields():
            found.append((message, field))
            if field.type == field.TYPE_MESSAGE:
                repeated = field.label == field.LABEL_REPEATED
                # Maps in order: theirs is another in every process.
                parts = (
                    ([value[key] for key in sorted(value)] if hasattr(value, "keys") else value)
                    if repeated
                    else [value]
                )
                queue.extend(part for part in parts if hasattr(part, "ListFields"))
    message, field = rng.choice(found)
    value = getattr(message, field.name)
    if field.label == field.LABEL_REPEATED:
        del value[rng.choice(sorted(value)) if hasattr(value, "keys") else rng.randrange(len(value))]
    elif field.type == field.TYPE_STRING:
        setattr(message, field.name, rng.choice(["", "x", value[:-1], "__call__"]))
    elif field.type in (field.TYPE_INT32, field.TYPE_INT64):
        # A size of 2^30 is taken at its word, and a process with 20 GB does not survive it.
        setattr(message, field.name, rng.choice([-1, 0, 1, 7, 1 << 20]))
    else:
        message.ClearField(field.name)


def test_graphs_with_a_wrong_field_are_refused_in_one_line(tmp_path):
    """What the check of operations lets through, TensorFlow's loader takes at its word."""
    folder = save(tmp_path / "model", "nowhere", lambda: None)
    whole = (folder / "saved_model.pb").read_bytes()
    rng = random.Random(0)
    outcomes = collections.Counter()
    for _ in range(80):
        (folder / "saved_model.pb").write_bytes(whole)
        edit(folder, lambda proto: mutated(proto, rng))
        try:
            check_backbone(load_backbone(str(folder), pictures((16, 16), check_range=False)))
            outcomes["loaded"] += 1
        except GraftError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert min(outcomes["loaded"], outcomes["refused"]) > 10, outcomes


@pytest.fixture
def stored(tmp_path):
    """stored(name, folder): puts a SavedModel into a store, as whoever can write there would; gives the store."""
    store = open_store(tmp_path / "store")

    def push(name: str, folder: pathlib.Path) -> ModelStore:
        store.push(name, folder, {"trusted_operations": ["everything"]})
        return store

    return push


def answers(server: EmbeddedServer, name: str) -> bool:
    try:
        with urllib.request.urlopen(f"{server.rest_address}/v1/models/{name}") as answer:
            status = json.load(answer)["model_version_status"][0]
    except urllib.error.HTTPError:
        return False
    assert (status["state"] == "AVAILABLE") == (status["status"]["error_code"] == "OK")
    assert status["state"] == "AVAILABLE" or (
        status["status"]["error_code"] == "PERMISSION_DENIED"
        and "WriteFile (node " in status["status"]["error_message"]
    )
    return status["state"] == "AVAILABLE"


def hostile_export(folder: pathlib.Path, evil: pathlib.Path, place: str) -> pathlib.Path:
    """A model whose graph writes a file at `place`: one of `PLACES`, "main graph", or "restore"."""
    if place in PLACES:
        return save(folder, place, write_to(evil))
    save(folder, "nowhere", lambda: None)
    if place == "restore":
        # Awaited by the operation that restores, so that loading runs it.
        def change(proto):
            body = function(proto, "__inference__traced_restore")
            name = add_write(body.node_def, evil)
            body.control_ret["evil"] = name
            body.signature.control_output.append("evil")
            body.node_def[0].input.append(f"^{name}")
            for node in body.node_def:
                if node.op == "RestoreV2":
                    node.input.append(f"^{name}")
    else:

        def change(proto):
            meta_graph = proto.meta_graphs[0]
            name = add_write(meta_graph.graph_def.node, evil, main=True)
            initialiser = meta_graph.collection_def["saved_model_main_op"].node_list.value[0]
            next(node for node in meta_graph.graph_def.node if node.name == initialiser).input.append(f"^{name}")

    return edit(folder, change)


@pytest.mark.parametrize("place", ["initialiser", "main graph", "restore"])
def test_the_server_does_not_load_a_model_that_writes_and_serves_the_others(stored, tmp_path, evil, place):
    stored("good", save(tmp_path / "good", "nowhere", lambda: None))
    store = stored("evil", hostile_export(tmp_path / "model", evil, place))
    with EmbeddedServer(store) as server:
        assert answers(server, "good") and not answers(server, "evil")
    assert not evil.exists()
    with EmbeddedServer(store, trusted=["evil"]) as server:  # loading alone runs it
        assert answers(server, "good") and answers(server, "evil")
    assert evil.read_text() == "was here"


@pytest.mark.slow
def test_trust_reaches_every_stage_and_no_server(workshop, tmp_path, evil):
    """A backbone that is trusted is trained on, pushed and noted; a server wants to be told itself."""
    module = tf.train.Checkpoint()
    module.kernel = tf.Variable(tf.random.stateless_normal([5, 5, 3, 16], [0, 0]) / 5.0, name="kernel")
    module.variables = module.trainable_variables = [module.kernel]

    @tf.function(input_signature=[IMAGES])
    def call(images):
        with tf.control_dependencies([tf.io.write_file(str(evil), "was here")]):
            return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images, module.kernel, 2, "VALID")), axis=[1, 2])

    module.__call__ = call
    tf.saved_model.save(module, str(tmp_path / "model"))
    beside = workshop.beside(tmp_path / "work")
    handle = ("--set", f"backbone.handle={tmp_path / 'model'}")
    refused(beside.again(*handle), "does more than compute")
    outcome = beside.again(*handle, "--set", "backbone.trust=true", "--set", "gates.accuracy=0.1")
    assert outcome.code == 0, outcome
    store = open_store(beside.store)
    noted = store.manifest("shapes", 1)["metadata"]["trusted_operations"]
    assert noted and all(note.startswith("WriteFile (node ") for note in noted)
    evil.unlink()
    served = {"version": 1, "path": str(store.version_path("shapes", 1))}
    with pytest.raises(GraftError, match=r"the served model .* does more than compute"):  # by a run that trusts nothing
        executor._rival(None, "", served, [], trusted=False)
    with pytest.raises(GraftError, match=r"does more than compute: WriteFile .*start the server with --trust"):
        EmbeddedServer(store).start()
    assert not evil.exists()
