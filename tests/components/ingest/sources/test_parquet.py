"""Parquet: bytes, Hugging Face's layout, row groups and damage."""

import json
import os
import pathlib
import pickle
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_request import request

from graft.components.ingest.preflight import check_source
from graft.models.errors import GraftError


def columns(encode, count=120):
    return {
        "image": [encode(seed) for seed in range(count)],
        "label": [("cat", "dog")[seed % 2] for seed in range(count)],
        "site": [seed % 3 for seed in range(count)],
        "tags": [["a", "b"] for _ in range(count)],
    }


def test_bytes_and_slices(tmp_path, encode, ingest):
    pq.write_table(pa.table(columns(encode)), tmp_path / "a.parquet", row_group_size=50)
    result = ingest(source="parquet", path=tmp_path, slices=["site"])
    assert len(result.split_of()) == 120 == result.summary.used_count
    row = result.rows("test")[0]
    assert row["file"].decode().startswith("a.parquet#") and row["site"] in (b"0", b"1", b"2")
    assert "tags" not in row


def test_rows_are_numbered_through_row_groups_and_chunks(tmp_path, encode, monkeypatch, ingest):
    from graft.components.ingest.sources import parquet

    monkeypatch.setattr(parquet, "MAX_CHUNK", 30)
    pq.write_table(pa.table(columns(encode)), tmp_path / "a.parquet", row_group_size=20)
    result = ingest(source="parquet", path=tmp_path / "a.parquet")
    assert set(result.split_of()) == {f"a.parquet#{number}" for number in range(120)}


def test_hugging_face_layout(tmp_path, encode, ingest):
    plain = columns(encode)
    table = pa.table(
        {
            "image": [{"bytes": encoded, "path": "x.png"} for encoded in plain["image"]],
            "label": [seed % 2 for seed in range(120)],
        }
    )
    info = {"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), tmp_path / "a.parquet")
    assert ingest(source="parquet", path=tmp_path / "a.parquet").summary.classes == ["no", "yes"]


def test_missing_images_and_named_splits(tmp_path, encode, ingest):
    data = columns(encode, 30)
    data["image"] = [*data["image"][:29], None]
    data["split"] = [("train", "dev", "test")[seed % 3] for seed in range(30)]
    pq.write_table(pa.table(data), tmp_path / "a.parquet")
    result = ingest(source="parquet", path=tmp_path / "a.parquet")
    assert result.rejected["a.parquet#29"]["reason"] == "unreadable"
    assert sum(result.summary.used["eval"].values()) == 10


@pytest.mark.slow
def test_groups(tmp_path, encode, ingest):
    data = columns(encode) | {"slide": [None if seed < 20 else seed // 10 for seed in range(120)]}
    data["burst"] = [float("nan") if seed < 20 else seed // 10 for seed in range(120)]
    pq.write_table(pa.table(data), tmp_path / "a.parquet")
    result = ingest(source="parquet", path=tmp_path, group="slide")
    places = {(row["group"], split) for split in ("train", "eval", "test") for row in result.rows(split)}
    assert sorted(group for group, _ in places if group) == sorted(str(n).encode() for n in range(2, 12))
    again = ingest(source="parquet", path=tmp_path, group="burst")
    assert sum(row["group"] == b"" for split in ("train", "eval", "test") for row in again.rows(split)) == 20


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"img": [b"1"], "label": ["a"]}, "data.columns.input is 'image'; there are img, label"),
        ({"image": ["1"], "label": ["a"]}, "column 'image' is of string; it must hold bytes"),
    ],
)
def test_wrong_columns(tmp_path, table, message):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(GraftError, match=message):
        check_source(request(source="parquet", path=str(tmp_path)))


def test_damaged_file(tmp_path, encode, ingest):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns(encode)), path, compression="gzip", use_dictionary=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(GraftError, match=r"a.parquet: not Parquet"):
        ingest(source="parquet", path=path)
    path.write_bytes(whole[:100] + bytes(2000) + whole[2100:])
    with pytest.raises(GraftError, match=r"a.parquet: row \d+ cannot be read"):
        ingest(source="parquet", path=path)


class Payload:
    """What an attacker pickles: loading it makes a folder."""

    def __init__(self, folder: pathlib.Path):
        self._folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self._folder,)


READ = """
import sys
from graft.components.ingest.request import make_request
from graft.components.ingest.sources import parse_options
from graft.components.ingest.preflight import check_source
from graft.components.ingest.sources.parquet import ParquetChunk
from graft.models.errors import GraftError
options = make_request(parse_options({"source": "parquet", "path": sys.argv[1]}))
for read in (lambda: check_source(options), lambda: list(ParquetChunk(sys.argv[1], (0,), 1, 0, options, "").read())):
    try:
        read()
    except GraftError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("content", ["code", "no pickle"])
def test_a_file_that_holds_code_is_refused_and_nothing_runs(tmp_path, content):
    """In a process of its own: Beam loads the hotfix too, and later than the quick check reads the file."""
    mark = tmp_path / "ran"
    pickled = pickle.dumps(Payload(mark)) if content == "code" else b"\xff\x00"
    metadata = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickled}
    schema = pa.schema([pa.field("image", pa.binary(), metadata=metadata), pa.field("label", pa.string())])
    pq.write_table(pa.table({"image": [b"1"], "label": ["a"]}, schema), tmp_path / "a.parquet")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "a.parquet")], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(
        "pickled Python code (arrow.py_extension_type), which is not run" in x for x in lines
    )
    assert not mark.exists()


@pytest.mark.skipif(int(pa.__version__.partition(".")[0]) >= 14, reason="this pyarrow runs no code of a file by itself")
@pytest.mark.parametrize("first", ["import graft", "pass"])
def test_whoever_reads_beside_graft_runs_no_code(tmp_path, first):
    """TFDV, Beam, a package that adds a source: none of them need think of it. Without Graft the code does run."""
    mark, path = tmp_path / "ran", tmp_path / "a.parquet"
    pickled = pickle.dumps(Payload(mark))
    metadata = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickled}
    pq.write_table(pa.table({"x": [b"1"]}, pa.schema([pa.field("x", pa.binary(), metadata=metadata)])), path)
    program = f"{first}\nimport sys, pyarrow.parquet\npyarrow.parquet.read_schema(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert mark.exists() == (first == "pass")
    assert ("Disallowed deserialization of 'arrow.py_extension_type'" in done.stderr) == (first == "import graft")


def test_no_module_of_ours_reads_arrow_without_the_hotfix():
    top = pathlib.Path(__file__).parents[4]
    reads = re.compile(r"^(import|from) pyarrow\b(?!_hotfix)", re.MULTILINE)
    folders = ("components", "kubeflow", "models", "monitoring", "pipeline", "serving")
    files = [path for name in folders for path in (top / name).rglob("*.py")]
    found = [path for path in files if reads.search(path.read_text(encoding="utf-8"))]
    assert found and all("import pyarrow_hotfix" in path.read_text(encoding="utf-8") for path in found)


def repeated(path: pathlib.Path, rows: int, size: int, column: str = "image") -> pathlib.Path:
    """A file whose column holds one value of `size` zeros in a dictionary, named in each row."""
    values = {"image": pa.array([b"x"] * rows), "label": pa.array([("cat", "dog")[row % 2] for row in range(rows)])}
    kind = pa.binary() if column == "image" else pa.string()
    values[column] = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([bytes(size)], kind))
    pq.write_table(pa.table(values), path, compression="zstd", dictionary_pagesize_limit=2**30)
    # Arrow's own schema would say that this is a dictionary; the values are to be plain bytes.
    path.write_bytes(path.read_bytes().replace(b"ARROW:schema", b"XRROW:schema"))
    return path


@pytest.fixture
def small_worker(monkeypatch):
    """To fill the 2 GiB that a worker may take costs seconds."""
    monkeypatch.setattr("graft.components.ingest.worker.MEMORY", 2**28)


@pytest.mark.slow
def test_a_value_that_is_named_in_each_row(tmp_path, ingest, small_worker):
    path = repeated(tmp_path / "a.parquet", 100, 40_000_000)
    assert path.stat().st_size < 5000
    with pytest.raises(GraftError, match=r"a.parquet: reading it takes more than 256 MiB of memory"):
        ingest(source="parquet", path=path)


@pytest.mark.slow
def test_a_file_that_takes_its_reader_down_is_rejected_where_there_are_others(
    tmp_path, encode, ingest, caplog, small_worker
):
    pq.write_table(pa.table(columns(encode)), tmp_path / "good.parquet")
    repeated(tmp_path / "bad.parquet", 100, 40_000_000, "label")
    assert check_source(request(source="parquet", path=str(tmp_path))).classes == {"cat": 60, "dog": 60}
    assert "bad.parquet: reading it takes more than 256 MiB of memory; its images will be rejected" in caplog.text
    result = ingest(source="parquet", path=tmp_path)
    assert result.summary.used_count == 120 and result.summary.rejected == {"unreadable": 100}
    assert set(result.rejected) == {f"bad.parquet#{row}" for row in range(100)}
    assert "takes more than 256 MiB of memory" in result.rejected["bad.parquet#0"]["detail"]


@pytest.mark.slow
def test_a_file_whose_opening_takes_its_reader_down(tmp_path, encode, ingest, monkeypatch):
    """As a defect of the library would: it is listed by its name, for nobody knows how many rows there are."""
    pq.write_table(pa.table(columns(encode)), tmp_path / "good.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"")
    from graft.components.ingest.sources import parquet, parquet_reader

    sizes = parquet_reader.group_sizes
    stream = parquet.worker.stream

    def crashing(function, *arguments):
        bad = function is sizes and arguments[0].endswith("bad.parquet")
        return stream(os.abort) if bad else stream(function, *arguments)

    monkeypatch.setattr(parquet.worker, "stream", crashing)
    result = ingest(source="parquet", path=tmp_path)
    assert result.summary.used_count == 120
    assert result.rejected["bad.parquet"]["detail"].startswith("its reader ended by signal SIGABRT")


@pytest.mark.slow
def test_rows_without_end(tmp_path):
    """A run of 10 million equal labels takes some bytes."""
    rows = 10**7
    table = pa.table({"image": pa.nulls(rows, pa.binary()), "label": pa.array(["a"]).take(pa.array([0] * rows))})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(GraftError, match=r"a.parquet: announces 10000000 rows, which \d+ bytes cannot hold"):
        check_source(request(source="parquet", path=str(tmp_path)))


@pytest.mark.slow
def test_large_images_are_read_a_few_at_a_time(tmp_path):
    from graft.components.ingest.sources.parquet import ParquetChunk

    images = [os.urandom(2**24) for _ in range(5)] + [bytes(100)]
    pq.write_table(pa.table({"image": images, "label": ["a"] * 6}), tmp_path / "a.parquet", compression=None)
    options = request(source="parquet", path=str(tmp_path), input={"max_bytes": 2**24})
    items = list(ParquetChunk(str(tmp_path / "a.parquet"), (0,), 6, 0, options, "").read())
    assert [item.content for item in items] == images
    small = request(source="parquet", path=str(tmp_path), input={"max_bytes": 1000})
    items = list(ParquetChunk(str(tmp_path / "a.parquet"), (0,), 6, 0, small, "").read())
    assert [item.reason for item in items] == ["too_large"] * 5 + [None]


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ("{words", "Expecting property name"),
        ("[" * 10_000, "recursion"),
        ("[]", r"\[\] stands where a mapping with 'info' belongs"),
        ({"info": 3}, "3 stands where a mapping with 'features' belongs"),
        ({"info": {"features": ["label"]}}, "stands where a mapping with 'label' belongs"),
        ({"info": {"features": {"label": {"names": "cat"}}}}, "the names of the classes are cat, not a list of texts"),
        ({"info": {"features": {"label": {"names": [1, {}]}}}}, r"the names of the classes are \[1, \{\}\]"),
    ],
)
def test_hugging_face_metadata_that_is_none(tmp_path, info, message):
    text = info if isinstance(info, str) else json.dumps(info)
    table = pa.table({"image": [b"1"], "label": [0]}).replace_schema_metadata({"huggingface": text})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(
        GraftError, match=f"a.parquet: the metadata 'huggingface' of its schema cannot be read: .*{message}"
    ):
        check_source(request(source="parquet", path=str(tmp_path)))


@pytest.mark.slow
@pytest.mark.parametrize("info", [{}, {"info": None}, {"info": {"features": {"label": {"dtype": "string"}}}}])
def test_hugging_face_metadata_without_names(tmp_path, info, encode, ingest):
    table = pa.table(columns(encode)).replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "a.parquet")
    assert ingest(source="parquet", path=tmp_path).summary.classes == ["cat", "dog"]


def test_text_that_is_no_utf_8(tmp_path):
    label = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    pq.write_table(pa.table({"image": [b"1"], "label": label}), tmp_path / "a.parquet")
    with pytest.raises(GraftError, match=r"a.parquet: row 0 cannot be read: .*utf-8"):
        check_source(request(source="parquet", path=str(tmp_path)))


def test_a_fifo_and_two_columns_of_one_name(tmp_path):
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(GraftError, match=r"a.parquet: not Parquet: .*is a FIFO, not a regular file"):
        check_source(request(source="parquet", path=str(tmp_path)))
    (tmp_path / "a.parquet").unlink()
    table = pa.Table.from_arrays([pa.array([b"1"]), pa.array(["a"]), pa.array(["b"])], ["image", "label", "label"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(GraftError, match=r"a.parquet: two columns have one name"):
        check_source(request(source="parquet", path=str(tmp_path)))
