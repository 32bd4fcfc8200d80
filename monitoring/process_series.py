"""Series of this process, with the names that Prometheus' client libraries give them, and what was built into it.

https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
"""

import contextlib
import functools
import importlib.metadata
import platform
import resource

import psutil

from graft.models import installation, memory
from graft.monitoring.exposition import head, line

PACKAGES = (installation.DISTRIBUTION, "tensorflow", "keras", "grpcio")
"""Whose versions `graft_build_info` names; one that is not installed by that name is empty."""


def lines() -> list[str]:
    """All of them in the text format."""
    process = psutil.Process()
    with process.oneshot():
        times, taken = process.cpu_times(), process.memory_info()
        found = [
            ("process_cpu_seconds_total", "counter", "Processor time.", times.user + times.system),
            ("process_resident_memory_bytes", "gauge", "Resident memory.", taken.rss),
            ("process_virtual_memory_bytes", "gauge", "Virtual memory.", taken.vms),
            ("process_start_time_seconds", "gauge", "Start, since 1970.", process.create_time()),
            ("process_open_fds", "gauge", "Open files.", process.num_fds()),
            ("process_max_fds", "gauge", "Files that may be open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
            ("process_threads", "gauge", "Threads.", process.num_threads()),
            ("graft_memory_available_bytes", "gauge", "Memory that may still be taken.", memory.available().bytes),
        ]
    made = [text for name, kind, help, value in found for text in (*head(name, kind, help), line(name, (), value))]
    return [*made, *head("graft_build_info", "gauge", "Versions, as labels."), _build_info()]


@functools.cache
def _build_info() -> str:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        versions[name] = ""
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return line("graft_build_info", [("version", versions.pop(installation.DISTRIBUTION)), *versions.items()], 1)
