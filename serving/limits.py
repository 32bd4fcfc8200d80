"""What one server takes from all of its clients together, and for how long it waits for any of them."""

import dataclasses
import threading
from collections.abc import Mapping

from graft.models.errors import GraftError

REST_TIMEOUT_S = 30.0
"""How long a REST request may take, as upstream; gRPC's may bring a deadline of their own and get more."""
GRPC_TIMEOUT_S = 120.0


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds that hold whoever calls. Times are in seconds.

    Attributes:
        connections: open connections of REST, and as many of gRPC; fewer where the process may open fewer files.
        idle_s: a connection on which nothing is asked is closed.
        header_s: from the first byte of a REST request to the end of its headers.
        body_s: from the headers of a request to the end of its body or message, REST and gRPC.
        stall_s: a REST body of which nothing comes, or an answer of which nothing is taken, for so long.
        header_bytes: request line and headers of REST, metadata of gRPC.
        headers: header lines of a REST request.
        pending_bytes: bodies and messages that are held at once, REST and gRPC together, from their first byte to the
            end of their prediction.
        receiving: gRPC messages that may be on their way at once; one more ends the oldest that has taken a second.
        streams: calls at once on one gRPC connection.
        connection_age_s: a gRPC connection is asked to make room for a new one; calls under way end on it.
        announced: by the unit of a guard (`pixels`), the most that all strings of one request may announce;
            the guard's own limit where it is not named (see `models.inputs.guards`).

    Raises:
        GraftError: one of them is not more than 0.
    """

    connections: int = 512
    idle_s: float = 60.0
    header_s: float = 10.0
    body_s: float = 60.0
    stall_s: float = 10.0
    header_bytes: int = 16 << 10
    headers: int = 100
    pending_bytes: int = 256 << 20
    receiving: int = 32
    streams: int = 128
    connection_age_s: float = 1800.0
    announced: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        bounds = {name: value for name, value in vars(self).items() if name != "announced"}
        for name, value in (bounds | {f"announced.{unit}": most for unit, most in self.announced.items()}).items():
            if value <= 0:
                raise GraftError(f"limits.{name} is {value}; it must be more than 0")


class ByteBudget:
    """Bytes of bodies under way, shared by all connections; may be called from any thread.

    A quarter is kept for small bodies, so that a few large ones that never end do not shut out the rest.

    Args:
        total: bytes held at once.
    """

    SMALL = 1 << 20

    def __init__(self, total: int):
        self.total = total
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes taken and not given back."""
        with self._lock:
            return self._held

    @property
    def largest(self) -> int:
        """The most that one body may hold."""
        return self.total * 3 // 4

    def fits(self, size: int) -> bool:
        """Whether a body of `size` bytes would be taken now."""
        with self._lock:
            return self._held + size <= self._limit(size)

    def claim(self) -> "Claim":
        """A claim of nothing yet, for one body."""
        return Claim(self)

    def take(self, size: int, more: int) -> bool:
        """Takes `more` bytes for a body that holds `size` already, if they are to be had."""
        with self._lock:
            if self._held + more > self._limit(size + more):
                return False
            self._held += more
            return True

    def give_back(self, size: int) -> None:
        """Gives bytes back."""
        with self._lock:
            self._held -= size

    def _limit(self, size: int) -> int:
        return self.total if size <= self.SMALL else self.largest


class Claim:
    """The bytes that one body holds of a budget."""

    def __init__(self, budget: ByteBudget):
        self._budget = budget
        self._size = 0
        self._lock = threading.Lock()
        self._ended = False

    def grow(self, more: int) -> bool:
        """Takes `more` bytes; False if the budget does not have them."""
        with self._lock:
            if self._ended or not self._budget.take(self._size, more):
                return False
            self._size += more
            return True

    def release(self) -> None:
        """Gives all back; a second time does nothing."""
        with self._lock:
            size, self._size, self._ended = self._size, 0, True
        self._budget.give_back(size)
