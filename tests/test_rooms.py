"""A line of code should know its room by its words: images stand in `models/inputs/image`, accuracy in a target."""

import ast
import collections
import pathlib
import re
from collections.abc import Iterable

import grimp
import pytest

from graft.components.ingest import sources
from graft.models import inputs, targets, transfer

ROOT = pathlib.Path(__file__).parents[1]
PICTURES = re.compile(r"pixel|photo|picture|jpe?g|png|webp|tiff|value_range|exif", re.I)
INPUTS = re.compile(f"image|{PICTURES.pattern}", re.I)
TARGETS = re.compile(
    r"accuracy|m[ai]cro_f1|confusion|probabilit|regression|recall|precision|calibration|absolute_error|entropy|softmax",
    re.I,
)
FOLDERS = {name: INPUTS for name in ("serving", "monitoring", "components", "pipeline", "benchmarks")}
FOLDERS["kubeflow"] = PICTURES  # the images there are those of containers
EXCEPT = {
    "benchmarks/features.py": "measured on photos",
    "benchmarks/fine_tune.py": "measured on noise as PNG",
    "benchmarks/heads.py": "measured on three sets of images",
    "benchmarks/ingest.py": "measured on PNG files, beside Pillow",
    "benchmarks/methods": "measured on digits and photos",
    "benchmarks/monitor.py": "measured on texts and on JPEG files",
    "benchmarks/signals.py": "measured on photos",
    "benchmarks/stock_chain": "a TFX chain of images beside Graft's",
    "benchmarks/tfx_chain.py": "measured on PNG files",
    "benchmarks/transfer.py": "measured on photos",
    "components/beam.py": "a container image",
    "components/ingest/sources/__init__.py": "a source is called image_folder",
    "components/ingest/sources/idx.py": "a file format that holds images only",
    "components/ingest/sources/image_folder.py": "its name",
    "components/ingest/sources/tfds_info.py": "TFDS calls a feature Image",
    "components/ingest/summary.py": "what version 0.1 wrote was of images",
    "components/ingest/options.py": "the columns' names by the kind of input",
    "kubeflow/image/pipeline.py": "the demo's own data",
    "monitoring/demo": "the demo's own data",
    "pipeline/config_moved.py": "keys of version 0.1",
    "pipeline/demo": "the demo's own data and network",
    "pipeline/plots.py": "image/svg+xml",
    "pipeline/reference.py": "a source is called image_folder",
}
"""Files and folders that may speak of images, and why."""


def spoken(source: str, words: re.Pattern) -> list[str]:
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
    return [text for text in (*names, *texts) if isinstance(text, str) and words.search(text)]


def speaking(folder: str, words: re.Pattern) -> dict[str, list[str]]:
    """What the files of a folder say, by file."""
    files = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / folder).rglob("*.py")}
    return {name: found for name, source in files.items() if (found := spoken(source, words))}


def excused(name: str) -> str | None:
    """The file or folder in EXCEPT that excuses a file."""
    return next((one for one in (name, *map(str, pathlib.PurePosixPath(name).parents)) if one in EXCEPT), None)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_other_room_speaks_of_images(folder):
    found = speaking(folder, FOLDERS[folder])
    assert not {name: words for name, words in found.items() if not excused(name)}
    assert {name for name in EXCEPT if name.startswith(f"{folder}/")} <= set(map(excused, found)), (
        "an exception that is none any more"
    )


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != "benchmarks"])
def test_no_other_room_speaks_of_what_a_target_measures(folder):
    """But the demos, which know that their target is one label."""
    found = speaking(folder, TARGETS)
    assert not {name: words for name, words in found.items() if "/demo/" not in name and "/image/" not in name}


def test_what_counts_as_speaking():
    assert spoken("'''Images.'''\nsize = 3  # pixels\n", INPUTS) == []
    assert spoken("image_size = 3", INPUTS) == ["image_size"]
    assert spoken("def f():\n    '''Of an image.'''\n    return 'of pixels'", INPUTS) == ["of pixels"]
    assert spoken("from a.image import b", INPUTS) == ["a.image"]


def chosen_by_name(source: str, names: set[str]) -> list[str]:
    """What code does for one kind of a registry: `options("text")`, or `.kind == "text"`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) in ("options", "module"):
            found += [node.args[:1]]
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(getattr(side, "attr", None) in ("kind", "method", "source") for side in sides):
                found += [part for side in sides for part in (getattr(side, "elts", None) or [side],)]
    texts = (getattr(one, "value", None) for part in found for one in part)
    return [text for text in texts if isinstance(text, str) and text in names]


def test_no_other_room_does_something_for_one_kind():
    names = {*inputs.KINDS, *targets.KINDS, *transfer.METHODS, *sources.REGISTRY}
    files = [
        path for folder in ("serving", "components", "pipeline", "kubeflow") for path in (ROOT / folder).rglob("*.py")
    ]
    found = {path.name: chosen_by_name(path.read_text("utf-8"), names) for path in files}
    assert not {name: kinds for name, kinds in found.items() if kinds}


def test_what_counts_as_done_for_one_kind():
    for code in (
        'KINDS.options("a")()',
        'if target.kind == "a": pass',
        'x = o.method in ("b", "a")',
        'y = "a" != o.kind',
    ):
        assert chosen_by_name(code, {"a"}) == ["a"]
    for code in ("KINDS.options(name)", "if target.kind == other.kind: pass", 'x = "a" in o.kinds', 'o.kind == "c"'):
        assert chosen_by_name(code, {"a"}) == []


def sharing(paths: Iterable[pathlib.Path]) -> dict[str, list[str]]:
    """Files of one name, by that name: pytest imports the first of them for all. Its conftest files are its own."""
    found = collections.defaultdict(list)
    for path in paths:
        found[path.name].append(path.as_posix())
    return {name: sorted(files) for name, files in found.items() if len(files) > 1 and name != "conftest.py"}


def test_no_two_files_of_tests_have_one_name():
    assert not sharing(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))


def test_what_counts_as_one_name():
    paths = map(pathlib.Path, ("tests/a/test_x.py", "tests/b/test_x.py", "tests/b/test_y.py"))
    assert sharing(paths) == {"test_x.py": ["tests/a/test_x.py", "tests/b/test_x.py"]}
    assert not sharing(map(pathlib.Path, ("tests/conftest.py", "tests/a/conftest.py", "tests/a/test_conftest.py")))


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("graft", cache_dir=None)


@pytest.mark.parametrize(
    "room",
    [
        *(f"graft.models.inputs.{kind}" for kind in inputs.KINDS),
        *(f"graft.models.targets.{kind}" for kind in targets.KINDS),
    ],
)
def test_a_kind_is_imported_by_its_name_in_the_registry_only(graph, room):
    inside = {module for module in graph.modules if f"{module}.".startswith(f"{room}.")}
    importing = {module for one in inside for module in graph.find_modules_that_directly_import(one)} - inside
    # The networks of keras.applications are made for images; the benchmarks compare rules for images.
    allowed = {"graft.models.applications", *(module for module in importing if module.startswith("graft.benchmarks."))}
    assert importing <= allowed
