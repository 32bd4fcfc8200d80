"""YAML that stands for more than it says, or for what nobody should read."""

import os
import pathlib

import pytest
import yaml

from graft.pipeline import config_yaml
from graft.pipeline.config_yaml import MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_SCALAR, parse, read_text


def doubling(levels: int) -> str:
    """Each level names the one before twice."""
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, levels))]
    return "\n".join(lines)


def chain(levels: int) -> str:
    """Each level holds the one before."""
    return "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, levels))])


def test_aliases_are_allowed():
    text = "base: &base {epochs: 3}\ntrain: {<<: *base, seed: 1}\nsame: *base\n"
    assert parse(text) == {"base": {"epochs": 3}, "train": {"epochs": 3, "seed": 1}, "same": {"epochs": 3}}
    assert len(parse(doubling(10))["a9"]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (doubling(40), f"more than {MAX_NODES} values, those that aliases repeat counted each time"),
        (doubling(16) + "\nmerged: {" + "<<: " + "*a15}", "more than"),
        pytest.param("[" + "x," * MAX_NODES + "]", f"more than {MAX_NODES} values", marks=pytest.mark.slow),
        (chain(60), f"nested more than {MAX_DEPTH} deep"),
        ("[" * 1_100 + "]" * 1_100, f"nested more than {MAX_DEPTH} deep"),
        ("[" * 100_000, f"nested more than {MAX_DEPTH} deep"),
        ("{a: " * 60, f"nested more than {MAX_DEPTH} deep"),
        ("".join(" " * n + "a:\n" for n in range(1_100)), f"nested more than {MAX_DEPTH} deep"),
        ("a: &a [*a]", r"the alias \*a stands within what it names"),
        ("&a {b: {c: *a}}", r"the alias \*a stands within what it names"),
        ("a: *b", "undefined alias"),
        ("a: " + "1:" * MAX_SCALAR + "1", f"a value of {2 * MAX_SCALAR + 1} characters; at most {MAX_SCALAR} are read"),
        (r'a: "b\0c"', r"a value holds '\\x00', which no name or path may hold"),
        (r'a: "\ud800"', r"a value holds '\\ud800'"),
        ("a: b\0c", "special characters are not allowed"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor for the tag"),
        ("a: !!python/name:os.system", "could not determine a constructor for the tag"),
        ("{[a]: b}", "found unhashable key"),
        ("a: 1\na: 2", "the key 'a' stands twice in one mapping"),
        ("a: b\n---\nc: d", "expected a single document"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(yaml.YAMLError, match=message):
        parse(text)


def test_nested_as_deep_as_may_be():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert str(parse(text)) == text
    named = f"&a {'[' * (MAX_DEPTH - 1)}{']' * (MAX_DEPTH - 1)}"
    assert len(parse(f"[{named}, *a]")) == 2
    with pytest.raises(yaml.YAMLError, match="nested more than"):
        parse(f"[{named}, [*a]]")


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "large").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    os.mkfifo(tmp_path / "fifo")
    for name, message in (
        ("large", f"it has {MAX_BYTES + 1} bytes; a configuration has at most {MAX_BYTES}"),
        ("binary", "can't decode byte 0xff"),
        ("fifo", "it is no regular file"),
        ("/dev/zero", "it is no regular file"),
    ):
        with pytest.raises(ValueError, match=message):
            read_text(tmp_path / name)
    with pytest.raises(OSError, match="Is a directory"):
        read_text(tmp_path)
    (tmp_path / "whole").write_bytes(b"#" * MAX_BYTES)
    assert len(read_text(tmp_path / "whole")) == MAX_BYTES


def test_no_other_module_loads_yaml():
    """The limits hold for every text from outside, so there is one place that reads it."""
    top = pathlib.Path(config_yaml.__file__).parents[1]
    files = [path for name in ("pipeline", "components", "models", "serving") for path in (top / name).rglob("*.py")]
    found = [
        path.name for path in files if "yaml.load" in (text := path.read_text("utf-8")) or "yaml.safe_load" in text
    ]
    assert found == ["config_yaml.py"]
