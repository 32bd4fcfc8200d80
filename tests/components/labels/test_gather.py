"""What belongs to an example is found beside one another, and what does not belong together is refused."""

import pathlib

import numpy as np
import pytest
from label_artifacts import COUNTS, name, target, write

from graft.components.labels.gather import gather, labelled
from graft.models.errors import GraftError


def gathered(folders: dict[str, str]):
    return gather(folders["features"], folders["predictions"], folders["examples"], target())


@pytest.mark.parametrize("cached_test", [False, True])
def test_all_splits_stand_beside_one_another(tmp_path, cached_test):
    parts, why_no_test = gathered(write(tmp_path, cached_test=cached_test))
    assert {part.split: len(part.vectors) for part in parts} == COUNTS and why_no_test == ""
    assert [part.files[5] for part in parts] == [name(split, 5) for split in COUNTS]
    assert parts[0].groups[4] == parts[0].groups[5] != parts[0].groups[6] and not any(parts[2].groups)
    together = labelled(parts)
    assert together.vectors.shape == (100, 32) and together.learned.tolist() == [True] * 80 + [False] * 20
    np.testing.assert_allclose(together.vectors[80], 1.01 * together.vectors[0], rtol=1e-6)


def test_vectors_of_another_network_are_not_compared(tmp_path):
    parts, why_no_test = gathered(write(tmp_path, moved=True))
    assert [part.split for part in parts] == ["train", "eval"] and "backbone was trained on" in why_no_test


def test_a_model_without_vectors_leaves_the_test_split_out(tmp_path):
    folders = write(tmp_path)
    pathlib.Path(folders["predictions"], "vectors.npz").unlink()
    parts, why_no_test = gathered(folders)
    assert len(parts) == 2 and "no feature vectors" in why_no_test


def test_artifacts_of_other_examples_are_refused(tmp_path):
    folders = write(tmp_path)
    pathlib.Path(folders["features"], "Split-train", "files.json").unlink()
    with pytest.raises(GraftError, match=r"files.json: missing; the features stage writes it"):
        gathered(folders)
    folders = write(tmp_path / "other")
    shard = pathlib.Path(folders["examples"], "Split-test", "data-00000-of-00001")
    shard.write_bytes(pathlib.Path(folders["examples"], "Split-eval", shard.name).read_bytes())
    with pytest.raises(GraftError, match="is not of the test split"):
        gathered(folders)
