"""Child of test_s3_kills.py: pushes to S3, and kills itself with SIGKILL before or after the given request."""

import os
import signal
import sys

from graft.serving import s3_bucket
from graft.serving.store import open_store


def main(store: str, source: str, kill_at: int, when: str) -> None:
    s3_bucket.PART_BYTES = 5 << 20  # the least that S3 takes: a test's file goes up in parts
    calls = 0
    real = s3_bucket.Bucket._call

    def call(self, operation, **arguments):
        nonlocal calls
        calls += 1
        mine = calls
        if mine == kill_at and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return real(self, operation, **arguments)
        finally:
            if mine == kill_at and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)

    s3_bucket.Bucket._call = call
    print(open_store(store, keep=1).push("m", source, {"run": "child"}), calls)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
