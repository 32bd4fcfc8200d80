"""The candidates of a ranking, of the command line and of a file."""

import pytest

from graft.models.errors import GraftError
from graft.pipeline import config as configs
from graft.pipeline import zoo

CONFIG = {
    "name": "x",
    "data": {"source": "image_folder", "path": "d"},
    "input": {"image_size": [32, 32], "value_range": [0, 1]},
    "backbone": {"handle": "own.keras", "feature_layer": "top"},
}


@pytest.fixture
def config():
    return configs.parse(CONFIG, "x.yaml")


@pytest.fixture
def read(tmp_path, config):
    def write(text: str):
        (tmp_path / "zoo.yaml").write_text(text)
        return zoo.of_file(str(tmp_path / "zoo.yaml"), config)

    return write


def test_handles_and_the_configured_one_with_its_settings(config):
    own, other = zoo.of_handles(["own.keras", "other.keras"], config)
    assert own.backbone.feature_layer == "top" and other.backbone.feature_layer is None
    assert own.given(CONFIG) == CONFIG
    assert other.given(CONFIG)["backbone"] == {"handle": "other.keras"}


def test_a_file_with_names_and_inputs(read, monkeypatch):
    monkeypatch.setenv("PLACE", "/somewhere")
    small, large = read(
        "- {name: small, handle: '${PLACE}/a.keras'}\n"
        "- {name: large, handle: b, trust: true, input: {image_size: [64, 64]}}\n"
    )
    assert (small.name, small.backbone.handle, small.input.image_size) == ("small", "/somewhere/a.keras", (32, 32))
    assert large.backbone.trust and large.input.image_size == (64, 64) and large.input.value_range == (0, 1)
    given = large.given(CONFIG)
    assert given["input"] == {"image_size": [64, 64], "value_range": [0, 1]} and CONFIG["input"]["image_size"] == [
        32,
        32,
    ]
    assert configs.parse(given, "x.yaml").input.image_size == (64, 64)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be a list of entries with name and handle, got nothing"),
        ("[]", "names no backbone; allowed: at least one"),
        ("a: b", "must be a list of entries"),
        ("- a", "entry 1: must be a mapping with name and handle, got 'a'"),
        ("- {name: a}", "entry 1: handle: missing"),
        ("- {name: a, handle: b, feature_layr: c}", r"entry 1: feature_layr: unknown key.*feature_layer"),
        ("- {name: a, handle: b}\n- {name: a, handle: c}", "'a' stands twice"),
        ("- {name: a, handle: b}\n- {name: c, handle: b}", "'a' and 'c' are the same backbone"),
        ("- {name: a, handle: b, input: {max_bytes: 5}}", "input.max_bytes: received 5; allowed here: image_size"),
        ("- {name: a, handle: b, input: {image_size: [2, 2]}}", r"entry 1: input\.image_size: .*8 to 2048"),
        ("- {name: a, handle: '${NO_SUCH_PLACE}'}", "NO_SUCH_PLACE is not set"),
        ("{", "cannot be read as YAML"),
    ],
)
def test_refusals(text, told, read):
    with pytest.raises(GraftError, match=told):
        read(text)


def test_no_file_and_a_handle_twice(config):
    with pytest.raises(GraftError, match=r"--zoo absent\.yaml \(/.*/absent\.yaml\): no such file"):
        zoo.of_file("absent.yaml", config)
    with pytest.raises(GraftError, match="'a' stands twice"):
        zoo.of_handles(["a", "a"], config)
