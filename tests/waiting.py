"""Waits for what another thread or process does."""

import time
from collections.abc import Callable

LIMIT_S = 60.0


def until(condition: Callable[[], object]) -> None:
    """Raises AssertionError: it does not come true."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"in vain for {LIMIT_S} s"
        time.sleep(0.02)
