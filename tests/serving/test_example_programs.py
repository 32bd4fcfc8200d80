"""The programs of docs/examples ask a real server, as they are written; whatever the language, the answer is one."""

import os
import pathlib
import runpy
import shutil
import subprocess
import sys

import pytest

from graft.monitoring.metrics import Metrics
from graft.serving.server import EmbeddedServer

EXAMPLES = pathlib.Path(__file__).parents[2] / "docs" / "examples"
GO = shutil.which("go")
NO_GO = "needs Go's compiler, `go`, on the PATH: main.go was neither compiled nor run"


@pytest.fixture(scope="module")
def flowers(models):
    """A server with the toy network as `flowers`, and metrics."""
    with EmbeddedServer(models={"flowers": models["images"].parent}, observers=[Metrics()]) as running:
        yield running


@pytest.fixture(scope="module")
def files(png, tmp_path_factory):
    """Two images whose names hold a space."""
    folder = tmp_path_factory.mktemp("some images")
    for name, colour in (("red one", (200, 20, 30)), ("blue one", (20, 30, 200))):
        (folder / f"{name}.png").write_bytes(png(colour))
    return [folder / "red one.png", folder / "blue one.png"]


@pytest.fixture(scope="module")
def expected(flowers, files):
    """The lines that the examples print, from Graft's own client."""
    from graft.serving.client import Client

    with Client(flowers.grpc_address, "flowers") as client:
        answers = client.predict_contents([file.read_bytes() for file in files])
    rows = zip(files, answers, strict=True)
    return [f"{file}: {answer.label} {max(answer.probabilities.values()):.4f}" for file, answer in rows]


@pytest.fixture
def python(monkeypatch, capsys):
    """python(file, *arguments): exit code, standard output and error of a program run in this process."""

    def run(file, *arguments):
        monkeypatch.setattr(sys, "argv", [file, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(EXAMPLES / file), run_name="__main__")
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """The program in Go, compiled once."""
    if GO is None:
        pytest.skip(NO_GO)
    program = tmp_path_factory.mktemp("go") / "predict"
    offline = {**os.environ, "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    subprocess.run([GO, "build", "-buildvcs=false", "-o", program, "."], cwd=EXAMPLES / "go", env=offline, check=True)
    return program


def test_python_by_rest(flowers, files, expected, python):
    code, out, _ = python("predict_rest.py", "--server", flowers.rest_address, *files)
    assert (code, out.splitlines()) == (0, expected)
    code, _, err = python("predict_rest.py", "--server", flowers.rest_address, "--model", "nobody", *files)
    assert (code, err) == (1, "404: Servable not found for request: Latest(nobody)\n")
    assert python("predict_rest.py", "none.png")[0] == 1


def test_python_by_grpc(flowers, files, expected, python):
    code, out, _ = python("predict_grpc.py", "--server", flowers.grpc_address, *files)
    assert (code, out.splitlines()) == (0, expected)
    code, _, err = python("predict_grpc.py", "--server", flowers.grpc_address, "--model", "nobody", *files)
    assert code == 1 and err.startswith("NOT_FOUND: ")


@pytest.mark.slow
def test_go(flowers, files, expected, go):
    asked = [go, "-server", flowers.rest_address]
    done = subprocess.run([*asked, *files], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()) == (0, expected)
    done = subprocess.run([*asked, "-model", "nobody", *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "404 Not Found: Servable not found for request: Latest(nobody)\n",
    )


@pytest.mark.skipif(
    shutil.which("gofmt") is None, reason="needs gofmt on the PATH: the form of main.go was not looked at"
)
def test_go_is_formatted():
    assert subprocess.run(["gofmt", "-l", EXAMPLES / "go"], capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl on the PATH: predict.sh was not run")
def test_curl(flowers, files, expected):
    def run(model):
        words = ["sh", EXAMPLES / "predict.sh", files[0], flowers.rest_address, model]
        return subprocess.run(words, capture_output=True, text=True)

    done = run("flowers")
    label = expected[0].split(": ")[1].split()[0]
    assert done.returncode == 0, done.stderr
    for told in ('"AVAILABLE"', '"image_bytes"', f'"label": "{label}"', 'graft_requests_total{model="flowers"'):
        assert told in done.stdout
    done = run("nobody")
    assert done.returncode != 0 and "Could not find any versions of model nobody" in done.stdout


def test_the_page_names_every_example():
    page = (EXAMPLES.parent / "examples.md").read_text(encoding="utf-8")
    files = [path.relative_to(EXAMPLES.parent).as_posix() for path in EXAMPLES.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert [name for name in files if f"]({name})" not in page] == []
