"""The order of the records and the splits are of the content, whatever lists the images."""

import csv
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_inputs import pictures

from graft.models import datasets
from graft.models.batch_statistics import BatchStatistics
from graft.models.examples import split_files

SPLITS = ("train", "eval", "test")


def sequence(result, split: str, *features: str) -> list[tuple]:
    return [tuple(row[name] for name in features) for row in result.rows(split)]


@pytest.fixture
def kinds(make_folder, tmp_path):
    """The same images as class folders, as a CSV in mixed order, and as two TFRecord files in another one."""
    root = make_folder({"ant": 50, "bee": 40, "cow": 4})
    (root / "ant" / "a copy.png").write_bytes((root / "ant" / "00007.png").read_bytes())
    files = sorted(root.glob("*/*.png"))
    random.Random(0).shuffle(files)
    with (root / "all.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows((path.relative_to(root), path.parent.name) for path in files)
    (tmp_path / "records").mkdir()
    for number in range(2):
        with tf.io.TFRecordWriter(str(tmp_path / "records" / f"{number}.tfrecord")) as records:
            for path in files[number::2]:
                example = tf.train.Example()
                example.features.feature["image"].bytes_list.value.append(path.read_bytes())
                example.features.feature["label"].bytes_list.value.append(path.parent.name.encode())
                records.write(example.SerializeToString())
    return {"image_folder": root, "csv": root / "all.csv", "tfrecord": tmp_path / "records"}


@pytest.mark.slow
def test_folders_csv_and_tfrecord_give_the_same_sequences(kinds, ingest):
    folder, *others = (ingest(source=source, path=path) for source, path in kinds.items())
    for split in SPLITS:
        expected = sequence(folder, split, "sha256", "label", "input")
        assert expected == sorted(expected)
        for other in others:
            assert sequence(other, split, "sha256", "label", "input") == expected
    for other in others:
        assert (other.summary.used, other.summary.duplicates) == (folder.summary.used, 1)
    shards = {split: len(list((folder.examples / f"Split-{split}").iterdir())) for split in SPLITS}
    assert shards == dict.fromkeys(SPLITS, 1)


@pytest.mark.slow
def test_borders_of_shards_are_of_the_content(kinds, ingest, monkeypatch):
    monkeypatch.setattr("graft.components.ingest.shards.SHARD_BYTES", 2000)
    monkeypatch.setattr("graft.components.ingest.sources.base.MIN_CHUNK", 7)
    counts = []
    for source, path in kinds.items():
        train = ingest(source=source, path=path).examples / "Split-train"
        paths = [str(path) for path in sorted(train.iterdir())]
        counts.append([sum(1 for _ in tf.data.TFRecordDataset(path)) for path in paths])
    assert counts[0] == counts[1] == counts[2] and len(counts[0]) > 3


def test_the_first_images_hold_every_class(make_folder, ingest):
    labels = dict.fromkeys("abcdef", 40)
    result = ingest(source="image_folder", path=make_folder(labels), split={"eval": 0.2, "test": 0.2})
    for split in SPLITS:
        assert set(sequence(result, split, "label")[:32]) == {(label.encode(),) for label in labels}


@pytest.fixture
def shades(tmp_path):
    """Folders of ten classes, each of a brightness of its own, and a CSV that lists the images in mixed order."""
    rng = np.random.default_rng(0)
    paths = []
    for level in range(10):
        (tmp_path / "shades" / f"level {level}").mkdir(parents=True)
        for number in range(40):
            path = tmp_path / "shades" / f"level {level}" / f"{number}.png"
            Image.fromarray(rng.integers(25 * level, 25 * level + 25, (8, 8, 3), dtype=np.uint8)).save(path)
            paths.append(path)
    random.Random(0).shuffle(paths)
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in paths]
    (tmp_path / "all.csv").write_text("\n".join(["path,label", *rows]))
    return {"image_folder": tmp_path / "shades", "csv": tmp_path / "all.csv"}


def train_split(result, batch_size: int) -> datasets.InputSplit:
    files = split_files(str(result.examples), "train")
    levels = [int(row["label"].decode().removeprefix("level ")) for row in result.rows("train")]
    return datasets.InputSplit(files, pictures((8, 8), (0, 255)), {"targets": np.array(levels)}, batch_size)


@pytest.mark.slow
def test_a_small_shuffle_buffer_gives_batches_of_many_classes(shades, ingest, monkeypatch):
    monkeypatch.setattr(datasets, "_SHUFFLE_BYTES", 1000)  # about four images
    split = train_split(ingest(source="image_folder", path=shades["image_folder"]), batch_size=32)
    (epoch,) = split.shuffled(0, 1, 0)
    levels = [batch["targets"].numpy() for batch in epoch]
    mixed = [len(set(found)) for found in levels if len(found) == 32]
    assert len(mixed) > 5 and min(mixed) > 5  # 9.7 of 10 on average; one or two where the source's order stood


@pytest.mark.slow
def test_batch_statistics_are_of_the_data_not_of_the_listing(shades, ingest):
    found = []
    for source, path in shades.items():
        norm = keras.layers.BatchNormalization(momentum=0.99, name="norm")
        model = keras.Sequential([keras.Input((8, 8, 3)), norm])
        split = train_split(ingest(source=source, path=path), batch_size=4)
        inputs = (batch["inputs"] for batch in split.ordered())
        BatchStatistics(model, model.variables, split.spec["inputs"]).estimate(inputs)
        found.append((norm.moving_mean.numpy(), norm.moving_variance.numpy()))
    np.testing.assert_array_equal(found[0], found[1])
    mean, variance = found[0]
    # All brightnesses are in: 125 on average, and most of the variance (250^2 / 12) is that between classes.
    np.testing.assert_allclose(mean, 125, atol=30)
    assert (variance > 250**2 / 12 / 2).all()
