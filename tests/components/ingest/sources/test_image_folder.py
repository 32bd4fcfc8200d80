"""Class folders: odd names, links, and files that cannot be read."""

import itertools
import os
import pathlib
import shutil
import socket
import subprocess

import pytest
from ingest_request import request

from graft.components.ingest.sources.base import load
from graft.models.errors import GraftError

COUNTS = {"cat": 40, "dog": 40}


def listed(root) -> dict[str, str]:
    """file -> label of all images, as the workers see them."""
    source = load(request(source="image_folder", path=str(root)), str(root))
    return {item.file: "".join(item.about.value) for chunk in source.chunks() for item in chunk.read()}


def test_nested_hidden_and_stray_files(make_folder, encode):
    root = make_folder({"cat": 1, "dog": 1})
    (root / "cat" / "2024" / "may").mkdir(parents=True)
    (root / "cat" / "2024" / "may" / "deep.png").write_bytes(encode(5))
    (root / "cat" / ".DS_Store").write_bytes(b"1")
    (root / ".git").mkdir()
    (root / "README.md").write_text("about these photos")
    (root / "stray.jpg").write_bytes(encode(6, "JPEG"))
    assert listed(root) == {
        "cat/00000.png": "cat",
        "cat/2024/may/deep.png": "cat",
        "dog/00001.png": "dog",
        "stray.jpg": "",
    }


def test_names_with_spaces_newlines_and_bytes_that_are_no_text(make_folder, ingest, encode):
    root = make_folder(COUNTS)
    names = [
        b"a b.png",
        b"new\nline.png",
        b"\xff\xfe.png",
        "\u732b.png".encode(),
        b"quote'\".png",
        b"no extension",
    ]
    for seed, name in enumerate(names, 500):
        with open(os.fsencode(root) + b"/cat/" + name, "wb") as file:  # noqa: PTH123
            file.write(encode(seed))
    os.mkdir(os.fsencode(root) + b"/caf\xe9 au lait")  # noqa: PTH102
    for seed in range(700, 740):
        with open(os.fsencode(root) + b"/caf\xe9 au lait/%d.png" % seed, "wb") as file:  # noqa: PTH123
            file.write(encode(seed))
    result = ingest(source="image_folder", path=root)
    files = result.split_of()
    expected = ["a b.png", "new\nline.png", "\\xff\\xfe.png", "\u732b.png", "quote'\".png", "no extension"]
    assert {f"cat/{name}" for name in expected} < set(files)
    assert result.summary.classes == ["caf\\xe9 au lait", "cat", "dog"]
    assert len(files) == 126 and not result.rejected


def test_class_folder_with_a_newline_is_rejected_with_its_name(make_folder, ingest):
    result = ingest(source="image_folder", path=make_folder(COUNTS | {"au\nlait": 2}), max_rejected=1.0)
    assert result.summary.classes == ["cat", "dog"] and result.summary.rejected == {"bad_label": 2}
    row = result.rejected["au\nlait/00080.png"]
    assert row["label"] == "au\nlait"
    assert "class name 'au\\nlait' holds a control character ('\\n'); it must be one line" in row["detail"]


def test_rejected_names_survive_in_the_artifact(make_folder, ingest):
    root = make_folder(COUNTS)
    with open(os.fsencode(root) + b"/cat/\xff\nbad.png", "wb") as file:  # noqa: PTH123
        file.write(b"hello")
    result = ingest(source="image_folder", path=root, max_rejected=1.0)
    assert result.rejected["cat/\\xff\nbad.png"]["reason"] == "unknown_type"


def test_what_is_no_readable_file_is_rejected_without_hanging(make_folder, ingest):
    root = make_folder(COUNTS)
    cat = root / "cat"
    os.mkfifo(cat / "fifo.jpg")  # nobody writes: a plain open would wait for ever
    (cat / "broken.jpg").symlink_to("nowhere.jpg")
    (cat / "self.jpg").symlink_to("self.jpg")
    (cat / "null.jpg").symlink_to("/dev/null")
    (cat / "folder.jpg").mkdir()  # a folder like any other, and empty
    (cat / "empty.jpg").write_bytes(b"")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()  # noqa: PTH109
    os.chdir(cat)  # the address of a socket is short
    server.bind("socket.jpg")
    os.chdir(here)
    server.close()
    with open(cat / "large.jpg", "wb") as file:  # noqa: PTH123
        file.truncate(60_000_000)
    result = ingest(source="image_folder", path=root)
    found = {file.removeprefix("cat/"): (row["reason"], row["detail"]) for file, row in result.rejected.items()}
    assert found == {
        "fifo.jpg": ("unreadable", "is a FIFO, not a regular file"),
        "broken.jpg": ("unreadable", "No such file or directory"),
        "self.jpg": ("unreadable", "symbolic links go round in a circle"),
        "null.jpg": ("unreadable", "is a device, not a regular file"),
        "socket.jpg": ("unreadable", "No such device or address"),
        "empty.jpg": ("empty", "0 bytes"),
        "large.jpg": ("too_large", "60000000 bytes, at most 50000000 are read"),
    }
    assert len(result.split_of()) == 80


def test_links_are_followed_but_not_in_circles(make_folder, encode, tmp_path):
    root = make_folder({"cat": 1, "dog": 1})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "linked.png").write_bytes(encode(7))
    (root / "cat" / "more").symlink_to(elsewhere)
    (root / "cat" / "up").symlink_to(root / "cat")
    (elsewhere / "back").symlink_to(elsewhere)
    (root / "dog" / "one.png").symlink_to(elsewhere / "linked.png")
    assert listed(root) == {
        "cat/00000.png": "cat",
        "cat/more/linked.png": "cat",
        "dog/00001.png": "dog",
        "dog/one.png": "dog",
    }


def test_folders_named_like_splits(make_folder, tmp_path):
    for split in ("train", "val", "test"):
        make_folder({"cat": 1, "dog": 1}, f"data/{split}")
    source = load(request(source="image_folder", path="x"), str(tmp_path / "data"))
    assert sorted((entry.value[0], entry.split) for entry in source.entries()) == sorted(
        (label, split) for label in ("cat", "dog") for split in ("train", "eval", "test")
    )


@pytest.mark.parametrize("counts", [{"train": 1, "plane": 1}, {"test": 1, "val": 1, "exam": 1}, {"test": 1, "dev": 1}])
def test_a_class_that_is_named_like_a_split_stays_a_class(make_folder, counts):
    assert set(listed(make_folder(counts)).values()) == set(counts)


def test_splits_beside_other_folders_are_no_classes(make_folder):
    root = make_folder({"train": 1, "val": 1, "__MACOSX": 0, "docs": 1})
    message = (
        r"data: the folders train, val are named like splits, 2 beside them are not \('__MACOSX', 'docs'\); "
        "move those away, or rename train, val if they are classes"
    )
    with pytest.raises(GraftError, match=message):
        listed(root)


def test_chunks_hold_references_and_depend_on_the_data_only(make_folder):
    root = make_folder({"cat": 100, "dog": 100})
    source = load(request(source="image_folder", path=str(root)), str(root))
    chunks = list(source.chunks())
    assert [chunk.size for chunk in chunks] == [64, 64, 64, 8]
    assert chunks == list(source.chunks())


def test_no_class_folder_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    with pytest.raises(GraftError, match="holds no folders"):
        listed(tmp_path)


def test_a_folder_is_read_once_however_many_links_lead_there(make_folder, tmp_path, encode):
    """Each of 16 folders links twice to the next: 2^16 ways to the last."""
    root = make_folder({"cat": 1, "dog": 1})
    pool = [tmp_path / "pool" / str(level) for level in range(16)]
    for folder in pool:
        folder.mkdir(parents=True)
    for folder, deeper in itertools.pairwise(pool):
        (folder / "left").symlink_to(deeper)
        (folder / "right").symlink_to(deeper)
    (pool[-1] / "one.png").write_bytes(encode(7))
    (root / "cat" / "pool").symlink_to(pool[0])
    assert set(listed(root)) == {"cat/00000.png", f"cat/pool/{'left/' * 15}one.png", "dog/00001.png"}


@pytest.mark.parametrize(
    ("link", "target", "message"),
    [
        ("kitten", "cat", "'cat' and 'kitten' are one folder, linked under two classes or splits; remove one"),
        ("cat/dogs", "dog", "'cat/dogs' and 'dog' are one folder"),
        ("dog/cats/deep", "cat/deep", "'cat/deep' and 'dog/cats/deep' are one folder"),
    ],
)
def test_a_folder_under_two_classes_is_an_error(make_folder, link, target, message):
    root = make_folder({"cat": 1, "dog": 1, "cat/deep": 1})
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(root / target)
    with pytest.raises(GraftError, match=message):
        listed(root)


def test_a_folder_under_two_splits_is_an_error(make_folder, tmp_path):
    for split in ("train", "test"):
        make_folder({"cat": 1, "dog": 1}, f"data/{split}")
    (tmp_path / "data" / "test" / "cow").symlink_to(tmp_path / "data" / "train" / "cat")
    with pytest.raises(GraftError, match="'test/cow' and 'train/cat' are one folder"):
        listed(tmp_path / "data")


def test_a_link_to_what_lies_above_is_passed_over(make_folder):
    root = make_folder({"cat": 1, "dog": 1})
    (root / "cat" / "all").symlink_to(root)
    (root / "everything").symlink_to(root)
    assert listed(root) == {"cat/00000.png": "cat", "dog/00001.png": "dog"}


@pytest.fixture
def remove_deep(tmp_path):
    """Folders so deep that pytest's own removal of old ones would end in RecursionError."""
    yield
    subprocess.run(["rm", "-rf", str(tmp_path / "data")], check=True)


@pytest.mark.slow
def test_folders_a_thousand_deep(make_folder, encode, remove_deep):
    root = make_folder({"cat": 1, "dog": 1})
    here = os.getcwd()  # noqa: PTH109
    os.chdir(root / "cat")
    for _ in range(1100):
        os.mkdir("d")  # noqa: PTH102
        os.chdir("d")
    pathlib.Path("one.png").write_bytes(encode(7))
    os.chdir(here)
    assert f"cat/{'d/' * 1100}one.png" in listed(root)


def test_folders_deeper_than_a_path_is_long(make_folder, remove_deep):
    root = make_folder({"cat": 1, "dog": 1})
    here = os.getcwd()  # noqa: PTH109
    os.chdir(root / "cat")
    for _ in range(25):
        os.mkdir("d" * 200)  # noqa: PTH102
        os.chdir("d" * 200)
    os.chdir(here)
    with pytest.raises(
        GraftError, match=r"data.path .{200}\.\.\. \(\d+ characters\): File name too long; it must be a folder"
    ):
        listed(root)


def test_a_folder_that_goes_away_while_it_is_listed(make_folder):
    root = make_folder({"cat": 1, "dog": 1, "dog/more": 1})
    names = load(request(source="image_folder", path=str(root)), str(root)).files()
    next(names)
    shutil.rmtree(root / "dog")
    with pytest.raises(GraftError, match=r"dog: No such file or directory; it must be a folder that may be read"):
        list(names)


def test_a_file_that_goes_away_or_changes_after_it_was_listed(make_folder, encode):
    root = make_folder({"cat": 2, "dog": 1})
    (chunk,) = load(request(source="image_folder", path=str(root)), str(root)).chunks()
    (root / "cat" / "00000.png").unlink()
    (root / "cat" / "00001.png").write_bytes(b"")
    os.remove(root / "dog" / "00002.png")  # noqa: PTH107
    os.mkfifo(root / "dog" / "00002.png")
    assert [(item.reason, item.content) for item in chunk.read()] == [
        ("unreadable", b""),
        (None, b""),
        ("unreadable", b""),
    ]
