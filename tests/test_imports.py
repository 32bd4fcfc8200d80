"""Imports go one way only, and the command line starts without TensorFlow."""

import graphlib
import pathlib
import re
import resource
import subprocess
import sys

import grimp
import pytest

ROOT = pathlib.Path(__file__).parents[1]
LINT = pathlib.Path(sys.executable).with_name("lint-imports")


def lint(folder: pathlib.Path) -> subprocess.CompletedProcess:
    return subprocess.run([LINT, "--no-cache"], cwd=folder, capture_output=True, text=True)


def test_the_layers_hold():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


def test_models_and_serving_know_nothing_of_tfx_but_its_transform():
    tfx = re.compile(
        r"^\s*(?:import|from) (tfx|tfx_bsl|tensorflow_(?:transform|data_validation|model_analysis))\b", re.M
    )
    files = [path for package in ("models", "serving") for path in (ROOT / package).rglob("*.py")]
    found = {(path.relative_to(ROOT).as_posix(), name) for path in files for name in tfx.findall(path.read_text())}
    assert found == {("models/preprocessing.py", "tensorflow_transform")}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("graft", cache_dir=None)  # imports for type checking count, too


@pytest.mark.parametrize("package", ["components", "serving", "pipeline", "monitoring", "kubeflow"])
def test_modules_import_one_another_one_way(graph, package):
    modules = {module for module in graph.modules if f"{module}.".startswith(f"graft.{package}.")}
    order = graphlib.TopologicalSorter(
        {module: graph.find_modules_directly_imported_by(module) & modules for module in modules}
    )
    assert f"graft.{package}" in order.static_order()  # raises CycleError, which names the circle


def test_an_import_upwards_breaks_them(tmp_path):
    contracts = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(contracts[contracts.index("[tool.importlinter]") :])
    for package in ("", "pipeline", "components", "models", "serving", "monitoring", "kubeflow"):
        (tmp_path / "graft" / package).mkdir()
        (tmp_path / "graft" / package / "__init__.py").write_text("")
    assert lint(tmp_path).returncode == 0
    (tmp_path / "graft" / "models" / "__init__.py").write_text("import graft.pipeline\n")
    result = lint(tmp_path)
    assert result.returncode == 1
    assert "graft.models is not allowed to import graft.pipeline" in result.stdout


@pytest.mark.parametrize(
    ("module", "light"),
    [("graft.pipeline.cli", ()), ("graft.pipeline.config", ()), ("graft.pipeline.run", ("ml_metadata", "grpc"))],
)
def test_a_light_module_loads_no_heavy_package(module, light):
    heavy = {"tensorflow", "tfx", "keras", "apache_beam", "kfp", "ml_metadata", "sklearn", "grpc"} - {*light}
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_help_is_at_once_there():
    """Processor seconds beside those of two small libraries that it needs; TensorFlow would take a hundred times."""

    def seconds(*arguments: str) -> float:
        start = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - start

    rounds = [(seconds("-m", "graft.pipeline.cli", "--help"), seconds("-c", "import pydantic, yaml")) for _ in range(3)]
    ours, theirs = (min(one) for one in zip(*rounds, strict=True))
    assert ours < 8 * theirs, rounds


@pytest.mark.slow
def test_client_and_server_in_one_process_in_either_order():
    """The client's messages come without TensorFlow; the server's then bring it."""
    for order in (("client", "server"), ("server", "client")):
        program = "; ".join(f"import graft.serving.{name}" for name in order)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
