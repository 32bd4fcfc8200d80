"""A data set that TFDS itself prepared on disk, read without its code and without a network."""

import shutil

import numpy as np
import pytest

from components.ingest.options import DataOptions
from components.ingest.preflight import check_source
from models.errors import GraftError

tfds = pytest.importorskip("tensorflow_datasets")


class Pets(tfds.core.GeneratorBasedBuilder):
    """60 + 20 + 20 images of two classes."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos: dict = {}  # nothing to download; left to itself, TFDS 4.9.10 asks for a package that it does not require

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "site": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, _):
        return {"train": self._rows(0, 60), "validation": self._rows(60, 80), "test": self._rows(80, 100)}

    _generate_examples = None

    def _rows(self, start, stop):
        for seed in range(start, stop):
            pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
            yield seed, {"image": pixels, "label": seed % 2, "site": f"s{seed % 3}"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder that holds `pets/1.0.0`."""
    folder = tmp_path_factory.mktemp("tfds")
    Pets(data_dir=str(folder)).download_and_prepare()
    return folder


def test_splits_names_and_slices(prepared, ingest):
    result = ingest(source="tfds", path=prepared, name="pets", slices=["site"])
    assert result.summary.used == {
        "train": {"cat": 30, "dog": 30},
        "eval": {"cat": 10, "dog": 10},
        "test": {"cat": 10, "dog": 10},
    }
    row = result.rows("test")[0]
    assert row["file"].startswith(b"test#") and row["format"] == b"PNG" and row["site"] in (b"s0", b"s1", b"s2")


def test_groups(prepared, ingest):
    result = ingest(source="tfds", path=prepared, name="pets", columns={"split": None}, group="site")
    found = {split: {row["group"] for row in result.rows(split)} for split in ("train", "eval", "test")}
    assert sorted(group for groups in found.values() for group in groups) == [b"s0", b"s1", b"s2"]


def test_quick_check(prepared):
    report = check_source(DataOptions(source="tfds", path=str(prepared), name="pets"))
    assert report.classes == {"cat": 50, "dog": 50} and report.splits == {"train": 60, "eval": 20, "test": 20}


TRAIN = "pets-train.tfrecord-00000-of-00001"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (TRAIN, lambda old: old[:-20], r"pets/1.0.0: row \d+ of split train.* cannot be read: truncated record"),
        (TRAIN, lambda old: old[:700] + b"xxxxxx" + old[706:], "of split train.* cannot be read: corrupted record"),
        ("features.json", lambda old: old.replace(b"site", b"town"), "row 0 of split train.*: Feature: town"),
        ("features.json", lambda old: old[:-20], "pets/1.0.0: cannot be opened: .*; dataset_info.json and features"),
        ("features.json", lambda old: b"{}", "pets/1.0.0: cannot be opened: "),
        ("dataset_info.json", lambda old: b"{words", "pets/1.0.0: cannot be opened: Failed to load JSON"),
    ],
)
def test_damage(prepared, tmp_path, ingest, name, change, message):
    shutil.copytree(prepared / "pets", tmp_path / "pets")
    path = tmp_path / "pets" / "1.0.0" / name
    path.write_bytes(change(path.read_bytes()))
    data = {"source": "tfds", "path": str(tmp_path), "name": "pets"}
    with pytest.raises(GraftError, match=message):
        check_source(DataOptions(**data))
    with pytest.raises(GraftError, match=message):
        ingest(**data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "dogs"}, "no data set 'dogs' prepared there; there must be .*dogs/<version>/dataset_info.json"),
        ({"name": "pets", "columns": {"label": "species"}}, "data.columns.label is 'species'; there are image, label"),
    ],
)
def test_errors(prepared, data, message):
    with pytest.raises(GraftError, match=message):
        check_source(DataOptions(source="tfds", path=str(prepared), **data))
