"""Configurations that stand for more than they say: one line, exit code 2, little memory, at once."""

import os

import pytest
from attack_process import caller

pytestmark = pytest.mark.slow

SOUND = """
name: attacked
data: {source: image_folder, path: nowhere}
backbone: {handle: nowhere, image_size: [32, 32], value_range: [0, 1]}
"""
LAUGHS = "\n".join(["a0: &a0 [x, x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 40))])


@pytest.fixture(scope="module")
def graft():
    """Runs `graft` in processes of their own."""
    return caller()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SOUND.encode(), "/nowhere): No such file"),
        ((SOUND + LAUGHS).encode(), "more than 100000 values"),
        ((SOUND + "train: &t {class_weights: *t}").encode(), "the alias *t stands within what it names"),
        ((SOUND + "transfer: " + "[" * 1100).encode(), "nested more than 50 deep"),
        ((SOUND + "transfer: " + "{a: " * 100_000).encode(), "nested more than 50 deep"),
        ((SOUND + "name: other").encode(), "the key 'name' stands twice"),
        ((SOUND + "store: !!python/object/apply:os.mkdir [ran]").encode(), "could not determine a constructor"),
        ((SOUND + "store: !!python/object/new:os.system [id]").encode(), "could not determine a constructor"),
        (SOUND.replace("nowhere", '"no\\0where"').encode(), "a value holds '\\x00'"),
        (SOUND.replace("nowhere", '"\\udcff"').encode(), "a value holds '\\udcff'"),
        (SOUND.encode() + b"\xff\xfe", "cannot be read as UTF-8 YAML"),
        (SOUND.encode("utf-16"), "cannot be read as UTF-8 YAML"),
        (SOUND.encode() + b"store: a\0b", "not valid YAML"),
        (SOUND.encode() + b"#" * 100_000_000, "a configuration has at most 1048576"),
        (
            (SOUND + "store: [" + "x, " * 3_000 + "]").encode(),
            "store: input should be a valid string; received ['x', ",
        ),
        ((SOUND + "? " + "1" * 5000 + "\n: x").encode(), "not valid YAML: Exceeds the limit"),
        (b"", "must be a mapping of keys"),
    ],
    ids=lambda part: part[:30] if isinstance(part, str) else "",
)
def test_a_hostile_configuration(graft, tmp_path, content, message):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    for more in (["--dry-run"], []):
        ended = graft.graft("run", path, *more)
        assert ended.refused(message) and ended.memory < 2**28 and len(ended.lines[-1]) < 2000
    assert not (graft.folder / "ran").exists()


@pytest.mark.parametrize(
    "value", [LAUGHS.splitlines()[0] * 3, "&a [*a]", "[" * 2000, '"\\0"', "!!python/name:os.system"]
)
def test_a_hostile_override(graft, tmp_path, value):
    (tmp_path / "config.yaml").write_text(SOUND)
    assert graft.graft("run", tmp_path / "config.yaml", "--dry-run", "--set", f"store={value}").refused("--set 'store=")


def test_many_faults_are_few_lines(graft, tmp_path):
    (tmp_path / "config.yaml").write_text(SOUND + "".join(f"key{n}: 1\n" for n in range(5_000)))
    ended = graft.graft("run", tmp_path / "config.yaml", "--dry-run")
    assert ended.code == 2 and len(ended.lines) == 51 and ended.lines[-1].endswith("config.yaml: 4950 faults more")


def test_a_fifo_and_a_device_are_no_configurations(graft, tmp_path):
    os.mkfifo(tmp_path / "config.yaml")
    for path in (tmp_path / "config.yaml", "/dev/zero"):
        assert graft.graft("run", path, "--dry-run").refused("it is no regular file")
