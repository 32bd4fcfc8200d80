"""The dry run's way over the data ends where ingestion ends: same counts, same refusals, same errors."""

import dataclasses
import io
import subprocess
import sys

import pytest
from ingest_request import request
from PIL import Image

from graft.components.ingest import rehearsal
from graft.components.ingest.rehearsal import rehearse
from graft.models.errors import GraftError

OF_THE_PROCESS = {"seconds": 0.0, "peak_rss": 0, "bytes": 0}
"""What differs from run to run; ingestion stores some images in another encoding, of another size."""


@pytest.fixture
def agree(ingest):
    """agree(**data) -> the rehearsal, whose summary and refusals are those of a real ingestion."""

    def compare(**data):
        result = ingest(**data)
        found = rehearse(request(**(data | {"path": str(data["path"])})))
        assert dataclasses.replace(found.summary, **OF_THE_PROCESS) == dataclasses.replace(
            result.summary, **OF_THE_PROCESS
        )
        assert sorted(map(tuple, found.rejected)) == sorted(tuple(row.values()) for row in result.rejected.values())
        return found

    return compare


@pytest.mark.slow
def test_a_folder_with_all_that_can_be_wrong(make_folder, encode, agree):
    root = make_folder({"cat": 20, "dog": 20, "emu": 2})
    whole = encode(77)
    for name, content in {
        "cat/copy of one.png": encode(0),  # a duplicate
        "dog/the same.png": encode(1),  # and under another class
        "cat/empty.jpg": b"",
        "cat/page.png": b"<!doctype html>",
        "dog/cut.png": whole[: len(whole) // 2],
        "dog/nested/deep one.webp": webp(),
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    found = agree(source="image_folder", path=root)
    assert found.summary.duplicates == 1 and found.summary.unmeasured == {"emu": ["eval"]}
    assert set(found.summary.rejected) == {"label_conflict", "empty", "unknown_type", "corrupt"}
    assert found.verified == found.admitted == 46, "each whose header was good was unpacked"


def webp() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (10, 200, 30)).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def test_groups_and_named_splits(make_folder, agree):
    root = make_folder({"cat": 40, "dog": 40})
    lines = ["path,label,patient,split"]
    for number, path in enumerate(sorted(root.glob("*/*.png"))):
        split = "test" if number == 7 else ("train", "val", "", "train", "test")[number // 4 % 5]
        lines.append(f"{path.relative_to(root)},{path.parent.name},p{number // 4},{split}")
    (root / "all.csv").write_text("\n".join([*lines, "gone.png,cat,p1,train", "x.png,,p2,nowhere"]))
    found = agree(source="csv", path=root / "all.csv", group="patient")
    assert found.summary.rejected == {"split_conflict": 3, "unreadable": 2}


def test_a_target_domain_without_labels(make_folder, tmp_path, encode, agree):
    root = make_folder({"cat": 30, "dog": 30})
    (tmp_path / "production").mkdir()
    for number in range(30):
        (tmp_path / "production" / f"{number}.png").write_bytes(encode(9000 + number))
    second = {"source": "image_folder", "path": str(tmp_path / "production")}
    found = agree(source="image_folder", path=root, second=second, adapts=True)
    assert sum(counts.get("unlabelled", 0) for counts in found.summary.domains.values()) == 30


@pytest.mark.slow
def test_what_only_ingestion_saw_is_refused_with_reasons(make_folder, encode):
    root = make_folder({"cat": 9})
    (root / "dog").mkdir()
    for number in range(9):
        (root / "dog" / f"{number}.png").write_bytes(encode(500 + number)[:60])
    with pytest.raises(GraftError, match=r"one class only \('cat'\).*9 images were rejected: 9 corrupt"):
        rehearse(request(source="image_folder", path=str(root)))


@pytest.mark.slow
def test_unpacking_ends_at_a_bound_that_is_told(make_folder, encode, monkeypatch):
    root = make_folder({"cat": 200, "dog": 200})
    (root / "dog" / "zz cut.png").write_bytes(encode(1000)[:60])
    asked = request(source="image_folder", path=str(root))
    assert rehearse(asked).summary.rejected == {"corrupt": 1}
    monkeypatch.setattr(rehearsal, "_VERIFIED_COST", 100 * 48 / asked.input.BATCH_COST)
    found = rehearse(asked)
    assert not found.summary.rejected and (found.verified, found.admitted) == (64, 401)
    assert found.summary.used_count == 401, "counted by their headers"


def test_the_sample_is_of_training_examples_and_hangs_on_their_content_alone(make_folder, encode, ingest, monkeypatch):
    root = make_folder({"cat": 60, "dog": 60})
    (root / "dog" / "a.webp").write_bytes(webp())
    (root / "dog" / "cut.png").write_bytes(encode(1000)[:60])
    found = rehearse(request(source="image_folder", path=str(root)), sample=True).train
    result = ingest(source="image_folder", path=root)
    train = {row["sha256"].decode() for row in result.rows("train")}
    assert {one.digest.hex() for one in found} == train, "no other split is in it"
    assert rehearse(request(source="image_folder", path=str(root))).train == (), "none was asked for"
    for folder in root.iterdir():  # listed the other way round
        for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
            path.rename(path.with_stem(f"renamed{number:03d}"))
    assert rehearse(request(source="image_folder", path=str(root)), sample=True).train == found
    late = rehearse(request(source="image_folder", path=str(root)), sample=True, unpack=False)
    assert (late.train, late.verified) == (found, 0), "what was not unpacked on the way is proven afterwards"
    monkeypatch.setattr(rehearsal, "_HELD", 30)
    few = rehearse(request(source="image_folder", path=str(root)), sample=True).train
    assert few == found[: len(few)] and 10 < len(few) <= 30, "of large data too"


def test_texts_are_rehearsed_without_tensorflow(tmp_path):
    rows = "\n".join(f"text number {n},{'ab'[n % 2]}" for n in range(60))
    (tmp_path / "t.csv").write_text(f"text,label\n{rows}\n")
    code = (
        "import sys; from graft.components.ingest import sources; from graft.components.ingest.request import *;"
        "from graft.components.ingest.rehearsal import rehearse; from graft.models import inputs;"
        f"data = sources.parse_options({{'source': 'csv', 'path': {str(tmp_path / 't.csv')!r}}});"
        "found = rehearse(make_request(data, inputs.parse_options({'kind': 'text'})));"
        "print(found.summary.used_count, [n for n in ('tensorflow', 'apache_beam', 'tfx') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "60 []"
