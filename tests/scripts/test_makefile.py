"""`make test` runs everything without oneDNN and what touches the graph with it, and fails if either fails."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def run_tests(folder: pathlib.Path, failing: str) -> tuple[int, list[str]]:
    """Exit code, and one line for each run of pytest: its oneDNN setting and its arguments."""
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\necho "$TF_ENABLE_ONEDNN_OPTS $*" >> {folder}/calls\n[ "$TF_ENABLE_ONEDNN_OPTS" != {failing} ]\n'
    )
    python.chmod(0o755)
    environment = {**os.environ, "PIP_INDEX_URL": "unused", "TF_ENABLE_ONEDNN_OPTS": "7"}
    # Printed, not run: what `make test` installs first is not for a test to touch.
    command = ["make", "-n", "-C", str(ROOT), f"BIN={folder}", "test"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    _, start, recipe = printed.rpartition("failed=0;")
    recipe = recipe.partition("\nmake")[0]
    code = subprocess.run(["bash", "-c", start + recipe], env=environment, capture_output=True).returncode
    return code, (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(("failing", "passes"), [("none", True), ("0", False), ("1", False)])
def test_both_settings_run_and_either_may_fail(tmp_path, failing, passes):
    code, calls = run_tests(tmp_path, failing)
    assert (code == 0) is passes
    everything, graph = calls
    assert everything.startswith("0 -m pytest ") and "-m graph" not in everything
    assert graph.startswith("1 -m pytest ") and "-m graph" in graph


def test_what_ci_runs():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_byte_code_is_written_though_an_image_of_containers_forbids_it():
    environment = {**os.environ, "PIP_INDEX_URL": "unused", "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["make", "--no-print-directory", "-C", str(ROOT), "--eval", "told: ; @env", "told"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "UV_COMPILE_BYTECODE=1" in told and "PYTHONDONTWRITEBYTECODE" not in told
