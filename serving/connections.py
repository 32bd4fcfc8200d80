"""REST connections: how many there are, how long each may take for what, and what happens when files run out.

uvicorn has no time limit for a header or a body, and asyncio's `accept` spins when the process may open no more files.
So connections are taken here, and one sweep looks at all of them several times a second.
"""

import asyncio
import enum
import errno
import functools
import json
import logging
import os
import pathlib
import resource
import socket
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from graft.serving.limits import Limits

_SWEEP_S = 0.25
_ACCEPTED_AT_ONCE = 64
_RETRY_S = 0.1
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Files that are neither connections of REST nor of gRPC: models, logs, event loops.
_SPARE_FILES = 128
_FEWEST_CONNECTIONS = 8
# At the limit a connection must give way if it has been at its header, or silent in its body, for so long; or if its
# body comes so slowly.
_GRACE_S = 1.0
_SLOW_AFTER_S, _SLOW_BYTES_PER_S = 5.0, 16 << 10

logger = logging.getLogger(__name__)


def open_files() -> int:
    """Files, sockets and the like that this process has open."""
    return sum(1 for _ in pathlib.Path("/proc/self/fd").iterdir())


def connections_allowed(wanted: int) -> int:
    """Connections of one of the two transports: `wanted`, or fewer where the process may open too few files."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return wanted
    allowed = max(_FEWEST_CONNECTIONS, (most - open_files() - _SPARE_FILES) // 2)
    if allowed < wanted:
        logger.warning(
            "this process may open %d files: at most %d connections a port, not %d (see `ulimit -n`)",
            *(most, allowed, wanted),
        )
    return min(wanted, allowed)


class Phase(enum.Enum):
    """What a connection is at."""

    IDLE = enum.auto()
    HEADER = enum.auto()
    BODY = enum.auto()
    WORKING = enum.auto()
    CLOSING = enum.auto()


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with time limits; `sweep` is to be called regularly.

    Args:
        limits: for headers, bodies and pauses.
        options: as uvicorn gives them to its protocol.
    """

    def __init__(self, *, limits: Limits, **options: Any):
        super().__init__(**options)
        self._limits = limits
        self._phase = Phase.IDLE
        self._request: object = None
        self._since = self._heard = self.loop.time()
        self._received = 0
        self._unsent = 0
        self._sending_since = self._taken = 0.0

    def data_received(self, data: bytes) -> None:
        """As uvicorn's; notes when."""
        self._heard = self.loop.time()
        self._received += len(data)
        super().data_received(data)

    def on_response_complete(self) -> None:
        """As uvicorn's; the connection is idle from here, not from when it was last heard."""
        self._heard = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for bytes that are no HTTP; it would fail where an answer is under way."""
        self.refuse(400, msg)

    def refuse(self, status: int, message: str) -> None:
        """Answers with an error if nothing was answered yet, and closes."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what the application is still to say goes nowhere
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
            body = json.dumps({"error": message}).encode()
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
            ]
            head = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
            to_head = self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
            events = (head, *(() if to_head else (h11.Data(data=body),)), h11.EndOfMessage())
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()

    @property
    def gone(self) -> bool:
        """Whether only asyncio's next turn stands between this connection and its end."""
        return self.transport.is_closing() and not self.transport.get_write_buffer_size()

    def sweep(self) -> None:
        """Closes the connection if it has taken too long for what it is at."""
        now, limits = self.loop.time(), self._limits
        self._look(now)
        if self.gone:
            return
        if self._unsent and (now - self._taken > limits.stall_s or now - self._sending_since > limits.body_s):
            self.transport.abort()
            return
        age, silence = now - self._since, now - self._heard
        if self._phase is Phase.IDLE and silence > limits.idle_s and not self._unsent:
            self.transport.close()
        elif self._phase is Phase.HEADER and age > limits.header_s:
            self.refuse(408, f"the headers of the request did not come within {limits.header_s:g} s")
        elif self._phase is Phase.BODY and silence > limits.stall_s:
            self.refuse(408, f"nothing of the request body came for {limits.stall_s:g} s")
        elif self._phase is Phase.BODY and age > limits.body_s:
            self.refuse(408, f"the request body did not come within {limits.body_s:g} s")

    def dispensable(self) -> tuple[int, float] | None:
        """Rank among those that may be closed for a newcomer, the least first; None if it may not."""
        now = self.loop.time()
        self._look(now)
        age, silence = now - self._since, now - self._heard
        if self.gone:
            return None
        if self._unsent:
            return (2, self._taken) if now - self._taken > _GRACE_S else None
        if self._phase is Phase.IDLE:
            return 0, self._heard
        if self._phase is Phase.HEADER and age > _GRACE_S:
            return 1, self._since
        slow = age > _SLOW_AFTER_S and self._received < age * _SLOW_BYTES_PER_S
        if self._phase is Phase.BODY and (slow or silence > _GRACE_S):
            return 2, self._since
        return None

    def _look(self, now: float) -> None:
        """Brings what is known of the connection up to `now`."""
        phase = self._current_phase()
        if (phase, self.cycle) != (self._phase, self._request):
            self._phase, self._request, self._since, self._received = phase, self.cycle, now, 0
        unsent = self.transport.get_write_buffer_size()
        if unsent and not self._unsent:
            self._sending_since = now
        if unsent < self._unsent or not self._unsent:
            self._taken = now
        self._unsent = unsent

    def _current_phase(self) -> Phase:
        if self.transport.is_closing():
            return Phase.CLOSING
        if self.conn.their_state is h11.IDLE:
            return Phase.HEADER if self.conn.trailing_data[0] else Phase.IDLE
        return Phase.BODY if self.conn.their_state is h11.SEND_BODY else Phase.WORKING


class GuardedServer(uvicorn.Server):
    """uvicorn's server on one listening socket, with connections taken and watched here.

    Args:
        config: of uvicorn.
        limits: their `connections` is the most that are open at once.
    """

    def __init__(self, config: uvicorn.Config, limits: Limits):
        super().__init__(config)
        self._limits = limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """In place of uvicorn's, which leaves `accept` to asyncio."""
        assert sockets is not None
        acceptor = _Acceptor(self, sockets[0], self._limits)
        acceptor.start()
        self.servers = [acceptor]  # type: ignore[list-item]  # it has what uvicorn calls
        self._sweeper = asyncio.create_task(self._sweep())
        self.started = True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            for connection in list(self.server_state.connections):
                try:
                    connection.sweep()  # type: ignore[union-attr]
                except Exception:
                    # One connection in a state nobody thought of must not end the watch over all others.
                    logger.exception("a connection could not be looked at: closed")
                    connection.transport.abort()


class _Acceptor:
    """Takes connections from a listening socket; at the limit the one that matters least gives way."""

    def __init__(self, server: GuardedServer, listener: socket.socket, limits: Limits):
        self._server, self._listener, self._limits = server, listener, limits
        self._loop = asyncio.get_running_loop()
        self._new: set[asyncio.Task] = set()
        self._closed = False
        self._full_since: float | None = None
        # Given up for a moment to answer one caller when no more files may be opened.
        self._spare: int | None = _open_spare()

    def start(self) -> None:
        """Begins to take connections, or does so again."""
        if not self._closed:
            self._spare = _open_spare() if self._spare is None else self._spare
            self._loop.add_reader(self._listener, self._ready)

    def close(self) -> None:
        """Takes no more; called by uvicorn."""
        self._closed = True
        self._loop.remove_reader(self._listener)
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    async def wait_closed(self) -> None:
        """Called by uvicorn, which waits for the connections itself."""

    def _ready(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            full = self._open() + len(self._new) >= self._limits.connections
            if full and self._new:
                return  # those just taken must be known before one of them can give way
            full = full and not self._make_room()
            if not full:
                self._full_since = None
            elif self._waits_for_room():
                self._pause()
                return
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _NO_FILES:
                    self._out_of_files(error)
                else:  # of the network, as accept(2) says; never a reason to spin
                    logger.warning("a connection could not be taken: %s", error.strerror)
                    self._pause()
                return
            if full:
                logger.warning("%d REST connections are open and at work: one more was refused", self._open())
                _refuse(accepted, f"{self._open()} connections are open, which is the most that this server takes")
            else:
                task = self._loop.create_task(self._connect(accepted))
                self._new.add(task)
                task.add_done_callback(self._new.discard)

    def _waits_for_room(self) -> bool:
        """Whether callers are left in the system's queue for a moment, as slow connections may soon give way."""
        now = self._loop.time()
        self._full_since = now if self._full_since is None else self._full_since
        return now - self._full_since < 2 * _GRACE_S

    def _pause(self) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(_RETRY_S, self.start)

    def _open(self) -> int:
        connections = self._server.server_state.connections
        if len(connections) < self._limits.connections:
            return len(connections)
        return sum(not connection.gone for connection in connections)  # type: ignore[union-attr]

    async def _connect(self, accepted: socket.socket) -> None:
        server = self._server
        factory = functools.partial(
            GuardedProtocol, limits=self._limits, config=server.config, server_state=server.server_state, app_state={}
        )
        try:
            await self._loop.connect_accepted_socket(factory, accepted)
        except OSError as error:
            logger.warning("a connection could not be taken: %s", error)
            accepted.close()

    def _make_room(self) -> bool:
        ranked = [
            (rank, number, connection)
            for number, connection in enumerate(self._server.server_state.connections)
            if (rank := connection.dispensable()) is not None  # type: ignore[union-attr]
        ]
        if not ranked:
            return False
        (kind, _), _, connection = min(ranked)
        logger.warning("REST has no room for one more connection: one that was %s gave way", _KINDS[kind])
        connection.transport.abort()
        return True

    def _out_of_files(self, error: OSError) -> None:
        logger.error("no connection can be taken: %s; open files are the limit (see `ulimit -n`)", error.strerror)
        if self._make_room():
            return  # its file is free by asyncio's next turn
        if self._spare is not None:
            os.close(self._spare)
            try:
                accepted, _ = self._listener.accept()
                _refuse(accepted, "this server can open no more connections")
            except OSError:
                pass  # a caller that went away, or somebody else took the file
            self._spare = _open_spare()  # None if somebody else took it: `start` tries again
        self._pause()


_KINDS = ("idle", "slow in its headers", "slow in its body or at taking its answer")


def _open_spare() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _refuse(accepted: socket.socket, message: str) -> None:
    """Answers 503 without waiting for anything, and closes."""
    body = json.dumps({"error": message})
    answer = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    with accepted:
        try:
            accepted.setblocking(False)
            accepted.send(answer.encode())
            accepted.shutdown(socket.SHUT_WR)
            # What has come and was not read would turn the close into a reset, and the answer could be lost.
            accepted.recv(1 << 16)
        except OSError:
            pass
