"""WebP and TIFF from file to Example, and that the client sends the server the same pixels."""

import hashlib
import io

import numpy as np
import pytest
import tensorflow as tf
from ingest_request import request
from PIL import Image
from small_inputs import pictures

from graft.components.ingest.splits import assign_split
from graft.models.inputs.image import convert
from graft.models.inputs.image.decoding import decode_image
from graft.models.inputs.image.preview import thumbnail
from graft.serving.client import Client

SIZE = (40, 24)


def photo(seed: int, kind: str) -> bytes:
    """A smooth picture, sideways by its orientation, lossy where the format can be, every third with alpha."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (4, 5, 4), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    (image if seed % 3 == 0 else image.convert("RGB")).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.fixture
def folder(make_folder):
    """Two classes of 60 PNG files, each with 12 WebP and 12 TIFF files beside them."""
    root = make_folder({"cat": 60, "dog": 60})
    for label, first in (("cat", 0), ("dog", 1000)):
        for seed in range(first, first + 24):
            kind = convert.FORMATS[seed % 2]
            (root / label / f"{seed}.{kind.lower()}").write_bytes(photo(seed, kind))
    return root


@pytest.mark.slow
def test_converted_files_keep_identity_split_and_pixels(folder, ingest):
    result = ingest(source="image_folder", path=folder)
    assert result.rejected == {} and result.summary.used_count == 168
    fractions = request(source="image_folder", path="unused").data.split
    converted = 0
    for split in ("train", "eval", "test"):
        for row in result.rows(split):
            original = (folder / row["file"].decode()).read_bytes()
            digest = hashlib.sha256(original).digest()
            assert row["sha256"].decode() == digest.hex()
            assert split == assign_split(digest, eval_fraction=fractions.eval, test_fraction=fractions.test)
            if row["format"] == b"PNG":
                continue
            converted += 1
            assert row["format"].decode() == row["file"].decode().rsplit(".")[-1].upper()
            assert (row["width"], row["height"]) == SIZE
            assert row["input"].startswith(b"\x89PNG")
            assert decode_image(tf.constant(row["input"])).shape == (*SIZE, 3), (
                "upright: width and height change places"
            )
            assert thumbnail(row["input"]).startswith("data:image/png;base64,")
    assert converted == 48


@pytest.mark.slow
def test_client_sends_the_pixels_that_were_trained_on(folder, ingest):
    result = ingest(source="image_folder", path=folder)
    rows = [row for split in ("train", "eval", "test") for row in result.rows(split) if row["format"] != b"PNG"]
    sent = []

    def record(inputs, **_):
        sent.extend(inputs["image_bytes"])
        raise KeyboardInterrupt

    with Client("127.0.0.1:1", "any", max_batch=len(rows), takes=pictures((8, 8))) as client:
        client.predict = record
        with pytest.raises(KeyboardInterrupt):
            client.predict_contents([(folder / row["file"].decode()).read_bytes() for row in rows])
    assert len(sent) == len(rows) == 48
    for row, image in zip(rows, sent, strict=True):
        np.testing.assert_array_equal(decode_image(tf.constant(image)), decode_image(tf.constant(row["input"])))


def test_copies_are_told_by_the_bytes_of_the_file(folder, ingest):
    (folder / "dog" / "same file.webp").write_bytes((folder / "cat" / "0.webp").read_bytes())
    (folder / "cat" / "broken.webp").write_bytes(photo(0, "WEBP")[:200])
    (folder / "cat" / "broken.tif").write_bytes(photo(1, "TIFF")[:-200])
    rejected = {file: row["reason"] for file, row in ingest(source="image_folder", path=folder).rejected.items()}
    assert rejected == {
        "cat/0.webp": "label_conflict",
        "dog/same file.webp": "label_conflict",
        "cat/broken.webp": "corrupt",
        "cat/broken.tif": "corrupt",
    }
