"""The fingerprint moves with the files and with nothing else."""

import os
import shutil

import pytest
from ingest_request import request

from graft.components.ingest.fingerprint import fingerprint
from graft.models.errors import GraftError


def of(path, **data) -> str:
    return fingerprint(request(**({"source": "image_folder", "path": str(path)} | data)))


@pytest.fixture
def folder(make_folder):
    return make_folder({"cat": 3, "dog": 3})


@pytest.mark.parametrize("mode", ["fast", "content"])
def test_unchanged_files_keep_it(folder, mode):
    assert of(folder, fingerprint=mode) == of(folder, fingerprint=mode)


def test_a_folder_that_was_moved_keeps_it(folder, tmp_path):
    before = of(folder)
    assert of(folder.rename(tmp_path / "elsewhere")) == before


def test_touched_and_copied_files_keep_that_of_the_content_only(folder, tmp_path):
    fast, content = of(folder), of(folder, fingerprint="content")
    assert fast != content
    os.utime(folder / "cat" / "00000.png", ns=(1, 1))
    assert of(folder) != fast and of(folder, fingerprint="content") == content
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert of(tmp_path / "elsewhere") != of(folder)
    assert of(tmp_path / "elsewhere", fingerprint="content") == content


@pytest.mark.parametrize("mode", ["fast", "content"])
def test_contents_that_swap_at_equal_size_and_time_change_it(folder, mode):
    cat, dog = folder / "cat" / "00000.png", folder / "dog" / "00003.png"
    cat.write_bytes(b"meow")
    dog.write_bytes(b"woof")
    for path in (cat, dog):
        os.utime(path, ns=(10**18, 10**18))
    before = of(folder, fingerprint=mode)
    cat.write_bytes(b"woof")
    dog.write_bytes(b"meow")
    for path in (cat, dog):
        os.utime(path, ns=(10**18, 10**18))
    assert [path.stat().st_mtime_ns for path in (cat, dog)] == [10**18] * 2
    assert of(folder, fingerprint=mode) != before


def test_what_cannot_be_read_is_part_of_the_content_too(folder):
    before = of(folder, fingerprint="content")
    os.mkfifo(folder / "cat" / "pipe.png")
    with_pipe = of(folder, fingerprint="content")
    (folder / "cat" / "broken.png").symlink_to("nowhere")
    assert len({before, with_pipe, of(folder, fingerprint="content")}) == 3


def test_new_removed_renamed_changed_and_touched_files_change_it(folder):
    seen = {of(folder)}
    file = folder / "cat" / "00000.png"
    (folder / "cat" / "new.png").write_bytes(b"1")
    seen.add(of(folder))
    (folder / "cat" / "new.png").rename(folder / "cat" / "newer.png")
    seen.add(of(folder))
    (folder / "cat" / "newer.png").write_bytes(b"12")
    seen.add(of(folder))
    os.utime(file, ns=(1, 1))
    seen.add(of(folder))
    file.unlink()
    seen.add(of(folder))
    assert len(seen) == 6


def test_broken_links_and_odd_names_are_part_of_it(folder):
    before = of(folder)
    (folder / "cat" / "broken.png").symlink_to("nowhere")
    with_link = of(folder)
    with open(os.fsencode(folder) + b"/cat/\xff\xfe.png", "wb") as file:  # noqa: PTH123
        file.write(b"1")
    assert len({before, with_link, of(folder)}) == 3


def test_new_span_changes_it_and_one_out_of_the_window_does_not(make_folder, tmp_path):
    for span in (5, 6):
        make_folder({"cat": 2, "dog": 2}, f"data/{span}")
    path = tmp_path / "data" / "{SPAN}"
    before = of(path)
    make_folder({"cat": 2, "dog": 2}, "data/4")
    assert of(path) == before
    make_folder({"cat": 2, "dog": 2}, "data/7")
    assert of(path) != before


def test_csv_covers_the_table_and_its_images(folder):
    table = folder / "labels.csv"
    table.write_text("path,label\ncat/00000.png,cat\ndog/00003.png,dog\n")
    before = of(table, source="csv")
    (folder / "cat" / "00001.png").write_bytes(b"not listed")
    assert of(table, source="csv") == before
    (folder / "cat" / "00000.png").write_bytes(b"listed")
    changed = of(table, source="csv")
    table.write_text("path,label\ncat/00000.png,cat\ndog/00003.png,cat\n")
    assert len({before, changed, of(table, source="csv")}) == 3


def test_path_in_a_csv_that_no_file_can_have(folder):
    table = folder / "labels.csv"
    table.write_text("path,label\ncat/00000.png,cat\ndog\0/00003.png,dog\n")
    assert of(table, source="csv") == of(table, source="csv")


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(GraftError, match="No such file"):
        of(tmp_path / "nowhere")
