"""Writers of a store on S3 that are killed with SIGKILL at any request, and several at once, each a process."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from s3_loopback import client

from graft.serving.s3_store import S3Store
from graft.serving.store import open_store

CHILD = pathlib.Path(__file__).with_name("crashing_s3_push.py")


def start(address: str, export: pathlib.Path, kill_at: int = 0, when: str = "never") -> subprocess.Popen:
    command = [sys.executable, str(CHILD), address, str(export), str(kill_at), when]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(child: subprocess.Popen) -> str:
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    return out


def duplicate(address: str, name: str) -> str:
    """Copies a store within its bucket."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    for item in client().list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]:
        source = {"Bucket": bucket, "Key": item["Key"]}
        client().copy_object(Bucket=bucket, Key=name + item["Key"][len(prefix) :], CopySource=source)
    return f"s3://{bucket}/{name}"


@pytest.mark.slow
def test_killed_at_any_request_the_store_serves_a_whole_version(s3, exports):
    """SIGKILL at every fourth request of a push with retention, before it or after; then the same push by another."""
    template = open_store(s3, keep=1)
    for export in exports[:2]:
        template.push("m", export, {})
    (exports[2] / "large").write_bytes(os.urandom(12 << 20))
    requests = int(finish(start(duplicate(s3, "rehearsal"), exports[2])).split()[1])
    assert requests > 25
    outcomes, left = set(), 0
    for number, kill_at in enumerate(range(1, requests + 1, 4)):
        address = duplicate(s3, f"store{kill_at}")
        child = start(address, exports[2], kill_at, ("after", "before")[number % 2])
        assert child.wait(60) == -signal.SIGKILL, child.stderr.read()
        store = S3Store(address, keep=1, leftover_s=0)
        served = store.current("m").version
        assert served in (2, 3)
        assert store.verify("m") == [], f"killed at request {kill_at}"
        assert set(store.versions("m")) <= {1, 2, 3}
        outcomes.add(served)
        left += bool(store.unfinished())
        # Numbers that a dead writer holds are passed over, or freed first.
        version = store.push("m", exports[2], {})
        assert version in (3, 4) and store.current("m").version == version
        assert store.verify("m") == [] and store.unfinished() == []
        assert f"versions: {version} " in store.models_config() and store.config_follows()
        store.push("m", exports[3], {})
        assert store.versions("m") == [version, version + 1], "retention goes on"
    assert outcomes == {2, 3} and left > 2


@pytest.mark.slow
def test_killed_at_random_moments(s3, exports):
    store = S3Store(s3, keep=2, leftover_s=0)
    store.push("m", exports[0], {})
    for number in (1, 2):
        (exports[number] / "large").write_bytes(os.urandom(15 << 20))
    generator = random.Random(0)
    for round_number in range(6):
        child = start(s3, exports[1 + round_number % 2])
        time.sleep(generator.uniform(0.4, 1.6))
        child.kill()
        child.communicate()
        assert store.verify("m") == []
    store.push("m", exports[3], {})
    assert store.unfinished() == []


@pytest.mark.slow
def test_processes_that_push_at_once_lose_nothing(s3, exports):
    open_store(s3).push("m", exports[0], {})
    children = [start(s3, export) for export in exports[1:6]]
    versions = sorted(int(finish(child).split()[0]) for child in children)
    assert versions == [2, 3, 4, 5, 6]
    store = open_store(s3)
    assert store.current("m").version == 6 and store.versions("m")[-1] == 6
    assert store.verify("m") == [] and store.unfinished() == [] and store.config_follows()
