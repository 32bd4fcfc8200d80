"""How many bytes this process may still take, and who sets the bound."""

import dataclasses
import logging
import pathlib
import resource

from graft.models.errors import GraftError

log = logging.getLogger(__name__)

_PROC = pathlib.Path("/proc")
_CGROUP = pathlib.Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60
"""A control group of version 1 without a limit says a number near 2^63."""


@dataclasses.dataclass(frozen=True)
class Available:
    """What is there.

    Attributes:
        bytes: that may still be taken.
        bound: who says so.
    """

    bytes: int
    bound: str

    def __str__(self) -> str:
        return f"{self.bytes / 1e6:,.0f} MB available, bound by {self.bound}"


def available() -> Available:
    """The narrowest of the machine's free memory, the container's limit and the limits of the process.

    Page cache that the kernel can drop counts as available. Swap does not: a run in it makes no headway.
    """
    return min((*_machine(), *_groups(), *_limits()), key=lambda one: one.bytes)


def require(need: int, stage: str, what: str, lower: str) -> None:
    """Refuses work that cannot fit, before it begins; warns of work that may not.

    Args:
        need: a lower bound in bytes. Who gives it says in its docstring what it leaves out.
        stage: whose work it is.
        what: takes the bytes, in words.
        lower: the key of the configuration to lower.

    Raises:
        GraftError: less is available.
    """
    there = available()
    told = f"{stage}: {what} take at least {need / 1e6:,.0f} MB; {there}"
    if need > there.bytes:
        raise GraftError(f"{told}; lower {lower}")
    if 2 * need > there.bytes:
        log.warning("%s; if memory runs out, lower %s", told, lower)


def _machine() -> list[Available]:
    try:
        fields = dict(line.split(":", 1) for line in (_PROC / "meminfo").read_text().splitlines())
        return [Available(int(fields["MemAvailable"].split()[0]) * 1024, "the machine (MemAvailable)")]
    except (OSError, KeyError, ValueError):  # another system than Linux
        return [Available(_NO_LIMIT, "nothing known")]


def _groups() -> list[Available]:
    """The control groups of this process and those above it, of version 2 and of version 1."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = _CGROUP / "memory" if controllers else _CGROUP
        limit, used = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        )
        folder = top / name.lstrip("/")
        # In a container the name is that of the host, and the files lie at the top.
        for place in dict.fromkeys((folder, *folder.parents)):
            if place.is_relative_to(top):
                found.extend(_group(place, limit, used))
    return found


def _group(folder: pathlib.Path, limit: str, used: str) -> list[Available]:
    try:
        most, taken = int((folder / limit).read_text()), int((folder / used).read_text())
        cache = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group here, or `max`: no limit
        return []
    if most >= _NO_LIMIT:
        return []
    dropped = int(cache.get("total_inactive_file", cache.get("inactive_file", 0)))
    return [Available(max(0, most - taken + dropped), f"the control group {folder}")]


def _limits() -> list[Available]:
    """`ulimit -v` and `ulimit -d`."""
    found = []
    for number, field, name in (
        (resource.RLIMIT_AS, "VmSize", "ulimit -v (RLIMIT_AS)"),
        (resource.RLIMIT_DATA, "VmData", "ulimit -d (RLIMIT_DATA)"),
    ):
        most = resource.getrlimit(number)[0]
        if most == resource.RLIM_INFINITY:
            continue
        try:
            status = dict(line.split(":", 1) for line in (_PROC / "self" / "status").read_text().splitlines())
            taken = int(status[field].split()[0]) * 1024
        except (OSError, KeyError, ValueError):
            taken = 0
        found.append(Available(max(0, most - taken), name))
    return found
