"""CSV: columns, splits, slices and damage."""

import collections
import os
import re

import pytest
from ingest_request import request

from graft.components.ingest.preflight import check_source
from graft.components.ingest.sources.base import load
from graft.models.errors import GraftError


@pytest.fixture
def table(make_folder):
    """Writes labels.csv beside 60 cats and 60 dogs."""
    root = make_folder({"cat": 60, "dog": 60})

    def write(header="path,label", row="{path},{label}", name="labels.csv", extra="", encoding="utf-8"):
        lines = [header]
        for number, path in enumerate(sorted(root.glob("*/*.png"))):
            place = {"path": path.relative_to(root), "label": path.parent.name, "number": number, "site": number % 3}
            lines.append(row.format(**place))
        (root / name).write_text("\n".join(lines) + "\n" + extra, encoding=encoding)
        return root / name

    return write


def test_plain_table(table, ingest):
    result = ingest(source="csv", path=table())
    assert len(result.split_of()) == 120 and not result.rejected
    assert result.summary.classes == ["cat", "dog"]


def test_extra_columns_become_slices_and_splits_are_kept(table, ingest):
    path = table("image,kind,subset,site,height", "{path},{label},{number},s{site},9")
    lines = path.read_text().splitlines()
    names = ["train", "validation", "test"]
    named = [lines[0]] + [line.replace(f",{i},", f",{names[i % 3]},") for i, line in enumerate(lines[1:])]
    path.write_text("\n".join(named))
    columns = {"input": "image", "split": "subset"}
    result = ingest(source="csv", path=path, columns=columns, target={"column": "kind"}, slices=["site"])
    for number, split in enumerate(("train", "eval", "test")):
        rows = result.rows(split)
        assert len(rows) == 40
        assert {row["site"] for row in rows} == {f"s{number}".encode()}
        assert {row["height"] for row in rows} == {6}  # ingestion's own, not the table's
        assert "subset" not in rows[0] and "kind" not in rows[0]


def test_every_image_has_every_slice(table, ingest):
    path = table("path,label,site", "{path},{label},s{number}")
    lines = path.read_text().splitlines()
    ends = [",left", ",left\0", ",", "", f",{'x' * 1001}", ",two lines"]  # a row may end before its last column
    rows = [re.sub(r",s(\d+)$", lambda match: ends[int(match[1]) % 6], line) for line in lines[1:]]
    path.write_text("\n".join([lines[0], *rows]))
    result = ingest(source="csv", path=path, slices=["site"])
    found = collections.Counter(row["site"] for split in ("train", "eval", "test") for row in result.rows(split))
    assert found == {b"left": 40, b"": 60, b"two lines": 20}


def test_rows_that_cannot_be_used_are_rejected_one_by_one(table, ingest):
    extra = "cat/none.png,cat,train\ncat/00000.png,,train\ncat/00001.png,cat,holdout\n,cat,train\n"
    result = ingest(source="csv", path=table("path,label,split", "{path},{label},", extra=extra))
    assert sorted((file, row["reason"]) for file, row in result.rejected.items()) == [
        ("", "unreadable"),
        ("cat/00000.png", "unknown_label"),
        ("cat/00001.png", "bad_split"),
        ("cat/none.png", "unreadable"),
    ]


def test_same_image_in_two_named_splits(table, ingest):
    extra = "cat/00000.png,cat,train\ncat/00000.png,cat,test\n"
    result = ingest(source="csv", path=table("path,label,split", "{path},{label},", extra=extra))
    assert result.split_of()["cat/00000.png"] == "test"
    assert set(result.summary.rejected) == {"split_conflict"}


def test_absolute_paths_tabs_bom_and_quotes(make_folder, ingest):
    root = make_folder({"cat": 40, "dog": 40})
    rows = [f'"{path}"\t"{path.parent.name}, small"' for path in sorted(root.glob("*/*.png"))]
    (root / "t.tsv").write_text("path\tlabel\n" + "\n".join(rows), encoding="utf-8-sig")
    result = ingest(source="csv", path=root / "t.tsv")
    assert result.summary.classes == ["cat, small", "dog, small"]


def test_path_that_is_no_text(make_folder, ingest, encode, tmp_path):
    root = make_folder({"cat": 40, "dog": 40})
    (root / "labels.csv").write_bytes(
        b"path,label\n"
        + b"".join(b"%s,%s\n" % (bytes(p.relative_to(root)), p.parent.name.encode()) for p in sorted(root.glob("*/*")))
        + b"cat/\xff.png,cat\n"
    )
    with open(bytes(root) + b"/cat/\xff.png", "wb") as file:  # noqa: PTH123
        file.write(encode(900))
    assert "cat/\\xff.png" in ingest(source="csv", path=root / "labels.csv").split_of()


def test_integer_labels_index_class_names(table, ingest):
    path = table(row="{path},{label}")
    path.write_text(path.read_text().replace(",cat", ",0").replace(",dog", ",1"))
    assert ingest(source="csv", path=path, target={"class_names": ["Cat", "Dog"]}).summary.classes == ["Cat", "Dog"]
    assert ingest(source="csv", path=path).summary.classes == ["0", "1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        ("file,label\na,b\n", {}, "data.columns.input is 'path'; there are file, label"),
        ("path,class\na,b\n", {}, "target.column is 'label'; there are class, path"),
        ("path,label\na,b\n", {"slices": ["site"]}, r"data.slices\[0\] is 'site'"),
        ("path,label\na,b,c\n", {}, r"line 2: 3 fields, but 2 columns \(path, label\)"),
        ("path,label,path\na,b,c\n", {}, "two columns have one name"),
        ("", {}, "no such column"),
        ("path,label\n" + "a" * 200_000 + ",b\n", {}, "not CSV: field larger"),
        ('path,label\n"' + "a,b\n" * 50_000, {}, "not CSV: field larger"),  # a quote that is not closed
        ("path,label\n" + "," * 2_000_000, {}, "not CSV: line 2 has more than 1048576 characters"),
        (",".join(f"column{n}" for n in range(10_000)), {}, "no such column: .{,2000} and 9950 more$"),
    ],
)
def test_damage_is_an_error_everywhere(tmp_path, ingest, text, data, message):
    (tmp_path / "labels.csv").write_text(text)
    options = {"source": "csv", "path": str(tmp_path / "labels.csv")} | data
    with pytest.raises(GraftError, match=message):
        check_source(request(**options))
    with pytest.raises(GraftError, match=message):
        ingest(**options)


def test_missing_file(tmp_path):
    source = load(request(source="csv", path="x"), str(tmp_path / "none.csv"))
    with pytest.raises(GraftError, match=r"none.csv: No such file or directory; it must be a CSV file"):
        list(source.chunks())


def test_a_name_that_no_file_system_can_spell(tmp_path):
    (tmp_path / "labels.csv").write_text('path,label\n"a\0b",cat\n"' + "n" * 5000 + '",dog\n')
    (chunk,) = load(request(source="csv", path="x"), str(tmp_path / "labels.csv")).chunks()
    null, long = chunk.read()
    assert null.reason == long.reason == "unreadable"
    assert "embedded null" in null.detail and long.detail == "File name too long"


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    for path, message in ((tmp_path / "labels.csv", "is a FIFO"), (tmp_path, "is a folder"), ("/dev/zero", "a device")):
        with pytest.raises(GraftError, match=f"{message}, not a regular file; it must be a CSV file"):
            list(load(request(source="csv", path="x"), str(path)).chunks())
