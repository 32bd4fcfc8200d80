"""A line of code should know its room by its words: what an image is stands in `models/inputs/image`."""

import ast
import pathlib
import re

import grimp
import pytest

ROOT = pathlib.Path(__file__).parents[1]
WORDS = re.compile(r"image|pixel|picture|jpe?g|png|webp|tiff", re.I)
FOLDERS = ("serving", "monitoring", "components", "pipeline")
EXCEPT = {
    "components/beam.py": "a container image",
    "components/ingest/request.py": "a source is called image_folder",
    "components/ingest/sources/__init__.py": "a source is called image_folder",
    "components/ingest/sources/idx.py": "a file format that holds images only",
    "components/ingest/sources/image_folder.py": "its name",
    "components/ingest/sources/tfds_info.py": "TFDS calls a feature Image",
    "components/ingest/summary.py": "what version 0.1 wrote was of images",
    "components/ingest/options.py": "the columns' names by the kind of input",
    "pipeline/config_moved.py": "keys of version 0.1",
    "pipeline/demo/data.py": "the demo's own data",
    "pipeline/demo/source.py": "the demo's own network",
    "pipeline/demo/story.py": "the demo's own data",
    "pipeline/plots.py": "image/svg+xml",
    "pipeline/reference.py": "a source is called image_folder",
}
"""Files that may say such a word, and why."""


def spoken(source: str) -> list[str]:
    """Names and texts of code that hold one of the words; comments and docstrings are not code."""
    tree = ast.parse(source)
    described = {
        id(statement.value)
        for node in ast.walk(tree)
        for statement in (node.body if isinstance(getattr(node, "body", None), list) else ())
        if isinstance(statement, ast.Expr)
    }
    names = (getattr(node, field, None) for node in ast.walk(tree) for field in ("id", "attr", "arg", "name", "module"))
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in described)
    return [text for text in (*names, *texts) if isinstance(text, str) and WORDS.search(text)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_other_room_speaks_of_images(folder):
    found = {
        path.relative_to(ROOT).as_posix(): words
        for path in (ROOT / folder).rglob("*.py")
        if (words := spoken(path.read_text(encoding="utf-8")))
    }
    assert not {name: words for name, words in found.items() if name not in EXCEPT}
    assert {name for name in EXCEPT if name.startswith(f"{folder}/")} <= set(found), (
        "an exception that is none any more"
    )


def test_what_counts_as_speaking():
    assert spoken("'''Images.'''\nsize = 3  # pixels\n") == []
    assert spoken("image_size = 3") == ["image_size"]
    assert spoken("def f():\n    '''Of an image.'''\n    return 'of pixels'") == ["of pixels"]
    assert spoken("from a.image import b") == ["a.image"]


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("graft", cache_dir=None)


@pytest.mark.parametrize("room", ["graft.models.inputs.image", "graft.models.inputs.text"])
def test_a_kind_of_input_is_imported_by_its_name_in_the_registry_only(graph, room):
    inside = {module for module in graph.modules if f"{module}.".startswith(f"{room}.")}
    importing = {module for one in inside for module in graph.find_modules_that_directly_import(one)} - inside
    # The networks of keras.applications are made for images; the benchmarks compare rules for images.
    allowed = {"graft.models.applications", *(module for module in importing if module.startswith("graft.benchmarks."))}
    assert importing <= allowed
