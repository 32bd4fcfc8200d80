"""Statistics without Beam are those of TFX's StatisticsGen with it."""

import json
import pathlib

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import executor as of_tfx
from tfx.types import standard_artifacts

from graft.components.beam import LOCAL_BEAM_ARGS
from graft.components.statistics.executor import Executor
from graft.components.tfdv import read_statistics
from graft.models.errors import GraftError
from graft.models.examples import build

FEATURES = ["label", "width", "format", "camera", "never"]
SPLITS = ("train", "eval", "test")


def rows(split: str) -> list[bytes]:
    """700 examples of one class or none, 40 of several, 9 of two numbers or none."""
    if split == "test":
        return [build(b"x", (n / 7, n * n) if n % 4 else (), f"{n}", b"\0" * 32, {}, numbers=True) for n in range(9)]
    count = {"train": 700, "eval": 40}[split]

    def label(n: int) -> tuple[str, ...]:
        return ("cat", "dog", "cow")[: n % 3] if split == "train" else ("cat", f"rare-{n}")

    return [
        build(b"content", label(n), f"{n}.png", b"\1" * 32, {"width": n % 90, "format": "png"}, {"camera": f"{n % 7}"})
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """An artifact of three splits, the first in two files."""
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.span = str(tmp_path_factory.mktemp("examples")), 4
    artifact.split_names = json.dumps(SPLITS)
    for split in SPLITS:
        found, folder = rows(split), pathlib.Path(artifact.uri, f"Split-{split}")
        folder.mkdir()
        parts = (found[:500], found[500:]) if split == "train" else (found,)
        for number, part in enumerate(parts):
            with tf.io.TFRecordWriter(str(folder / f"data-{number}.gz"), "GZIP") as file:
                for record in part:
                    file.write(record)
    return artifact


def statistics(folder: pathlib.Path) -> standard_artifacts.ExampleStatistics:
    artifact = standard_artifacts.ExampleStatistics()
    artifact.uri = str(folder)
    return artifact


PROPERTIES = {"stats_options_json": tfdv.StatsOptions(feature_allowlist=FEATURES).to_json()}


@pytest.mark.slow
def test_every_split_has_the_statistics_of_tfx(examples, tmp_path):
    ours, theirs = statistics(tmp_path / "ours"), statistics(tmp_path / "theirs")
    Executor().Do({"examples": [examples]}, {"statistics": [ours]}, dict(PROPERTIES))
    context = of_tfx.Executor.Context(beam_pipeline_args=list(LOCAL_BEAM_ARGS), tmp_dir=str(tmp_path), unique_id="1")
    of_tfx.Executor(context).Do({"examples": [examples]}, {"statistics": [theirs]}, dict(PROPERTIES))
    assert (ours.split_names, ours.span) == (theirs.split_names, theirs.span) == (examples.split_names, 4)
    for split, count in zip(SPLITS, (700, 40, 9), strict=True):
        here, there = read_statistics(ours, split), read_statistics(theirs, split)
        assert here.num_examples == count and [f.path.step[0] for f in here.features]
        for one in (here, there):
            one.features.sort(key=lambda feature: feature.path.step[0])
        assert here == there


def test_a_split_without_examples_has_statistics_of_nothing(examples, tmp_path):
    empty = standard_artifacts.Examples()
    empty.uri, empty.split_names = str(tmp_path / "examples"), json.dumps(["train"])
    path = tmp_path / "examples" / "Split-train" / "data-0.gz"
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path), "GZIP"):
        pass
    made = statistics(tmp_path / "statistics")
    Executor().Do({"examples": [empty]}, {"statistics": [made]}, dict(PROPERTIES))
    assert read_statistics(made, "train") == statistics_pb2.DatasetFeatureStatistics()


def test_a_damaged_file_is_named(tmp_path):
    broken = standard_artifacts.Examples()
    broken.uri, broken.split_names = str(tmp_path / "examples"), json.dumps(["train"])
    path = tmp_path / "examples" / "Split-train" / "data-0.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no records")
    with pytest.raises(GraftError, match=f"{path}: "):
        Executor().Do({"examples": [broken]}, {"statistics": [statistics(tmp_path / "s")]}, dict(PROPERTIES))
    assert not (tmp_path / "s").exists()
