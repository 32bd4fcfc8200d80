"""Files that claim what they do not hold, hold what nobody can hold, or lead in circles."""

import gzip
import itertools
import json
import os
import pathlib
import shutil
import subprocess

import pytest
import yaml
from attack_process import caller
from tfrecords import framed

pytestmark = pytest.mark.slow

MEMORY = 2**28
"""What an attack may take beyond the imports: the file's own images are tiny."""


@pytest.fixture(scope="module")
def graft():
    """Runs `graft` and ingestion in processes of their own."""
    return caller()


@pytest.fixture
def config(tmp_path):
    """config(source=..., path=...) -> a configuration file that reads this; its backbone is not there."""

    def write(**data):
        backbone = {"handle": str(tmp_path / "nowhere"), "image_size": [32, 32], "value_range": [0, 1]}
        content = {"name": "attacked", "data": {**data, "path": str(data["path"])}, "backbone": backbone}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "config.yaml"

    return write


@pytest.fixture
def refused(graft, config, tmp_path):
    """refused(parts, **data): dry run, run and ingestion end alike: exit 2, one line, little memory."""

    def check(*parts: str, **data):
        path = config(**data)
        ends = [graft.graft("run", path, "--dry-run"), graft.graft("run", path), graft.ingest(tmp_path / "out", **data)]
        assert all(end.refused(*parts) and end.memory < MEMORY for end in ends), ends

    return check


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_tfrecord_that_claims_an_exabyte(refused, tmp_path, pack):
    path = tmp_path / "claims.tfrecord"
    path.write_bytes(pack(framed(b"x" * 100, 2**60)))
    refused("claims.tfrecord: record 0 cannot be read: truncated record", source="tfrecord", path=path)


def test_a_gzipped_tfrecord_that_unpacks_to_300_mb(graft, config, tmp_path, encode_png):
    """1 MB of zeros in the place of one record: that record is not used, the others are."""
    import tensorflow as tf

    def example(seed: int) -> bytes:
        message = tf.train.Example()
        message.features.feature["image"].bytes_list.value.append(encode_png(seed))
        message.features.feature["label"].bytes_list.value.append((b"cat", b"dog")[seed % 2])
        return framed(message.SerializeToString())

    path = tmp_path / "bomb.tfrecord.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        size = 3 * 10**8
        file.write(framed(b"", size)[:12])
        for _ in range(size // 10**7):
            file.write(bytes(10**7))
        file.write(b"crc ")
        for seed in range(60):
            file.write(example(seed))
    done = graft.ingest(tmp_path / "out", source="tfrecord", path=path)
    assert done.code == 0 and done.memory < MEMORY, done
    summary = json.loads(done.output)
    assert summary["rejected"] == {"too_large": 1} and sum(map(len, summary["used"].values())) == 6


def test_a_parquet_file_of_3_kb_that_names_40_mb_in_each_row(graft, config, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    big = pa.DictionaryArray.from_arrays(pa.array([0] * 140, pa.int32()), pa.array([bytes(40_000_000)], pa.string()))
    path = tmp_path / "a.parquet"
    table = pa.table({"image": pa.array([b"x"] * 140), "label": big})
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=2**30)
    path.write_bytes(path.read_bytes().replace(b"ARROW:schema", b"XRROW:schema"))  # else it is read as a dictionary
    assert path.stat().st_size < 4000
    ends = [graft.graft("run", config(source="parquet", path=path), "--dry-run")]
    ends.append(graft.ingest(tmp_path / "out", source="parquet", path=path))
    for end in ends:
        assert end.refused("a.parquet: reading it takes more than 2048 MiB of memory")
        assert end.memory < 2**31  # the worker's counts too


def test_a_tfds_data_set_that_names_a_module_and_claims_an_exabyte(graft, refused, tmp_path):
    folder = tmp_path / "x" / "1.0.0"
    folder.mkdir(parents=True)
    (graft.folder / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    kind = "tensorflow_datasets.core.features"
    features = {
        "image": {"pythonClassName": f"{kind}.image_feature.Image", "image": {}},
        "label": {"pythonClassName": f"{kind}.class_label_feature.ClassLabel", "classLabel": {"numClasses": "2"}},
        "more": {"pythonClassName": "evil_module.Evil", "jsonFeature": {"json": "{}"}},
    }
    content = {"pythonClassName": f"{kind}.features_dict.FeaturesDict", "featuresDict": {"features": features}}
    (folder / "features.json").write_text(json.dumps(content))
    info = {"name": "x", "version": "1.0.0", "fileFormat": "tfrecord"}
    info["splits"] = [{"name": "train", "shardLengths": ["2"], "numBytes": "2"}]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "x-train.tfrecord-00000-of-00001").write_bytes(framed(b"x" * 100, 2**60))
    refused("00000-of-00001: record 0 cannot be read: truncated record", source="tfds", path=tmp_path, name="x")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def folders(tmp_path, encode_png):
    """A folder of two classes with 30 images each."""
    root = tmp_path / "data"
    for number in range(60):
        label = root / ("cat", "dog")[number % 2]
        label.mkdir(parents=True, exist_ok=True)
        (label / f"{number}.png").write_bytes(encode_png(number))
    return root


def test_46_links_are_not_65_thousand_images(graft, folders, tmp_path):
    pool = [tmp_path / "pool" / str(level) for level in range(16)]
    for folder in pool:
        folder.mkdir(parents=True)
    for folder, deeper in itertools.pairwise(pool):
        for name in ("left", "middle", "right"):
            (folder / name).symlink_to(deeper)
    shutil.copy(folders / "cat" / "0.png", pool[-1])
    (folders / "cat" / "pool").symlink_to(pool[0])
    done = graft.ingest(tmp_path / "out", source="image_folder", path=folders)
    assert done.code == 0, done
    summary = json.loads(done.output)
    assert sum(sum(labels.values()) for labels in summary["used"].values()) == 61 and summary["duplicates"] == 1


def test_one_folder_under_two_classes(refused, folders):
    (folders / "cat" / "dogs").symlink_to(folders / "dog")
    refused("'cat/dogs' and 'dog' are one folder", source="image_folder", path=folders)


def test_folders_deeper_than_a_path_is_long(refused, folders, monkeypatch):
    monkeypatch.chdir(folders / "cat")
    for _ in range(25):
        os.mkdir("d" * 200)  # noqa: PTH102
        monkeypatch.chdir("d" * 200)
    try:
        refused("File name too long", source="image_folder", path=folders)
    finally:
        subprocess.run(["rm", "-rf", str(folders / "cat")], check=True)  # pytest could not remove it


@pytest.mark.parametrize("source", ["image_folder", "csv", "tfrecord", "parquet", "tfds", "idx"])
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_fifo_or_a_device_in_the_place_of_data(graft, config, tmp_path, source, kind):
    path = pathlib.Path("/dev/zero")
    if kind == "fifo":
        path = tmp_path / "fifo"
        os.mkfifo(path)
    more = {"tfds": {"name": "x"}, "idx": {"pairs": [{"images": str(path), "labels": str(path)}]}}
    assert graft.graft("run", config(source=source, path=path, **more.get(source, {})), "--dry-run").refused(
        "data.path"
    )


@pytest.fixture(scope="session")
def encode_png():
    """encode_png(seed) -> a small PNG."""
    import io

    import numpy as np
    from PIL import Image

    def encode(seed: int) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    return encode
