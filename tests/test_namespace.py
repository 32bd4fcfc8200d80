"""Graft's folders are imported below `graft` only: nothing of a user's has their names, and they have nobody's."""

import pathlib
import subprocess
import sys

import pytest

GRAFT = pathlib.Path(sys.executable).with_name("graft")
FOLDERS = ("components", "configs", "kubeflow", "models", "monitoring", "pipeline", "serving")


@pytest.fixture(params=["modules", "packages"])
def project(request, tmp_path):
    """A user's working directory, with modules or packages of all the names; importing one ends the process."""
    for name in FOLDERS:
        path = tmp_path / (f"{name}.py" if request.param == "modules" else f"{name}/__init__.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"raise SystemExit('the module {name} of the user was imported')\n")
    return tmp_path


def said(folder: pathlib.Path, *command: str | pathlib.Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_command_line_is_not_disturbed_by_a_users_modules(project):
    assert said(project, GRAFT, "--help").startswith("usage: graft")
    assert said(project, sys.executable, "-m", "graft.pipeline.cli", "--help").startswith("usage: graft")
    said(project, GRAFT, "init", "flowers.yaml")
    assert (project / "flowers.yaml").is_file()


@pytest.mark.slow
def test_programs_beside_a_users_modules_can_use_graft(project):
    """As the documentation shows it: the client without TensorFlow, the store, a configuration."""
    program = """
import pathlib
import sys

from graft.pipeline import config
from graft.serving.client import Client
from graft.serving.store import open_store

assert "tensorflow" not in sys.modules
with Client("localhost:1", "m") as client:
    assert client.model == "m"
export = pathlib.Path("export")
export.mkdir()
(export / "saved_model.pb").write_text("a model in name only")
assert open_store("store").push("m", export, {}) == 1
raw = {"name": "flowers", "data": {"source": "image_folder", "path": "data"}, "backbone": {"handle": "backbone"}}
print(config.parse(raw, "here").name)
"""
    (project / "program.py").write_text(program)
    assert said(project, sys.executable, "program.py") == "flowers\n"


@pytest.mark.slow
def test_what_a_pipeline_imports_by_path_is_graft_s_own(project):
    """TFX takes user code and artifact types by import path, in whatever directory a worker stands."""
    program = (
        "import importlib; "
        "print([importlib.import_module(name).__name__ for name in ('graft.models.options', 'graft.components.gates', "
        "'graft.monitoring.metrics', 'graft.kubeflow.options')])"
    )
    assert "graft.components.gates" in said(project, sys.executable, "-c", program)


def test_packages_of_others_keep_their_names(tmp_path):
    """`kubeflow` on PyPI is the SDK of the Kubeflow Trainer; `kfp` is what compiles pipelines."""
    others = tmp_path / "others"
    (others / "kubeflow").mkdir(parents=True)
    (others / "kubeflow" / "__init__.py").write_text("owner = 'somebody else'\n")
    program = (
        f"import sys; sys.path.append({str(others)!r}); import graft.kubeflow.cli, kubeflow; print(kubeflow.owner); "
        "import importlib.util; print(importlib.util.find_spec('kfp').origin)"
    )
    owner, kfp = said(tmp_path, sys.executable, "-c", program).splitlines()
    assert owner == "somebody else"
    assert "site-packages" in kfp
