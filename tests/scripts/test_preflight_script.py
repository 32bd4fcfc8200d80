"""What the set-up says of a machine that cannot hold the environment: one line that says what to do."""

import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "preflight.sh"


def preflight(python: str, **environment: str) -> tuple[int, list[str]]:
    """Exit code, and the lines on stderr."""
    result = subprocess.run(
        [SCRIPT, python], env={**os.environ, "GRAFT_MIN_FREE_KB": "1", **environment}, capture_output=True, text=True
    )
    assert result.stdout == ""
    return result.returncode, result.stderr.splitlines()


def fake_python(folder: pathlib.Path, body: str) -> str:
    path = folder / "python3.11"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the locked environment is one of Python 3.11")
def test_a_good_machine_passes_silently():
    assert preflight(sys.executable) == (0, [])


def test_no_such_python():
    message = "graft: no 'no-such-python' found; install Python 3.11 or name it: make PYTHON=/path/to/python3.11"
    assert preflight("no-such-python") == (1, [message])


def test_another_version_of_python(tmp_path):
    python = fake_python(tmp_path, "echo 3.9")
    message = (
        f"graft: the locked environment needs Python 3.11, '{python}' is 3.9; name one: make PYTHON=/path/to/python3.11"
    )
    assert preflight(python) == (1, [message])


def test_a_python_that_does_not_run(tmp_path):
    python = fake_python(tmp_path, "exit 3")
    message = f"graft: '{python}' does not run; name a Python 3.11: make PYTHON=/path/to/python3.11"
    assert preflight(python) == (1, [message])


def test_a_python_without_venv(tmp_path):
    python = fake_python(tmp_path, 'case "$2" in *version*) echo 3.11;; *) exit 1;; esac')
    assert preflight(python) == (1, ["graft: this Python lacks venv; on Debian: apt-get install python3.11-venv"])


def test_no_compiler():
    code, lines = preflight(sys.executable, CC="no-such-compiler")
    assert code == 1 and len(lines) == 1
    assert lines[0].startswith("graft: no C compiler 'no-such-compiler'; ")
    assert lines[0].endswith("on Debian: apt-get install gcc python3-dev")


def test_a_full_disk():
    code, lines = preflight(sys.executable, GRAFT_MIN_FREE_KB="999999999999999")
    assert code == 1 and len(lines) == 1
    assert lines[0].startswith("graft: only ") and lines[0].endswith("the environment and a run need 8 GB")
