"""A few hundred mutated files of every kind, and that the fuzzer tells a crash and a traceback."""

import os
import subprocess
import sys

import fuzz_files
import pytest

pytestmark = pytest.mark.slow

# Stands in for a library that the reader of TFRecords calls: it crashes once, then raises what nobody expects.
BROKEN_LIBRARY = """
import os, sys
def value(data):
    if sys._getframe(1).f_code.co_filename.endswith("tfrecord_file.py"):
        if not os.path.exists({mark!r}):
            os.mkdir({mark!r})
            os.abort()
        raise KeyError("of the library")
    return 0
"""


def test_mutated_files_are_used_quarantined_or_refused(tmp_path):
    command = [sys.executable, fuzz_files.__file__, "--files", "420", "--seed", "7", "--keep", str(tmp_path / "keep")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "420 files, seed 7, " in done.stdout and done.stdout.rstrip().endswith(" 0 failures")
    table = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in done.stdout.splitlines()[1:16]}
    assert set(table) == {*fuzz_files.KINDS, "all"}
    assert all(row[0] == 30 and row[1] > 0 for kind, row in table.items() if kind not in ("all", "folders")), table
    assert not (tmp_path / "keep").exists()


def test_a_crash_and_a_traceback_are_failures_and_their_files_are_kept(tmp_path, monkeypatch):
    (tmp_path / "google_crc32c.py").write_text(BROKEN_LIBRARY.format(mark=str(tmp_path / "mark")))
    paths = (str(tmp_path), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    (tmp_path / "keep").mkdir()
    kinds = fuzz_files.KINDS.index("TFRecord"), fuzz_files.KINDS.index("TFRecord.gz")
    run = fuzz_files.Run(kinds[1] + 1, 0, 600, tmp_path / "keep")
    run.done = kinds[0]
    run.go()
    first, second = run.failures
    assert f"case {kinds[0]} (TFRecord), kept in " in first and first.endswith("crash: exit code -6")
    assert f"case {kinds[1]} (TFRecord.gz), kept in " in second and "failed KeyError at " in second
    assert len(list((tmp_path / "keep").glob("*/file"))) == 2


def test_the_same_seed_makes_the_same_files(tmp_path):
    def written(name: str, seed: int) -> dict:
        cases = fuzz_files.Cases(seed, tmp_path / name)
        folders = [cases.write(number)[1] for number in range(2 * len(fuzz_files.KINDS) - 1)]
        files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
        return {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files}

    assert written("one", 3) == written("two", 3) != written("three", 4)
