"""`make audit`: what the list says of the lock, and what happens when OSV names more or cannot be asked."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LOCK = (
    "good==1.0 \\\n    --hash=sha256:00\n    # via x\nbad-thing==2.5 ; python_version < '4' \\\n    --hash=sha256:11\n"
)
ENTRY = """
[[advisory]]
id = "CVE-1"
aliases = ["GHSA-1"]
package = "bad-thing"
affected = "<{below}"
summary = "It runs code."
reachable = {reachable}
why = "It reads files from outside."
guard = "{guard}"
"""


def audit(folder: pathlib.Path, entry: str, osv: str | None = None) -> tuple[int, str]:
    """Exit code and output; `osv` is what a pip-audit of the test's own prints."""
    (folder / "requirements.lock").write_text(LOCK)
    (folder / "advisories.toml").write_text("reviewed = 2026-01-02\n" + entry)
    command = [sys.executable, str(ROOT / "scripts" / "audit.py"), "--lock", str(folder / "requirements.lock")]
    command += ["--advisories", str(folder / "advisories.toml")]
    if osv is not None:
        tool = folder / "pip-audit"
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{osv}\nEND\necho 'no route to host' >&2\n")
        tool.chmod(0o755)
        command += ["--pip-audit", str(tool)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("below", "reachable", "guard", "code", "words"),
    [
        ("3", "true", "", 1, "REACHABLE            CVE-1  bad-thing 2.5: It runs code."),
        ("3", "true", "A hotfix.", 0, "reachable, guarded   CVE-1"),
        ("3", "false", "", 0, "not reachable        CVE-1"),
        ("2.5", "true", "", 0, "2 packages"),
    ],
)
def test_verdicts_of_the_list(tmp_path, below, reachable, guard, code, words):
    entry = ENTRY.format(below=below, reachable=reachable, guard=guard)
    found, said = audit(tmp_path, entry)
    assert (found, words in said) == (code, True)
    assert "NOT ASKED: the OSV database" in said
    assert ("CVE-1" in said) is (below == "3")


def test_what_osv_names_must_have_been_reviewed(tmp_path):
    entry = ENTRY.format(below="3", reachable="true", guard="A hotfix.")
    vulnerability = {"id": "PYSEC-9", "aliases": ["GHSA-1"]}
    package = {"name": "bad-thing", "version": "2.5", "vulns": [vulnerability]}
    code, said = audit(tmp_path, entry, json.dumps({"dependencies": [package]}))
    assert code == 0 and "OSV names 1 vulnerabilities, 0 of them not reviewed" in said
    package["vulns"].append({"id": "CVE-2", "aliases": []})
    code, said = audit(tmp_path, entry, json.dumps({"dependencies": [package]}))
    assert code == 1 and "NOT REVIEWED         CVE-2  bad-thing 2.5" in said


def test_an_osv_that_cannot_be_asked_is_told(tmp_path):
    code, said = audit(tmp_path, ENTRY.format(below="3", reachable="false", guard=""), "")
    assert code == 0
    assert "NOT ASKED: the OSV database (no route to host). The list alone was used" in said


def test_the_list_names_only_packages_of_the_lock():
    """An entry that no longer applies goes, or it hides a typo in the package's name."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "audit.py")], capture_output=True, text=True, check=True
    )
    entries = (ROOT / "scripts" / "advisories.toml").read_text().count("[[advisory]]")
    assert sum(done.stdout.count(word) for word in ("not reachable  ", "reachable, guarded  ")) == entries


def test_every_lock_is_hashed_and_names_no_index():
    for name in ("requirements.lock", "requirements-uv.lock", "requirements-audit.lock"):
        text = (ROOT / name).read_text()
        pins = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
        assert pins and all(line.endswith("\\") for line in pins) and "--hash=sha256:" in text
        assert "index-url" not in text and "://" not in text


def test_uv_is_installed_by_its_hash():
    makefile = (ROOT / "Makefile").read_text()
    assert "pip install -q --require-hashes -r requirements-uv.lock" in makefile
    assert "pip install -q uv" not in makefile
