"""Files of earlier stages that are cut or damaged: one line with file and remedy."""

import json

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.stored import reading
from graft.models.targets import KINDS, make_target
from graft.models.task import check_same_names, load_split

TARGET = make_target(KINDS.options("label")(), ["cat", "dog"])


@pytest.fixture
def features(tmp_path):
    """A features artifact of one split."""
    folder = tmp_path / "Split-train"
    folder.mkdir()
    np.save(folder / "features.npy", np.zeros((10, 4), np.float32))
    np.save(folder / "labels.npy", np.arange(10))
    (tmp_path / "names.json").write_text(json.dumps(["cat", "dog"]))
    return tmp_path


def test_whole_files_are_read(features):
    split = load_split(features, "train")
    assert split.features.shape == (10, 4) and list(split.targets) == list(range(10))
    check_same_names(features, TARGET)


@pytest.mark.parametrize("name", ["features.npy", "labels.npy"])
@pytest.mark.parametrize(
    "change", [lambda old: b"", lambda old: old[:-8], lambda old: old[:60], lambda old: b"x" * 200]
)
def test_a_damaged_array_is_named(features, name, change):
    path = features / "Split-train" / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(
        GraftError, match=rf"{name}: damaged or cut \(.+\); run again with --from features, which writes"
    ):
        load_split(features, "train")


def test_arrays_that_do_not_belong_together(features):
    np.save(features / "Split-train" / "labels.npy", np.arange(9))
    with pytest.raises(GraftError, match=r"labels.npy: damaged or cut \(\[9\] labels for features of \[10, 4\]\)"):
        load_split(features, "train")


def test_an_array_of_objects_is_not_unpickled(features):
    np.save(features / "Split-train" / "labels.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(GraftError, match=r"labels.npy: damaged or cut .*allow_pickle"):
        load_split(features, "train")


@pytest.mark.parametrize("text", ["", '["cat"', "[" * 100_000, '"\\ud800'])
def test_a_damaged_list_of_names(features, text):
    (features / "names.json").write_text(text)
    with pytest.raises(GraftError, match=r"names.json: damaged or cut \("):
        check_same_names(features, TARGET)


def test_missing_files_and_errors_of_ours(features):
    (features / "names.json").unlink()
    with pytest.raises(GraftError, match=r"names.json: missing; the features stage writes it"):
        check_same_names(features, TARGET)
    with pytest.raises(GraftError, match=r"^told$"), reading("x", "features"):
        raise GraftError("told")


def test_damaged_predictions_and_summary(tmp_path):
    from graft.components.ingest.summary import read_rejected, read_summary
    from graft.components.predict import predictions

    for name, read, stage in (
        ("predictions.npz", predictions.load, "predict"),
        ("summary.json", read_summary, "ingest"),
        ("rejected.jsonl", read_rejected, "ingest"),
    ):
        for content in (b"{", b"PK\x03\x04" + bytes(100)):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(GraftError, match=rf"{name}: damaged or cut \(.+\); run again with --from {stage}"):
                read(str(tmp_path))
