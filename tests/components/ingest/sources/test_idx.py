"""IDX pairs: the PNG they become, and damage."""

import gzip
import io
import os
import struct

import numpy as np
import pytest
import tensorflow as tf
from ingest_request import request
from PIL import Image

from graft.components.ingest.preflight import check_source
from graft.components.ingest.sources.base import load
from graft.models.errors import GraftError
from graft.models.inputs.image.decoding import decode_image
from graft.models.inputs.image.png import encode_png


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def pair(tmp_path):
    """Writes 120 images with labels 0 and 1; returns the pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 7, 5), dtype=np.uint8)
    (tmp_path / "images").write_bytes(idx(pixels))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(idx(np.arange(120, dtype=np.uint8) % 2)))
    return pixels


def options(path, **pair):
    names = {"images": "images", "labels": "labels.gz"} | pair
    return {"source": "idx", "path": str(path), "pairs": [names], "target": {"class_names": ["no", "yes"]}}


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (3, 9, 3), (200, 400, 3)])
def test_png_holds_the_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    encoded = encode_png(pixels.tobytes(), shape[1], shape[0], *(shape[2:] or (1,)))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded))), pixels)
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, -1)
    assert np.array_equal(decode_image(tf.constant(encoded)).numpy(), expected)


def test_pair_is_ingested(pair, ingest, tmp_path):
    result = ingest(**options(tmp_path))
    assert result.summary.classes == ["no", "yes"] and result.summary.used_count == 120
    for row in result.rows("train"):
        number = int(row["file"].decode().split("#")[1])
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(row["input"]))), pair[number])
        assert row["label"] == (b"no", b"yes")[number % 2]


def test_pair_with_its_own_split(pair, ingest, tmp_path):
    other = np.random.default_rng(1).integers(0, 256, (40, 7, 5), dtype=np.uint8)
    (tmp_path / "test-images").write_bytes(idx(other))
    (tmp_path / "test-labels").write_bytes(idx(np.arange(40, dtype=np.uint8) % 2))
    data = options(tmp_path)
    data["pairs"].append({"images": "test-images", "labels": "test-labels", "split": "test"})
    splits = ingest(**data, split={"eval": 0.3, "test": 0.0}).split_of()
    assert {split for file, split in splits.items() if file.startswith("test-")} == {"test"}
    assert {split for file, split in splits.items() if not file.startswith("test-")} == {"train", "eval"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images", b"\x89PNG....", "images: is no IDX file of unsigned bytes"),
        ("images", b"\0\0", "images: ends too early: 4 bytes were to follow, 2 do"),
        ("images", idx(np.zeros((5, 4, 4), np.uint8)), "images: holds 5 images, but labels.gz holds 120 labels"),
        ("images", idx(np.zeros((120, 4, 4), np.uint8))[:-1], "images: ends too early: 1920 bytes .*, 1919 do"),
        ("images", gzip.compress(idx(np.zeros((120, 4, 4), np.uint8))[:-1]), "images: ends too early: 16 bytes .*, 15"),
        ("images", struct.pack(">HBB3I", 0, 8, 3, 120, 2**22, 2**22), "images: ends too early: 2111062325329920 bytes"),
        (
            "images",
            gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 120, 2**22, 2**22)),
            r"images: has images of 4194304 x 4194304 pixels; 1 to 50000000 in all \(input.max_pixels\) fit",
        ),
        ("images", idx(np.zeros((120, 4, 0), np.uint8)), "images: has images of 0 x 4 pixels; 1 to"),
        ("labels.gz", struct.pack(">HBBI", 0, 8, 1, 2**32 - 1), "labels.gz: ends too early: 4294967295 bytes"),
        ("images", idx(np.zeros((120, 4, 4, 2), np.uint8)), "has dimensions"),
        ("labels.gz", idx(np.zeros((120, 1), np.uint8)), "labels have one"),
        (
            "labels.gz",
            gzip.compress(idx(np.zeros(120, np.uint8)), mtime=0)[:-20],
            "labels.gz: (is damaged|ends too early)",
        ),
    ],
    # gzip writes the time into its header: ids of contents would not be the same in two processes.
    ids=lambda part: part if isinstance(part, str) else "content",
)
def test_damage(pair, ingest, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GraftError, match=message):
        ingest(**options(tmp_path))


def test_labels_are_read_piece_by_piece(pair, tmp_path, monkeypatch):
    """A header may announce 4 billion labels; as many bytes must not be asked for."""
    asked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: asked.append(size) or read(self, size))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 2**32 - 1) + bytes(100)))
    with pytest.raises(GraftError, match=r"labels.gz: ends too early: 65536 bytes .*, 100 do"):
        list(load(request(**options(tmp_path)), str(tmp_path)).entries())
    assert max(asked) < 10**5


def test_images_without_end(pair, tmp_path):
    """A gzip of a million images of one pixel takes a kilobyte."""
    count = 10**6
    (tmp_path / "images").write_bytes(gzip.compress(idx(np.zeros((count, 1, 1), np.uint8))))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(idx(np.zeros(count, np.uint8))))
    (chunk,) = load(request(**options(tmp_path)), str(tmp_path)).chunks()
    with pytest.raises(GraftError, match=r"images: announces 1000000 images, which \d+ bytes cannot hold"):
        next(chunk.read())


def test_a_fifo(pair, tmp_path):
    (tmp_path / "labels.gz").unlink()
    os.mkfifo(tmp_path / "labels.gz")
    with pytest.raises(GraftError, match=r"labels.gz: is a FIFO, not a regular file"):
        check_source(request(**options(tmp_path)))


def test_missing_file(pair, tmp_path):
    with pytest.raises(GraftError, match="none: No such file"):
        check_source(request(**options(tmp_path, labels="none")))


def test_fashion_mnist_is_counted(graft_data):
    names = {"images": "t10k-images-idx3-ubyte.gz", "labels": "t10k-labels-idx1-ubyte.gz"}
    data = options(graft_data / "fashion_mnist", **names) | {"target": None}
    assert set(check_source(request(**data)).classes.values()) == {1000}
