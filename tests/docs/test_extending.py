"""The recipes of extending.md, followed to the letter in a copy of the house, and what they make put to use."""

import shutil
import subprocess
import sys

import docs_house
import docs_pages as pages
import docs_recipes
import pytest


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    return docs_house.make(tmp_path_factory.mktemp("house"))


def test_recipes_say_where_everything_goes():
    """Eleven recipes: a new file each, and an entry or a line for all but those that need none."""
    written = [path for path, _ in docs_house.files()]
    assert len(written) == len(set(written)) == 14
    assert [package["name"] for package in docs_house.packages()] == ["blurred-heads", "leaf-zoo"]
    assert {entry.place for entry in docs_house.entries()} == {
        *("KINDS", "METHODS", "REGISTRY", "STAGES", "imports"),
        *("GateOptions", "RULES", "graft.observers", "graft.sections", "graft.trackers"),
    }


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_recipes_have_the_style_of_the_house(house, command):
    shutil.copy(pages.TOP / "pyproject.toml", house / "graft")
    others = [f"../{path}" for path, _ in docs_house.files() if "/" not in path]
    ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", "pyproject.toml", ".", *others]
    done = subprocess.run(ruff, cwd=house / "graft", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_new_kinds_are_known_and_refuse_what_is_wrong(house, tmp_path):
    """Settings, errors, reference page, source, gate, section and packages; TensorFlow is not imported for them."""
    assert docs_house.run(house, tmp_path, "-m", "docs_recipes", "quick").split() == [*docs_recipes.QUICK]


@pytest.mark.slow
def test_a_pipeline_of_new_kinds_runs_is_served_and_is_stopped(house, tmp_path):
    """Input, target, method, stage and gates in one run; observer beside a server; a closed gate in the second run."""
    done = docs_house.run(house, tmp_path, "-m", "docs_recipes", "slow").split()
    assert [word for word in done if word in docs_recipes.SLOW] == [*docs_recipes.SLOW]
