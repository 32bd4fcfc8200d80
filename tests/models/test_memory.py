"""How much memory is left, who says so, and what is refused for want of it."""

import logging
import resource
import subprocess
import sys

import pytest

from graft.models import memory
from graft.models.errors import GraftError

MB = 10**6


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(cgroup, {file: content}): a /proc and a /sys/fs/cgroup of 8 GB of free memory, with a group."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")

    def make(membership: str, files: dict[str, str]) -> None:
        (tmp_path / "proc" / "self" / "cgroup").write_text(membership)
        for name, content in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return make


def test_a_machine_without_limits(machine):
    machine("", {})
    assert memory.available() == memory.Available(8_000_000 * 1024, "the machine (MemAvailable)")
    assert str(memory.available()) == "8,192 MB available, bound by the machine (MemAvailable)"


def test_a_group_of_version_2_and_the_narrower_one_above_it(machine):
    files = {
        "pod/memory.max": f"{1000 * MB}\n",
        "pod/memory.current": f"{700 * MB}\n",
        "pod/memory.stat": f"anon 5\ninactive_file {100 * MB}\n",
        "pod/box/memory.max": "max\n",
        "pod/box/memory.current": "5\n",
        "pod/box/memory.stat": "inactive_file 0\n",
    }
    machine("0::/pod/box\n", files)
    found = memory.available()
    assert found.bytes == 400 * MB and found.bound.endswith("/cgroup/pod")


def test_a_group_of_version_1_whose_files_lie_at_the_top(machine):
    files = {
        "memory/memory.limit_in_bytes": f"{500 * MB}",
        "memory/memory.usage_in_bytes": f"{600 * MB}",
        "memory/memory.stat": "total_inactive_file 0\n",
    }
    machine("3:cpu:/docker/a1\n4:cpu,memory:/docker/a1\n", files)
    assert memory.available().bytes == 0


def test_a_group_of_version_1_without_a_limit(machine):
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": "5",
        "memory/memory.stat": "total_inactive_file 0\n",
    }
    machine("4:memory:/\n", files)
    assert memory.available().bound == "the machine (MemAvailable)"


@pytest.mark.parametrize(("number", "name"), [(resource.RLIMIT_AS, "-v"), (resource.RLIMIT_DATA, "-d")])
def test_a_limit_of_the_process(number, name):
    script = (
        f"import resource; resource.setrlimit({number}, (2 * 10**9, 2 * 10**9)); "
        "from models import memory; print(memory.available())"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert f"bound by ulimit {name}" in said
    assert 1000 < int(said.split()[0].replace(",", "")) < 2000


def test_work_that_cannot_fit_is_refused_and_work_that_may_not_is_warned_of(monkeypatch, caplog):
    monkeypatch.setattr(memory, "available", lambda: memory.Available(1000 * MB, "me"))
    with caplog.at_level(logging.WARNING):
        memory.require(500 * MB, "train", "batches", "the key")
        assert caplog.text == ""
        memory.require(501 * MB, "train", "batches", "the key")
    assert "train: batches take at least 501 MB; 1,000 MB available, bound by me; if memory" in caplog.text
    with pytest.raises(GraftError) as refused:
        memory.require(1001 * MB, "train", "batches", "the key")
    assert str(refused.value) == "train: batches take at least 1,001 MB; 1,000 MB available, bound by me; lower the key"
