"""`data.target` and examples without labels: what is read, what is refused, and which domain judges."""

import numpy as np
import pytest
from ingest_request import read, request

from graft.components.ingest import preflight
from graft.components.ingest.fingerprint import fingerprint
from graft.models import examples
from graft.models.errors import GraftError

DOMAIN = {"column": "site", "target": "ward"}


@pytest.fixture
def table(make_folder):
    """table(lambda number: (label, site, split)) -> a CSV of 120 images with these columns."""
    root = make_folder({"cat": 60, "dog": 60})

    def write(told):
        lines = []
        for number, path in enumerate(sorted(root.glob("*/*.png"))):
            label, site, split = told(number)
            lines.append(f"{path.relative_to(root)},{path.parent.name if label else ''},{site},{split}")
        (root / "labels.csv").write_text("\n".join(["path,label,site,split", *lines]) + "\n", encoding="utf-8")
        return root / "labels.csv"

    return write


@pytest.fixture
def loose(tmp_path, encode):
    """loose(count, where, first) -> a folder of images without class folders, some of them deeper."""

    def write(count, where="production", first=5000):
        root = tmp_path / where
        (root / "2024" / "may").mkdir(parents=True)
        (root / "README.txt").write_text("no image")
        for number in range(first, first + count):
            folder = root / "2024" / "may" if number % 2 else root
            (folder / f"{number}.png").write_bytes(encode(number))
        return root

    return write


def test_a_label_of_the_target_domain_may_be_missing(table, ingest):
    path = table(lambda n: (n % 4 != 1, "ward" if n % 2 else "web", ""))  # half of the ward's have none
    result = ingest(source="csv", path=path, domain=DOMAIN, adapts=True)
    assert not result.summary.rejected and result.summary.counts["train"] + result.summary.counts["test"] <= 120
    assert sum(found.get("unlabelled", 0) for found in result.summary.domains.values()) == 30
    assert set(result.summary.domains["test"]) == {"source", "target"}, "nothing is judged by what has no label"
    for file, label, domain in read(result, "train", "file", "label", "domain"):
        number = int(file.decode()[4:9])
        assert domain == (b"source" if number % 2 == 0 else b"target" if number % 4 == 3 else b"unlabelled")
        assert label == (() if domain == b"unlabelled" else (file.decode()[:3],))
    with_labels = {int(file.decode()[4:9]) % 4 for (file,) in read(result, "test", "file", domain=examples.JUDGED)}
    assert with_labels == {3}
    assert (
        preflight.check_source(request(source="csv", path=str(path), domain=DOMAIN, adapts=True)).splits["train"] > 60
    )


@pytest.mark.parametrize("adapts", [False, True])
def test_elsewhere_a_missing_label_is_refused(table, ingest, adapts):
    path = table(lambda n: (n not in (4, 5), "ward" if n % 2 else "web", ""))
    rejected = ingest(source="csv", path=path, domain=DOMAIN, adapts=adapts).rejected
    wanted = ["cat/00004.png"] if adapts else ["cat/00004.png", "cat/00005.png"]
    assert sorted(rejected) == wanted and {row["reason"] for row in rejected.values()} == {"unknown_label"}


def test_a_folder_of_photos_is_the_target_domain(make_folder, loose, ingest):
    lab = make_folder({"cat": 40, "dog": 40})
    second = {"source": "image_folder", "path": str(loose(30))}
    result = ingest(source="image_folder", path=lab, second=second, adapts=True)
    assert result.summary.domains["train"]["unlabelled"] == 30 and not result.summary.rejected
    assert result.summary.classes == ["cat", "dog"] and result.summary.unmeasured == {}
    files = {file.decode() for (file,) in read(result, "train", "file", domain="unlabelled")}
    assert {"production/5000.png", "production/2024/may/5001.png"} < files and len(files) == 30
    judged = read(result, "test", "domain", domain=examples.JUDGED)
    assert judged == read(result, "test", "domain") and set(judged) == {(b"source",)}
    assert result.summary.judged["test"] == result.summary.strata["test"]["source"]
    assert preflight.check_source(
        request(source="image_folder", path=str(lab), second=second, adapts=True)
    ).classes == {"cat": 40, "dog": 40}


def test_its_place_is_part_of_the_fingerprint(make_folder, loose, encode):
    lab, production = make_folder({"cat": 4, "dog": 4}), loose(4)
    data = {"source": "image_folder", "path": str(lab), "adapts": True}
    asked = request(**data, second={"source": "image_folder", "path": str(production)})
    before = fingerprint(asked)
    (production / "more.png").write_bytes(encode(1))
    assert fingerprint(asked) != before


def test_a_few_labelled_ones_judge(make_folder, loose, ingest, tmp_path, encode):
    lab, production = make_folder({"cat": 40, "dog": 40}), loose(30)
    rows = ["path,label"]
    for number in range(5000, 5010):  # the same photos, now with a label
        folder = "2024/may/" if number % 2 else ""
        rows.append(f"{production}/{folder}{number}.png,{'cat' if number % 3 else 'dog'}")
    (tmp_path / "judged.csv").write_text("\n".join(rows) + "\n")
    second = [
        {"source": "image_folder", "path": str(production)},
        {"source": "csv", "path": str(tmp_path / "judged.csv"), "labelled": True, "split": "test"},
    ]
    result = ingest(source="image_folder", path=lab, second=second, adapts=True)
    assert result.summary.domains["test"]["target"] == 10 and result.summary.domains["train"]["unlabelled"] == 20
    assert result.summary.duplicates == 10 and not result.summary.rejected, "what has a label is not learned from too"
    judged = read(result, "test", "sha256", "domain", domain=examples.JUDGED)
    assert {domain for _, domain in judged} == {b"target"} and len(judged) == 10
    assert not {digest for digest, _ in judged} & {digest for (digest,) in read(result, "train", "sha256")}


def test_what_the_data_has_beside_labels_its_target_has_too(table, loose, ingest):
    path = table(lambda n: (True, "web", ""))
    second = {"source": "image_folder", "path": str(loose(20))}
    result = (
        ingest(source="csv", path=path, slices=["site"], weight="weight", group="g", second=second, adapts=True)
        if (
            path.write_text(
                "\n".join(
                    line + (",g,weight" if number == 0 else f",{number},2.5")
                    for number, line in enumerate(path.read_text().splitlines())
                )
                + "\n"
            )
        )
        else None
    )
    rows = read(result, "train", "domain", "weight", "site", "group")
    assert {row[1:3] for row in rows if row[0] == b"unlabelled"} == {(1.0, b"")}
    assert {row[1:3] for row in rows if row[0] == b"source"} == {(2.5, b"web")}


def test_numbers_without_a_value_keep_their_type(ingest, tmp_path, encode):
    rows = ["path,grams,site"]
    for number in range(60):
        (tmp_path / f"{number}.png").write_bytes(encode(number))
        rows.append(f"{number}.png,{number / 7 if number % 2 else ''},{'web' if number % 2 else 'ward'}")
    (tmp_path / "grams.csv").write_text("\n".join(rows) + "\n")
    target = {"kind": "numbers", "columns": ["grams"]}
    result = ingest(source="csv", path=tmp_path / "grams.csv", target=target, domain=DOMAIN, adapts=True)
    rows = read(result, "train", "label", "domain")
    assert {len(label) for label, domain in rows if domain == b"unlabelled"} == {0}
    values = np.array([label for label, domain in rows if domain == b"source"])
    assert values.shape[1] == 1 and values.std() > 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "adapts a labelled source domain to a target domain; received data of one domain"),
        ({"second": {"source": "image_folder", "path": "s3://x"}}, "is an address; give a local or mounted"),
        (
            {"second": {"source": "csv", "path": "x", "columns": {"images": "y"}}},
            r"data.target\[0\]\.columns\.images: .*; received 'y'$",
        ),
        ({"second": {"source": "csv", "path": "x", "split": "all"}}, "no split 'all'; there are train, eval, test"),
    ],
)
def test_settings_that_cannot_be(make_folder, data, message):
    lab = make_folder({"cat": 4, "dog": 4})
    with pytest.raises((GraftError, ValueError), match=message):
        preflight.check_source(request(source="image_folder", path=str(lab), adapts=True, **data))


def test_data_that_cannot_be(make_folder, loose, ingest, tmp_path):
    lab, production = make_folder({"cat": 40, "dog": 40}), loose(4)
    place = {"source": "image_folder", "path": str(production)}
    data = {"source": "image_folder", "path": lab}
    with pytest.raises(GraftError, match=r"received examples without labels, which this transfer.method cannot learn"):
        ingest(**data, second=place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(GraftError, match=r"both domains need images .source 80, target 0, without labels 0"):
        ingest(**data, second=place | {"path": str(tmp_path / "empty")}, adapts=True)
    cows = make_folder({"cow": 9, "cat": 9}, "others", 900)
    with pytest.raises(GraftError, match=r"the target domain are labelled cow; allowed: .* in train .cat, dog"):
        ingest(**data, second=place | {"path": str(cows), "labelled": True}, adapts=True)
    with pytest.raises(GraftError, match=r"the target domain are labelled cow; allowed"):
        preflight.check_source(
            request(**data | {"path": str(lab)}, second=place | {"path": str(cows), "labelled": True}, adapts=True)
        )


def test_beside_one_domain_what_has_no_label_is_of_its_own(make_folder, loose, ingest):
    lab = make_folder({"cat": 40, "dog": 40})
    place = {"source": "image_folder", "path": str(loose(12))}
    result = ingest(source="image_folder", path=lab, second=place, unlabelled=True)
    assert {name for found in result.summary.domains.values() for name in found} == {"target", "unlabelled"}
    assert len(read(result, "train", "file", domain="target")) + 12 == result.summary.counts["train"]
