"""Texts: from tables and files, through the text input, with words of texts."""

import pytest
import tensorflow as tf
from ingest_request import request

from graft.components.ingest import sample
from graft.components.ingest.preflight import check_source
from graft.components.ingest.sources.base import load
from graft.components.ingest.sources.columns import content_of
from graft.models import examples
from graft.models.errors import GraftError

TEXT = {"input": {"kind": "text"}}
ODD = 'she said: "no, ""never"",\r\nand\nleft"\u2028 \u732b'


def sentence(number: int) -> str:
    return f'number {number}, and\na second "line" caf\u00e9'


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture
def table(tmp_path):
    """table(count, *lines) writes a CSV of that many texts of two classes, with a BOM, and further lines."""

    def write(count=60, *lines, encoding="utf-8-sig", end="\n"):
        rows = [f"{quoted(sentence(n))},{'good' if n % 2 else 'bad'},s{n % 3}" for n in range(count)]
        path = tmp_path / "reviews.csv"
        path.write_bytes(end.join(["text,label,site", *rows, *lines, ""]).encode(encoding))
        return path

    return write


def contents(result) -> dict[str, bytes]:
    """file -> content, over all splits."""
    return {
        row["file"].decode(): row["input"]
        for split in ("train", "eval", "test")
        for row in examples.read_examples(examples.split_files(str(result.examples), split), ("file", "input"))
    }


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_of_texts(table, ingest, end):
    result = ingest(source="csv", path=table(end=end), slices=["site"], **TEXT)
    assert contents(result) == {f"reviews.csv#{n}": sentence(n).encode() for n in range(60)}
    assert result.summary.unit == "texts" and not result.rejected
    row = result.rows("train")[0]
    assert {"characters", "words", "site", "label"} < set(row) and not {"width", "format", "text"} & set(row)


def test_quotes_commas_and_line_breaks_survive_over_many_chunks(table, ingest):
    lines = [f"{quoted(ODD + str(n))},good,x" for n in range(2300)]
    result = ingest(source="csv", path=table(60, *lines), **TEXT)
    assert result.summary.used_count == 2360
    assert contents(result)["reviews.csv#2359"] == (ODD + "2299").encode()
    source = load(request(source="csv", path=str(table(60, *lines)), **TEXT), str(table(60, *lines)))
    assert [chunk.size for chunk in source.chunks()] == [1000, 1000, 360]


def test_texts_that_are_not_used_are_told_one_by_one(table, ingest):
    path = table(60, '"  ",good,x', f"{'x' * 300},good,x", "twice,good,x", "twice,bad,x", "no label,,x")
    path.write_bytes(path.read_bytes() + b"caf\xe9 au lait,good,x\n")
    result = ingest(source="csv", path=path, input={"kind": "text", "max_bytes": 200})
    assert {file.split("#")[1]: row["reason"] for file, row in result.rejected.items()} == {
        **{"60": "empty", "61": "too_large", "62": "label_conflict", "63": "label_conflict"},
        **{"64": "unknown_label", "65": "not_utf8"},
    }
    assert set(result.summary.reasons) == set(result.summary.rejected)
    assert result.summary.reasons["not_utf8"] == "the bytes are not UTF-8"


def test_long_texts_are_no_error_of_the_table(table, ingest):
    result = ingest(source="csv", path=table(60, f"{quoted('word and ' * 50_000)},good,x"), **TEXT)
    assert [row["reason"] for row in result.rejected.values()] == ["too_large"]


def test_an_error_names_the_line_of_its_row(table, ingest):
    path = table(1200, "a,b,c,d")
    for read in (lambda: ingest(source="csv", path=path, **TEXT), lambda: check_source(_asked(path))):
        with pytest.raises(GraftError, match=r"reviews.csv, line 2402: 4 fields, but 3 columns \(text, label, site\)"):
            read()


def _asked(path):
    return request(source="csv", path=str(path), **TEXT)


@pytest.mark.slow
def test_parquet_and_tfrecord_give_what_the_table_gives(table, ingest, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    expected = sorted(contents(ingest(source="csv", path=table(), **TEXT)).values())
    labels = ["good" if n % 2 else "bad" for n in range(60)]
    for name, texts in (
        ("text", [sentence(n) for n in range(60)]),
        ("bytes", [sentence(n).encode() for n in range(60)]),
    ):
        pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / f"{name}.parquet")
        result = ingest(source="parquet", path=tmp_path / f"{name}.parquet", **TEXT)
        assert sorted(contents(result).values()) == expected
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for number, label in enumerate(labels):
            example = tf.train.Example()
            example.features.feature["text"].bytes_list.value.append(sentence(number).encode())
            example.features.feature["label"].bytes_list.value.append(label.encode())
            writer.write(example.SerializeToString())
    result = ingest(source="tfrecord", path=tmp_path / "a.tfrecord", **TEXT)
    assert sorted(contents(result).values()) == expected


def test_text_files_in_class_folders(tmp_path, ingest):
    for number in range(60):
        folder = tmp_path / "data" / ("good" if number % 2 else "bad")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").write_text(sentence(number), encoding="utf-8")
    result = ingest(source="image_folder", path=tmp_path / "data", **TEXT)
    assert sorted(contents(result).values()) == sorted(sentence(n).encode() for n in range(60))


def test_the_quick_check_and_the_sample_speak_of_texts(table, tmp_path):
    asked = _asked(table())
    assert check_source(asked).classes == {"bad": 30, "good": 30}
    assert sample.sample_contents(asked, 3) == [sentence(n).encode() for n in range(3)]
    (tmp_path / "empty.csv").write_text("text,label\n")
    with pytest.raises(GraftError, match="no labelled text; labels are read from 'label'"):
        check_source(_asked(tmp_path / "empty.csv"))


def test_arrays_are_no_texts(tmp_path):
    pairs = [{"images": "i", "labels": "l"}]
    (tmp_path / "i").write_bytes(b"\0\0\x08\x03" + b"\0\0\0\x01" * 3 + b"x")
    (tmp_path / "l").write_bytes(b"\0\0\x08\x01" + b"\0\0\0\x01" + b"\0")
    (chunk,) = load(request(source="idx", path=str(tmp_path), pairs=pairs, **TEXT), str(tmp_path)).chunks()
    with pytest.raises(GraftError, match="i: holds arrays, which are no texts"):
        list(chunk.read())


def test_a_lone_surrogate_is_the_inputs_to_refuse():
    asked = request(source="parquet", path="x", **TEXT)
    assert content_of("a\ud800b", asked) == b"a\xed\xa0\x80b"
    assert content_of("caf\udce9", asked) == b"caf\xe9"
    assert content_of("path.png", request(source="parquet", path="x")) is None
