"""Who holds a pipeline's lock, and whether that process lives.

A number of a process is given again, a clock may be set, and a folder may be shared by machines. So a process is known
by its number, by when it was started in ticks since the boot, by the boot and by its namespace of processes.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import socket
from typing import IO

from graft.models import durable

LOCK = "lock"
_BOOT, _NAMESPACE = pathlib.Path("/proc/sys/kernel/random/boot_id"), "/proc/self/ns/pid"
_MOST_BYTES = 4096


@dataclasses.dataclass(frozen=True)
class Holder:
    """The process that took the lock last; it may be gone.

    Attributes:
        pid: its number.
        started: ticks of the kernel's clock from the boot to its start.
        boot: id of the boot of its machine.
        namespace: inode of its namespace of processes: containers of one machine have their own numbers.
        host: name of its machine.
        run: id of the run it is at, empty before there is one.
    """

    pid: int
    started: int
    boot: str
    namespace: int
    host: str
    run: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether it belongs to another machine or container, whose processes cannot be looked at from here."""
        here = _here()
        if (self.boot, self.namespace) == (here.boot, here.namespace):
            return False
        # The same machine after another boot: whatever ran there is gone.
        return self.host != here.host or self.boot == here.boot

    @property
    def lives(self) -> bool:
        """Whether it is certain that it still runs."""
        here = _here()
        same = (self.boot, self.namespace) == (here.boot, here.namespace)
        return same and _started(self.pid) == self.started


def _here() -> Holder:
    return Holder(
        os.getpid(),
        _started(os.getpid()) or 0,
        _BOOT.read_text(encoding="ascii").strip(),
        os.stat(_NAMESPACE).st_ino,  # noqa: PTH116 - a link that resolves to no path
        socket.gethostname(),
    )


def _started(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)); None for a process that is gone, or dead and not yet waited for."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name of the program, in brackets, may hold anything.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def note(file: IO[str], run: str = "") -> None:
    """Writes this process into the lock file that it holds, in one write: others read it at any time."""
    content = json.dumps(dataclasses.asdict(dataclasses.replace(_here(), run=run))).encode() + b"\n"
    os.pwrite(file.fileno(), content, 0)
    os.ftruncate(file.fileno(), len(content))


def read(root: pathlib.Path) -> Holder | None:
    """Who took the lock of the pipeline in `root` last; None if nobody did, or it says nothing sound.

    To try the lock instead would stand in a run's way.
    """
    try:
        return _parsed(durable.read_small(root / LOCK, _MOST_BYTES).decode())
    except (OSError, ValueError):
        return None


def told(text: str) -> str:
    """The holder in a few words for a message, from the text of the lock file."""
    holder = _parsed(text)
    if holder is None:
        return "process unknown"
    return f"process {holder.pid}" + (f" on {holder.host}" if holder.elsewhere else "")


def _parsed(text: str) -> Holder | None:
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        holder = Holder(**json.loads(text.partition("\n")[0]))
        if all(type(getattr(holder, field.name)) is field.type for field in dataclasses.fields(Holder)):
            return holder
    return None
