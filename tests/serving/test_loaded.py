"""A model in this process: what a server would answer, from paths, bytes, arrays and texts."""

import io
import pathlib
import threading

import grpc
import numpy as np
import pytest
from PIL import Image

from graft.models.errors import GraftError
from graft.serving import contents
from graft.serving.client import Client
from graft.serving.loaded import load
from graft.serving.predictor import PredictionError
from graft.serving.store import open_store

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


@pytest.fixture(scope="module")
def folder_store(models, tmp_path_factory):
    """A store with two versions of `images` in name, and `texts`."""
    opened = open_store(tmp_path_factory.mktemp("loaded") / "store")
    for name in ("images", "texts"):
        opened.push(name, models[name], {})
    return opened


@pytest.fixture(scope="module")
def images(folder_store):
    with load(folder_store, "images") as model:
        yield model


@pytest.fixture(scope="module")
def photos(png, tmp_path_factory):
    """A folder with three images, one of them below, among other things."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a2.png").write_bytes(png(BLUE))
    (folder / "a10.PNG").write_bytes(png(GREEN))
    (folder / "below").mkdir()
    Image.open(io.BytesIO(png(RED))).save(folder / "below" / "red.webp", lossless=True)
    for name in ("notes.txt", ".hidden.png", ".thumbs/x.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no image")
    return folder


def test_it_answers_as_a_server_does(images, server, png, photos):
    contents = [png(RED), png(GREEN), (photos / "below" / "red.webp").read_bytes()] * 30
    with Client(server.grpc_address, "images") as client:
        served = client.predict_contents(contents)
    here = images.predict(contents)
    assert [one.outputs for one in here] == [one.outputs for one in served]
    assert [one.row for one in here] == list(range(90)) and {one.request_id for one in here} == {""}
    assert images.predict([]) == [] == images.predict_contents([])


def test_files_folders_and_arrays(images, photos):
    found = images.predict(photos)
    assert [(one.file.relative_to(photos).as_posix(), one.label) for one in found] == [
        ("a2.png", "cheese"),
        ("a10.PNG", "bread"),
        ("below/red.webp", "apple"),
    ]
    assert images.predict([str(photos / "a2.png"), photos / "below"])[1].label == "apple"
    pixels = np.stack([np.full((8, 8, 3), colour, np.uint8) for colour in (RED, BLUE)])
    assert [one.label for one in images.predict(pixels)] == ["apple", "cheese"]
    assert [one.outputs for one in images.predict([pixels[1]])] == [found[0].outputs], "as the file of these pixels"
    assert images.predict(pixels[0, :, :, 0])[0].file is None, "grey"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("absent.png", r"absent.png\): No such file"),
        (np.zeros((8, 8, 3), np.float32), "received an array of float32; allowed: uint8"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"the array has dimensions \(8, 8, 4\) for each"),
        (3, "received int; allowed: the path of a file or folder, its bytes, an array of uint8"),
        (b"no image", "image 0: .*Unknown image file format"),
    ],
)
def test_what_it_cannot_use_is_named(images, what, said):
    with pytest.raises(GraftError, match=said):
        images.predict([what])


def test_a_bad_file_is_named_and_the_others_have_an_outcome(images, photos, png):
    bad = photos.parent / "broken.png"
    bad.write_bytes(png(RED)[:30])
    with pytest.raises(PredictionError, match=r"broken\.png: image 1: "):
        images.predict([photos / "a2.png", bad, photos / "a10.PNG"])
    contents = [png(BLUE), bad.read_bytes(), PredictionError("not read"), b"RIFF....WEBP", png(RED)]
    outcomes = list(images.outcomes(iter(contents)))
    assert [getattr(one, "label", None) for one in map(_or_none, outcomes)] == ["cheese", None, None, None, "apple"]
    assert [one.place for one in outcomes if isinstance(one, PredictionError)] == [1, None, 3]


def test_an_error_names_its_file_once(tmp_path):
    absent, called_image = tmp_path / "absent.png", pathlib.Path("image")
    [unread] = contents.read([absent])
    assert str(unread) == f"{absent}: No such file or directory" and unread.of_file(absent) is unread
    refused = PredictionError("image 3: too large", grpc.StatusCode.INVALID_ARGUMENT, 3, "id")
    named = refused.of_file(called_image)
    assert str(named) == "image: image 3: too large", "the reason begins as the path does"
    assert (named.code, named.place, named.request_id) == (refused.code, 3, "id") and named.of_file(absent) is named


def _or_none(outcome):
    return None if isinstance(outcome, PredictionError) else outcome


def test_a_str_is_a_text_for_a_model_of_texts_and_a_path_is_a_file(folder_store, tmp_path):
    (tmp_path / "one.txt").write_text("zwölf")
    with load(folder_store, "texts") as texts:
        short, from_file = texts.predict(["one", tmp_path / "one.txt"])
        assert (short.values["bytes"], from_file.values["bytes"]) == (3.0, 6.0)
        with pytest.raises(PredictionError, match="the array holds arrays, which are no texts"):
            texts.predict(np.zeros((2, 2), np.uint8))


def test_threads_may_share_it(images, png):
    answers = {}

    def ask(colour):
        answers[colour] = {one.label for one in images.predict([png(colour)] * 20)}

    threads = [threading.Thread(target=ask, args=(colour,)) for colour in (RED, GREEN, BLUE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {RED: {"apple"}, GREEN: {"bread"}, BLUE: {"cheese"}}


def test_the_served_version_unless_another_is_named(models, linear, tmp_path):
    store = open_store(tmp_path / "store")
    for slope in (1.0, 2.0):
        store.push("linear", linear(tmp_path / f"{slope}", slope, 0.0), {})
    store.rollback("linear")
    with load(tmp_path / "store") as served, load(tmp_path / "store", "linear", 2) as newest:
        assert (served.version, newest.version) == (1, 2) and "version 1, of" in repr(served)
        with pytest.raises(PredictionError, match="model linear takes x; contents can be sent to a model with one"):
            served.predict(b"x")
    store.push("texts", models["texts"], {})
    for args, said in (
        ((), r"holds 2 models \(linear, texts\); say which one to ask"),
        (("fish",), "no model fish; there are: linear, texts"),
        (("linear", 7), "7"),
    ):
        with pytest.raises(GraftError, match=said):
            load(store, *args)


def test_a_damaged_version_is_not_loaded(models, tmp_path):
    store = open_store(tmp_path / "store")
    store.push("texts", models["texts"], {})
    path = store.version_path("texts", 1) / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(GraftError, match="texts version 1 is damaged: "):
        load(store)
