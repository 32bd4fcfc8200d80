"""Child of test_folder_store.py: pushes, and kills itself with SIGKILL at the given disk operation."""

import os
import shutil
import signal
import sys

from graft.serving.store import open_store

_OPERATIONS = (
    (os, "fsync"),
    (os, "rename"),
    (os, "replace"),
    (os, "mkdir"),
    (os, "unlink"),
    (os, "rmdir"),
    (shutil, "copyfileobj"),
)


def main(store: str, source: str, kill_at: int, when: str) -> None:
    calls = 0

    def wrap(function):
        def wrapped(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == kill_at and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if calls == kill_at and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    for module, name in _OPERATIONS:
        setattr(module, name, wrap(getattr(module, name)))
    open_store(store, keep=1).push("m", source, {"run": "child"})
    print(calls)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
