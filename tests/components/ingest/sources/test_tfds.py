"""A data set that TFDS itself prepared on disk, read without its code, without TFDS and without a network."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from ingest_request import request

from graft.components.ingest.preflight import check_source
from graft.models.errors import GraftError

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
    report = check_source(request(source="tfds", path=str(prepared), name="pets"))
    assert report.classes == {"cat": 50, "dog": 50} and report.splits == {"train": 60, "eval": 20, "test": 20}


TRAIN = "pets-train.tfrecord-00000-of-00001"


def edited(**changes):
    """Changes keys of a JSON file."""
    return lambda old: json.dumps(json.loads(old) | changes).encode()


def split(**changes):
    """Changes keys of each split."""

    def change(old: bytes) -> bytes:
        content = json.loads(old)
        content["splits"] = [row | changes for row in content["splits"]]
        return json.dumps(content).encode()

    return change


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (TRAIN, lambda old: old[:-20], r"record 59 cannot be read: truncated record"),
        (TRAIN, lambda old: old[:700] + b"xxxxxx" + old[706:], r"record \d+ cannot be read: corrupted record"),
        (TRAIN, lambda old: old + old[: 12 + int.from_bytes(old[:8], "little") + 4], "holds 61 records, but .* 60"),
        ("features.json", lambda old: old[:-20], "pets/1.0.0: cannot be opened: .*; dataset_info.json and features"),
        ("features.json", lambda old: b"{}", "pets/1.0.0: cannot be opened: no 'featuresDict'; "),
        ("features.json", lambda old: b"[" * 100_000, "cannot be opened: .*recursion"),
        ("features.json", lambda old: b"\xff", "cannot be opened: features.json: 'utf-8' codec"),
        ("features.json", edited(featuresDict=3), "cannot be opened: featuresDict holds 3, not a mapping"),
        ("features.json", edited(featuresDict={"features": {"image": 3}}), "feature 'image' holds 3, not a mapping"),
        ("dataset_info.json", lambda old: b"{words", "pets/1.0.0: cannot be opened: dataset_info.json: Expecting"),
        ("dataset_info.json", lambda old: b"[]", "cannot be opened: dataset_info.json holds .., not a mapping"),
        ("dataset_info.json", edited(fileFormat="riegeli"), "its files are of format 'riegeli'; tfrecord is read"),
        ("dataset_info.json", edited(splits=3), "cannot be opened: 'int' object is not iterable"),
        ("dataset_info.json", split(name=3), "a split is named 3"),
        ("dataset_info.json", split(shardLengths=["x"]), "cannot be opened: invalid literal for int"),
        ("dataset_info.json", split(shardLengths=[2**60]), f"{2**60} records, which \\d+ bytes cannot hold"),
        ("dataset_info.json", split(shardLengths=[-1]), "-1 records"),
        ("dataset_info.json", split(shardLengths=["30", "30"]), "pets-train.tfrecord-00000-of-00002: no such file"),
        ("dataset_info.json", split(shardLengths=["59"]), "train.*: holds 60 records, but dataset_info.json .* 59"),
        ("dataset_info.json", split(filepathTemplate="../{DATASET}"), "'../pets', which does not lie there"),
        ("dataset_info.json", split(filepathTemplate="/etc/{SPLIT}"), "'/etc/train', which does not lie there"),
        ("dataset_info.json", split(filepathTemplate="{SPLIT.__class__}"), "no such file"),
        ("dataset_info.json", split(filepathTemplate="{HOME}"), "cannot be opened: no 'HOME'"),
    ],
)
def test_damage(prepared, tmp_path, ingest, name, change, message):
    shutil.copytree(prepared / "pets", tmp_path / "pets")
    path = tmp_path / "pets" / "1.0.0" / name
    path.write_bytes(change(path.read_bytes()))
    data = {"source": "tfds", "path": str(tmp_path), "name": "pets"}
    with pytest.raises(GraftError, match=message):
        check_source(request(**data))
    with pytest.raises(GraftError, match=message):
        ingest(**data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "dogs"}, "no data set 'dogs' prepared there; there must be .*dogs/<version>/dataset_info.json"),
        ({"name": "pets", "target": {"column": "species"}}, "target.column is 'species'; there are image, label"),
    ],
)
def test_errors(prepared, data, message):
    with pytest.raises(GraftError, match=message):
        check_source(request(source="tfds", path=str(prepared), **data))


def rename_class(folder, feature: str, name: str) -> None:
    path = folder / "pets" / "1.0.0" / "features.json"
    content = json.loads(path.read_text())
    content["featuresDict"]["features"][feature]["pythonClassName"] = name
    path.write_text(json.dumps(content))


def test_a_feature_of_another_class_is_named_and_its_module_is_not_imported(prepared, tmp_path):
    """TFDS itself imports whatever module stands there."""
    shutil.copytree(prepared / "pets", tmp_path / "pets")
    (tmp_path / "attack.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    rename_class(tmp_path, "label", "attack.Evil")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from graft.components.ingest.preflight import check_source
from graft.components.ingest.request import make_request
from graft.components.ingest.sources import parse_options
from graft.models.errors import GraftError
try:
    check_source(make_request(parse_options({{"source": "tfds", "path": {str(tmp_path)!r}, "name": "pets"}})))
except GraftError as error:
    print(error)
assert not [name for name in sys.modules if name.startswith("tensorflow_datasets")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "feature 'label' is of 'attack.Evil'; read are Image, ClassLabel, " in done.stdout
    assert not (tmp_path / "ran").exists()
    rename_class(tmp_path, "label", "tensorflow_datasets.core.features.audio_feature.Audio")
    with pytest.raises(GraftError, match="feature 'label' is of 'Audio'; read are Image, "):
        check_source(request(source="tfds", path=str(tmp_path), name="pets"))


def test_features_that_are_not_read_may_be_of_any_class(prepared, tmp_path, ingest):
    shutil.copytree(prepared / "pets", tmp_path / "pets")
    rename_class(tmp_path, "site", "attack.Evil")
    result = ingest(source="tfds", path=tmp_path, name="pets")
    assert result.summary.used_count == 100 and "site" not in result.rows("test")[0]


def test_a_record_without_a_feature_that_is_used(prepared, tmp_path):
    shutil.copytree(prepared / "pets", tmp_path / "pets")
    path = tmp_path / "pets" / "1.0.0" / "features.json"
    path.write_text(path.read_text().replace('"site"', '"town"'))
    with pytest.raises(
        GraftError, match=r"record 0 has no feature 'town', which features.json announces; there are image, "
    ):
        check_source(request(source="tfds", path=str(tmp_path), name="pets", slices=["town"]))


def test_what_becomes_a_slice(tmp_path):
    """Numbers and texts as TFDS gives them; lists, pictures and packed tensors are none."""
    from graft.components.ingest.sources.base import load

    class Many(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        url_infos: dict = {}
        _generate_examples = None

        def _info(self):
            kinds = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
                "night": tfds.features.Scalar(np.bool_),
                "shade": tfds.features.Scalar(np.float32),
                "year": np.int64,
                "box": tfds.features.BBoxFeature(),
                "parts": tfds.features.Sequence(np.int64),
                "place": {"town": tfds.features.Text()},
                "mask": tfds.features.Image(shape=(None, None, 1)),
                "packed": tfds.features.Tensor(shape=(2,), dtype=np.float32, encoding="zlib"),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(kinds))

        def _split_generators(self, _):
            pixels = np.zeros((6, 8, 3), np.uint8)
            row = {"image": pixels, "label": 1, "night": True, "shade": 0.5, "year": 2024}
            row |= {"box": tfds.features.BBox(0.0, 0.0, 1.0, 1.0), "parts": [7], "place": {"town": "Ulm"}}
            return {"train": [(0, row | {"mask": pixels[:, :, :1], "packed": np.zeros(2, np.float32)})]}

    Many(data_dir=str(tmp_path)).download_and_prepare()
    options = request(source="tfds", path=str(tmp_path), name="many")
    ((item,),) = ((*chunk.read(),) for chunk in load(options, str(tmp_path)).chunks())
    assert item.about.value == ("dog",) and item.content.startswith(b"\x89PNG")
    assert item.about.columns == {"night": "True", "shade": "0.5", "year": "2024"}
