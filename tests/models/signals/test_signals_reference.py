"""A reference is read as it was written; anything else is one line that says what is wrong."""

import dataclasses
import json

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.signals.histogram import Categories, Numbers
from graft.models.signals.reference import FILE, Reference
from graft.models.signals.vectors import Vectors


def made() -> Reference:
    signals = {
        "brightness": Numbers.fit("brightness", "0 to 255", [0.1, 1 / 3, 200.0, None]),
        "predicted": Categories.fit("predicted", ["caf\u00e9", "tea", "tea", "tea"]),
    }
    return Reference(
        signals=signals,
        counts={
            "brightness": signals["brightness"].counts([0.1, 1 / 3, 200.0, None]),
            "predicted": signals["predicted"].counts(["caf\u00e9", "tea", "tea", "tea"]),
        },
        group={"brightness": "input", "predicted": "prediction"},
        rows=4,
        quality={"headline": "accuracy", "mean": 0.75},
        input={"kind": "text"},
        target={"options": {"kind": "label"}, "names": ["caf\u00e9", "tea"], "facts": {}},
    )


def test_vectors_go_with_it_and_older_files_have_none(tmp_path):
    path = tmp_path / FILE
    with_vectors = dataclasses.replace(made(), vectors=Vectors.of(np.float32([[1.5, -2], [0, 3e-8]])))
    with_vectors.save(path)
    assert Reference.load(path) == with_vectors and path.read_bytes() == Reference.load(path).encode()
    held = json.loads(made().encode())
    del held["vectors"]
    path.write_text(json.dumps(held))
    assert Reference.load(path) == made()
    held["vectors"] = with_vectors.vectors.to_json() | {"rows": 3}
    path.write_text(json.dumps(held))
    with pytest.raises(GraftError, match="damaged: vectors are not 3 rows of 2 columns"):
        Reference.load(path)


def test_what_is_saved_is_loaded_and_equal_ones_have_equal_bytes(tmp_path):
    path = tmp_path / FILE
    made().save(path)
    assert Reference.load(path) == made()
    assert path.read_bytes() == made().encode() == Reference.load(path).encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda held: held.update(schema=2), "schema 2, which a newer Graft wrote; this one reads schema 1"),
        (lambda held: held.pop("schema"), "no reference of Graft"),
        (lambda held: held.pop("rows"), "damaged: rows: Field required"),
        (lambda held: held.update(more=1), "damaged: more: Extra inputs are not permitted"),
        (lambda held: held["counts"]["predicted"].append(1), "damaged: counts of 'predicted' are not 4 rows in 4 bins"),
        (lambda held: held["counts"].pop("predicted"), "do not have the same names"),
        (lambda held: held["signals"]["brightness"]["edges"].reverse(), "damaged: edges of 'brightness'"),
        (lambda held: held["signals"]["brightness"].update(kind="colour"), "damaged: signals.brightness.kind"),
    ],
)
def test_what_is_not_whole_is_refused_by_file_and_fault(tmp_path, change, says):
    path = tmp_path / FILE
    held = json.loads(made().encode())
    change(held)
    path.write_text(json.dumps(held))
    with pytest.raises(GraftError) as caught:
        Reference.load(path)
    assert says in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "says"), [(b"{", "not JSON"), (b"\xff\xfe", "not JSON"), (b"[1]", "no reference of Graft")]
)
def test_other_files_are_refused(tmp_path, written, says):
    path = tmp_path / FILE
    path.write_bytes(written)
    with pytest.raises(GraftError, match=says):
        Reference.load(path)


def test_a_version_without_one_is_told_as_such(tmp_path):
    with pytest.raises(GraftError, match="an older Graft"):
        Reference.load(tmp_path / FILE)


def test_parts_that_do_not_fit_make_no_reference():
    with pytest.raises(ValueError, match="counts of 'brightness' are not 5 rows in 5 bins"):
        dataclasses.replace(made(), rows=5)
