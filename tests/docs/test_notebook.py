"""docs/digits.ipynb, cell by cell as Jupyter would run it."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import docs_pages as pages
import pytest

NOTEBOOK = pages.TOP / "docs" / "digits.ipynb"


def cells() -> list[str]:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    assert not any(cell.get("outputs") for cell in content["cells"]), "figures would be those of an old commit"
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


def run_cells(folder: pathlib.Path) -> list:
    """What each cell shows; this function is also what the process below runs."""
    os.chdir(folder)
    names: dict = {}
    shown = []
    for source in cells():
        *body, last = ast.parse(source).body
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
            shown.append(None)
    return shown


def main(folder: pathlib.Path) -> None:
    _, trained, run, figures, labels, probabilities, same = run_cells(folder)
    assert float(trained.split()[0]) > 0.9
    assert run.passed and run.version == 1 and (figures[1], figures[2]) == (1, "report.html") and figures[0] >= 0.8
    head = run._repr_html_()
    assert head.startswith('<iframe sandbox=""') and "digits" in head and "max_rejected" in head
    assert "Timings" not in head and "<nav" not in head
    assert len(labels) == 3 and all(name.endswith(".png") and label in "56789" for name, label in labels)
    assert [sum(one.values()) for one in probabilities] == pytest.approx([1.0, 1.0], abs=1e-5)
    assert same is True


@pytest.mark.slow
def test_every_cell_runs_and_says_what_it_should_and_nothing_else(tmp_path):
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, timeout=600, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == ""
    told = done.stderr.splitlines()
    assert not [line for line in told if "WARNING:root" in line or "WARNING:tensorflow" in line], "graft.run is quiet"


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
