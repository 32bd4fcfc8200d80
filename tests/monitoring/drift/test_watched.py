"""References are found in the store once, and kept."""

import pickle
import shutil
import time

import pytest
from drift_samples import MODEL, make_store, reference

from graft.models.errors import GraftError
from graft.monitoring.drift.watched import References


@pytest.fixture
def references(tmp_path) -> References:
    make_store(tmp_path)
    return References(tmp_path / "drift", str(tmp_path / "store"), MODEL)


def test_a_version_brings_what_reads_its_requests(references):
    watched = references.get(1)
    assert watched.reference == reference() and abs(watched.pushed - time.time()) < 3600
    assert watched.input.signature_name == "text" and watched.target.answer_name == "probabilities"
    assert watched.watch(b"one two")["words"] == 2 and references.get(1) is watched


def test_it_is_copied_and_may_go_to_another_process(references, tmp_path):
    references.get(1)
    shutil.rmtree(tmp_path / "store")
    other = pickle.loads(pickle.dumps(references))
    assert other.get(1).reference == reference() and other.get(1).pushed == references.get(1).pushed


def test_what_is_missing_is_said_why(references):
    assert references.get(2) is None and references.get(2) is None
    assert references.missing[2].startswith("version 2 is not in the store ")


def test_a_damaged_reference_is_told(references, tmp_path):
    references.get(1)
    (tmp_path / "drift" / "references" / "1.json").write_text('{"pushed": 1, "reference": {"schema": 1}}')
    with pytest.raises(GraftError, match=r"references/1.json: no reference of Graft"):
        References(tmp_path / "drift", str(tmp_path / "store"), MODEL).get(1)


def test_a_store_without_the_model_is_checked_without_a_fault(references, tmp_path):
    references.check()
    shutil.rmtree(tmp_path / "store" / MODEL)
    references.check()
