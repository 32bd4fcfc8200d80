"""A few of the data's own images, read without reading the rest."""

import pathlib

import numpy as np
import pytest
from ingest_request import request
from small_images import image_file

from graft.components.ingest.request import Request
from graft.components.ingest.sample import sample_contents
from graft.components.ingest.sources import files
from graft.models.errors import GraftError


def png(shade: int) -> bytes:
    return image_file(np.full((6, 6, 3), shade, np.uint8))


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """Two classes of 100 images each."""
    for number, name in enumerate(("ant", "bee")):
        (tmp_path / name).mkdir()
        for image in range(100):
            (tmp_path / name / f"{image:03d}.png").write_bytes(png(number * 100 + image))
    return tmp_path


def options(path: pathlib.Path) -> Request:
    return request(source="image_folder", path=str(path))


def test_a_few_of_different_parts_and_no_more_is_read(folder, monkeypatch):
    read = []
    monkeypatch.setattr(files, "read_file", lambda path, _: (read.append(path), pathlib.Path(path).read_bytes())[1])
    images = sample_contents(options(folder), 8)
    assert len(images) == len(set(images)) == 8
    assert {pathlib.Path(path).parent.name for path in read} == {"ant", "bee"}
    assert len(read) < 16
    assert sample_contents(options(folder), 8) == images


@pytest.mark.slow
def test_what_cannot_be_used_and_copies_are_passed_over(folder):
    for number in range(20):
        (folder / "ant" / f"{number:03d}.png").write_bytes((b"no image", png(7)[:-30], png(7), png(7))[number % 4])
    images = sample_contents(options(folder), 8)
    assert len(images) == len(set(images)) == 8 and b"no image" not in images


def test_none_where_none_can_be_used(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"no image")
    assert sample_contents(options(tmp_path), 8) == []
    with pytest.raises(GraftError, match="must be a folder"):
        sample_contents(options(tmp_path / "none"), 8)
