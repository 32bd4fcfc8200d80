"""The documentation holds: its commands run, its configurations load, its code works, its links lead somewhere."""

import ast
import importlib
import re
import shlex
import subprocess
import sys

import docs_pages as pages
import jsonschema
import pytest
import yaml
from docs_commands import Kind, check_exists, kind_of

from graft.components.ingest.reasons import Reason
from graft.models import inputs, targets
from graft.pipeline import config as configs
from graft.pipeline import config_schema

BLOCKS = [block for page in pages.PAGES for block in pages.blocks(page)]
COMMANDS = [(block, command) for block in BLOCKS if block.language == "sh" for command in block.commands]
BASE = {"name": "flowers", "data": {"source": "image_folder", "path": "photos"}, "backbone": {"handle": "backbone/1"}}


def named(pairs):
    return [pytest.param(block, command, id=f"{block.page.name}: {command}") for block, command in pairs]


def of_language(language):
    return [pytest.param(block, id=f"{block.page.name}:{block.line}") for block in BLOCKS if block.language == language]


def test_every_block_says_what_it_is():
    assert {block.language for block in BLOCKS} <= {"sh", "yaml", "python", "text", "toml"}


@pytest.mark.parametrize(("block", "command"), named(COMMANDS))
def test_every_command_is_run_or_said_not_to_be(block, command):
    kind = kind_of(command)
    assert kind is not Kind.UNKNOWN, f"{block.page.name}:{block.line}: {command}: no class of command holds it"
    assert kind is not Kind.LONG or block.not_run, f"{command}: needs minutes; put <!-- not run: WHY --> above"


@pytest.mark.parametrize("command", ["rm -rf runs", "graft nosuch", "make nosuch", "python -m benchmarks.nosuch"])
def test_unknown_commands_are_noticed(command):
    if kind_of(command) is not Kind.UNKNOWN:
        with pytest.raises(AssertionError):
            check_exists(command)


@pytest.mark.parametrize(
    "command", ["graft run c.yaml --no-such-option", "python -m benchmarks.serving --nosuch", "graft models list --nos"]
)
def test_unknown_options_are_noticed(command):
    with pytest.raises(AssertionError):
        check_exists(command)


@pytest.mark.parametrize(("block", "command"), named(COMMANDS))
def test_every_command_exists(block, command):
    check_exists(command)


@pytest.mark.slow
def test_commands_run(bench):
    """In the order of the pages: later commands use what earlier ones made."""
    seen = set()
    for block, command in COMMANDS:
        if block.not_run or command in seen:
            continue
        seen.add(command)
        code, output = bench.run(command)
        assert code == 0, f"{block.page.name}:{block.line}: {command}: exit {code}\n{output}"
    assert seen


@pytest.mark.slow
def test_a_command_that_fails_is_noticed(bench):
    assert bench.run("graft run configs/none.yaml --dry-run")[0] == 2


@pytest.fixture(scope="module")
def editors():
    """What an editor finds in a configuration."""
    return jsonschema.Draft202012Validator(config_schema.config_schema())


@pytest.mark.parametrize("block", of_language("yaml"))
def test_configurations_load(block, tmp_path, monkeypatch, editors):
    monkeypatch.setenv("GRAFT_DATA", "/data")
    path = tmp_path / "config.yaml"
    value = yaml.safe_load(block.text)
    if "repos" in value:  # of pre-commit: tests/test_pre_commit.py
        return
    path.write_text(yaml.safe_dump({**BASE, **value}), encoding="utf-8")
    configs.load(path)
    editors.validate({**BASE, **value})


@pytest.mark.parametrize("path", sorted((pages.TOP / "configs").iterdir()), ids=lambda path: path.name)
def test_editors_find_no_fault_in_the_configurations_of_the_house(path, editors):
    value = yaml.safe_load(path.read_text(encoding="utf-8"))
    editors.validate(value)
    assert not editors.is_valid({**value, "gate": {}})


def test_a_configuration_with_a_typo_is_noticed(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**BASE, "gate": {}}), encoding="utf-8")
    with pytest.raises(configs.ConfigError, match="did you mean 'gates'"):
        configs.load(path)


@pytest.mark.parametrize("block", of_language("python"))
def test_code_compiles_and_its_imports_are_there(block):
    if block.page.name == "extending.md":  # files that are not there: test_extending.py writes and runs them
        return
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert pages.broken_links(page) == []


def test_a_broken_link_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](none.md) [b](page.md#two) [c](#one) [d](https://example.com/x)\n", encoding="utf-8")
    assert pages.broken_links(page) == ["none.md", "page.md#two"]


def test_readme_lists_every_page():
    readme = (pages.TOP / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in pages.PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in readme]


def test_every_reason_is_in_the_catalogue():
    kinds = [inputs.KINDS.module(kind).Input for kind in inputs.KINDS]
    kinds += [module.Target for name in targets.KINDS if hasattr(module := targets.KINDS.module(name), "Target")]
    codes = {str(reason) for reason in Reason}.union(*(kind.REASONS for kind in kinds))
    assert codes == set(pages.first_cells("errors.md", "Rejected examples"))


def test_messages_of_the_catalogue_are_in_the_code():
    code = "".join(pages.source_text())
    parts = [part for title in pages.MESSAGE_TABLES for part in pages.first_cells("errors.md", title)]
    assert len(parts) > 40
    assert [part for part in parts if part not in code] == []


def test_every_benchmark_is_described():
    figures = (pages.TOP / "docs" / "figures.md").read_text(encoding="utf-8")
    modules = {path.stem for path in (pages.TOP / "benchmarks").glob("[a-z]*.py")}
    assert {name for name in modules if f"python -m benchmarks.{name}" not in figures} == set()


def test_help_names_every_command_of_the_readme():
    """`graft --help` is what a reader tries first."""
    shown = subprocess.run(
        [sys.executable, "-m", "graft.pipeline.cli", "--help"], capture_output=True, text=True, check=True
    )
    used = {shlex.split(command)[1] for _, command in COMMANDS if command.startswith("graft ")}
    assert {name for name in used if not re.search(rf"^ +{name}\b", shown.stdout, re.MULTILINE)} == set()
