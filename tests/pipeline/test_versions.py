"""What `graft --version` tells, without importing any of it."""

import importlib.metadata
import subprocess
import sys
import textwrap

from graft.pipeline import versions


def test_versions_come_from_the_metadata_alone():
    code = """
        import sys
        from graft.pipeline import cli
        try:
            cli.main(["--version"])
        except SystemExit as end:
            print(end.code, sorted({"tensorflow", "keras", "tfx"} & set(sys.modules)))
    """
    shown = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    names = {"graft": "graft-transfer", "TensorFlow": "tensorflow", "Keras": "keras", "TFX": "tfx"}
    told = {name: importlib.metadata.version(package) for name, package in names.items()}
    expected = {"graft": told.pop("graft"), "Python": sys.version.split()[0], **told}
    assert shown.stdout.splitlines() == [*(f"{name} {version}" for name, version in expected.items()), "0 []"]


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setitem(versions._PACKAGES, "TFX", "no-such-package-of-anybody")
    assert versions.installed()["TFX"] == "not installed"
