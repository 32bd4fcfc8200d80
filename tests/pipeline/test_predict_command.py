"""`graft predict`: without a server and with one, its formats, and files that cannot be used."""

import csv
import io
import json
import pathlib

import pytest
from PIL import Image
from small_models import save_images, save_texts

from graft.pipeline import cli
from graft.serving.server import EmbeddedServer
from graft.serving.store import open_store


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a store of one model of images, and photos."""
    root = tmp_path_factory.mktemp("shop")
    open_store(root / "store").push("images", save_images(root / "model"), {})
    (root / "photos" / "more").mkdir(parents=True)
    for name, colour in (("a.png", (250, 0, 0)), ("more/b c.png", (0, 0, 250))):
        Image.new("RGB", (8, 8), colour).save(root / "photos" / name)
    return root


@pytest.fixture
def graft(capsys, shop, monkeypatch):
    monkeypatch.chdir(shop)

    def run(*args: str) -> tuple[int, str, str]:
        code = cli.main(["predict", *args])
        return code, *capsys.readouterr()

    return run


def labels(text: str) -> list[tuple[str, str]]:
    return [(row["file"], row["label"]) for row in csv.DictReader(io.StringIO(text))]


FOUND = [("photos/a.png", "apple"), ("photos/more/b c.png", "cheese")]


@pytest.mark.slow
def test_every_format_says_the_same_without_a_server_and_with_one(graft, shop, tmp_path):
    code, out, err = graft("photos", "--store", "store")
    assert code == 0 and [line.split("  ")[0] for line in out.splitlines()[1:]] == [name for name, _ in FOUND]
    assert "predicting 2 images" in err
    [with_csv, lines, whole] = [
        graft("photos", "--store", "store", *more)[1]
        for more in (["--format", "csv"], ["--format", "jsonl"], ["--json"])
    ]
    assert labels(with_csv) == FOUND
    rows = [json.loads(line) for line in lines.splitlines()]
    assert rows == json.loads(whole)["predictions"] and [(row["file"], row["label"]) for row in rows] == FOUND
    [first, _] = csv.DictReader(io.StringIO(with_csv))
    assert {name: float(first[f"probabilities.{name}"]) for name in rows[0]["probabilities"]} == rows[0][
        "probabilities"
    ]
    with EmbeddedServer(open_store(shop / "store"), rest_port=None) as server:
        asked = graft("photos", "--store", "store", "--server", server.grpc_address, "--json")[1]
    served = json.loads(asked)["predictions"]
    assert [{key: row[key] for key in rows[0]} for row in served] == rows and all(row["request_id"] for row in served)


def test_a_file_to_write_is_there_when_all_is_written(graft, tmp_path, monkeypatch):
    target = tmp_path / "new" / "answers.csv"
    code, out, _ = graft("photos", "--store", "store", "--format", "csv", "-o", str(target))
    assert (code, out) == (0, "") and labels(target.read_text()) == FOUND

    from graft.serving.loaded import LoadedModel

    def fail(self, inputs):
        raise MemoryError

    monkeypatch.setattr(LoadedModel, "_ask", fail)
    before = target.read_bytes()
    assert graft("photos", "--store", "store", "--format", "csv", "-o", str(target))[0] != 0
    assert target.read_bytes() == before and [one.name for one in target.parent.iterdir()] == ["answers.csv"]


def test_a_bad_file_is_told_and_the_others_are_predicted(graft, tmp_path):
    bad, pipe = tmp_path / "bad.png", tmp_path / "late.png"
    bad.write_bytes(b"no image")
    pipe.mkdir()
    args = (str(bad), "photos", "--store", "store")
    code, out, err = graft(*args, "--format", "csv")
    assert code == 2 and labels(out) == [(str(bad), ""), *FOUND]
    told = err.splitlines()
    assert told[-2].startswith(f"graft: {bad}: image 0: ") and told[-1] == "graft: 1 of 3 files were not predicted"
    value = json.loads(graft(*args, "--json")[1])
    assert value["status"] == "error" and [row["file"] for row in value["refused"]] == [str(bad)]
    assert [(row["file"], row["label"]) for row in value["predictions"]] == FOUND
    code, out, _ = graft(str(bad), "--store", "store", "--format", "csv")
    assert code == 2 and out.splitlines()[0] == "file,error"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["absent.png", "--store", "store"], "absent.png): No such file or directory"),
        (["empty", "--store", "store"], "empty): no images there; the model takes files whose names end in .jpg, "),
        (["photos", "--store", "absent"], "/absent: no such folder; a first push makes it"),
        (["photos", "--store", "store", "--deadline", "3"], "--deadline was given; it is allowed with --server alone"),
        (["photos", "--store", "store", "--json", "--format", "csv"], "--format csv was given with --json"),
        (["photos", "--store", "store", "-o", "photos"], "--output photos: is a folder; name a file"),
        (["photos", "--server", "localhost:1", "--trust"], "--trust was given; a server decides by itself"),
        (["photos", "--store", "store", "--version", "9"], "version 9"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(graft, shop, args, said):
    (shop / "empty").mkdir(exist_ok=True)
    code, out, err = graft(*args)
    assert code == 2 and said in err.splitlines()[-1]
    assert (json.loads(out)["error"] in err) if "--json" in args else out == ""


def test_texts_of_a_folder(graft, tmp_path):
    open_store(tmp_path / "store").push("texts", save_texts(tmp_path / "model"), {})
    for name, text in (("1.txt", "one"), ("2.txt", "twelve")):
        pathlib.Path(tmp_path, name).write_text(text)
    code, out, _ = graft(str(tmp_path), "--store", str(tmp_path / "store"), "--format", "jsonl")
    assert code == 0 and [json.loads(line)["values"]["bytes"] for line in out.splitlines()] == [3.0, 6.0]
