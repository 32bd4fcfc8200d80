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


def test_a_good_machine_passes_silently():
    assert preflight(sys.executable) == (0, [])


def test_no_such_python():
    message = "graft: no 'no-such-python' found; install Python 3.11 or name it: make PYTHON=/path/to/python3.11"
    assert preflight("no-such-python") == (1, [message])


def test_another_version_of_python(tmp_path):
    python = fake_python(tmp_path, "echo 3.9")
    message = (
        "graft: the locked environment needs Python 3.11, or 3.12 or 3.13 with glibc 2.39 or newer; "
        f"'{python}' is 3.9; name one: make PYTHON=/path/to/python3.11"
    )
    assert preflight(python) == (1, [message])


def test_a_python_that_does_not_run(tmp_path):
    python = fake_python(tmp_path, "exit 3")
    message = f"graft: '{python}' does not run; name a Python 3.11: make PYTHON=/path/to/python3.11"
    assert preflight(python) == (1, [message])


def test_a_python_without_venv(tmp_path):
    python = fake_python(tmp_path, 'case "$2" in *version*) echo 3.11;; *) exit 1;; esac')
    assert preflight(python) == (1, ["graft: this Python lacks venv; on Debian: apt-get install python3-venv"])


@pytest.mark.parametrize(
    ("version", "glibc", "lock"),
    [
        ("3.11", "2.31", "requirements.lock"),
        ("3.11", "2.41", "requirements.lock"),
        ("3.12", "2.39", "requirements-tfx121.lock"),
        ("3.13", "2.41", "requirements-tfx121.lock"),
        ("3.13", "3.0", "requirements-tfx121.lock"),
        ("3.13", "2.39.9000", "requirements-tfx121.lock"),
        ("3.12", "2.36", None),
        ("3.13", "", None),
        ("3.14", "2.41", None),
        ("3.10", "2.41", None),
    ],
)
def test_python_and_c_library_choose_the_lock(tmp_path, version, glibc, lock):
    answer = f"echo {glibc}" if glibc else "exit 1"
    python = fake_python(tmp_path, f'case "$2" in *confstr*) {answer};; *version*) echo {version};; esac')
    result = subprocess.run([SCRIPT.with_name("stack.sh"), python], capture_output=True, text=True)
    if lock is None:
        assert result.returncode == 1 and result.stdout == "" and len(result.stderr.splitlines()) == 1
        assert "glibc 2.39 or newer" in result.stderr and "make PYTHON=/path/to/python3.11" in result.stderr
    else:
        assert (result.returncode, result.stdout, result.stderr) == (0, f"{lock}\n", "")
        assert (SCRIPT.parents[1] / lock).is_file()


@pytest.mark.parametrize("system", ["Darwin arm64", "Linux aarch64"])
def test_a_system_without_packages(system):
    code, lines = preflight(sys.executable, GRAFT_SYSTEM=system)
    assert code == 1 and lines == [
        f"graft: TFX has packages for Linux on x86_64 only, this is {system}; use such a machine, or a container or "
        "virtual machine of that kind"
    ]


def test_no_compiler():
    code, lines = preflight(sys.executable, CC="no-such-compiler")
    assert code == 1 and len(lines) == 1
    assert lines[0].startswith("graft: no C compiler 'no-such-compiler'; ")
    assert lines[0].endswith("on Debian: apt-get install gcc g++ python3-dev")


def test_a_full_disk():
    code, lines = preflight(sys.executable, GRAFT_MIN_FREE_KB="999999999999999")
    assert code == 1 and len(lines) == 1
    assert lines[0].startswith("graft: only ") and lines[0].endswith("the environment and a run need 8 GB")
