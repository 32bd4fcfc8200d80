"""Methods of other packages, by entry point: methods like others, and one line where they are at fault."""

import os
import subprocess
import sys

import foreign_package
import pytest

from graft.models.entry_points import RegistrationError
from graft.models.registry import Registry
from graft.models.transfer import METHODS
from graft.pipeline import prepare

METHOD = """
from typing import Literal
from graft.models.transfer import MethodOptions

REFITS = True

class Options(MethodOptions):
    method: Literal["half"] = "half"
    share: float = 0.5

def reads_inputs(options):
    return False

def fit(task):
    raise NotImplementedError
"""


def registry(tmp_path, monkeypatch, source=METHOD, entries=None) -> Registry:
    """As METHODS is made, in a process in which the package is installed."""
    foreign_package.install(
        tmp_path / "package", monkeypatch, "half-way", {"graft.methods": entries or {"half": "half_way"}}, source
    )
    return Registry("transfer.method", METHODS._own, METHODS.default, METHODS._group, METHODS._needs)


def test_an_added_method_has_its_settings(tmp_path, monkeypatch):
    methods = registry(tmp_path, monkeypatch)
    assert [*methods] == [*METHODS, "half"] and methods.options("half")().share == 0.5


@pytest.mark.parametrize(
    ("entries", "source", "told"),
    [
        ({"half": "no_such"}, METHOD, r"'half' of no_such \(half-way\): cannot be imported: ModuleNotFoundError"),
        ({"half": "half_way"}, "1 / 0", "cannot be imported: ZeroDivisionError"),
        ({"half": "half_way"}, METHOD.replace("def fit", "def fits"), "'half' of half_way .*: has no fit"),
        ({"half": "half_way"}, METHOD.replace("class Options", "class Settings"), "has no Options"),
        ({"third": "half_way"}, METHOD, r'must have the field method: Literal\["third"\] = "third"'),
        ({"frozen": "half_way"}, METHOD, "'frozen' of half_way .*: is a name of Graft's own"),
    ],
)
def test_one_at_fault_is_one_line(tmp_path, monkeypatch, entries, source, told):
    methods = registry(tmp_path, monkeypatch, source, entries)
    with pytest.raises(RegistrationError, match=told) as refused:
        methods.union()
    assert "\n" not in str(refused.value)


def test_a_name_taken_twice_is_told(tmp_path, monkeypatch):
    registry(tmp_path, monkeypatch)
    entries = {"graft.methods": {"half": "half_again"}}
    foreign_package.install(tmp_path / "other", monkeypatch, "half-again", entries, METHOD)
    with pytest.raises(
        RegistrationError, match=r"half: the transfer.method is registered twice: .*half-again.*half-way"
    ):
        [*Registry("transfer.method", METHODS._own, group="graft.methods")]


@pytest.mark.slow
def test_the_command_line_says_so_in_one_line(tmp_path, monkeypatch):
    registry(tmp_path, monkeypatch, "1 / 0")
    (tmp_path / "x.yaml").write_text("name: x")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "graft.pipeline.cli", "run", str(tmp_path / "x.yaml"), "--dry-run"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert (
        done.stderr.strip().splitlines()[-1].startswith("graft: transfer.method 'half' of half_way (half-way): cannot")
    )


def test_an_edit_of_the_package_is_no_cache_hit(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "_PACKAGES", ())
    before = prepare.code_version()
    registry(tmp_path, monkeypatch)
    added = prepare.code_version()
    (tmp_path / "package" / "half_way.py").write_text(METHOD + "# edited")
    assert len({before, added, prepare.code_version()}) == 3
