"""As much of HTTP/2 (RFC 9113) and of gRPC's framing as a client needs that does not keep to them."""

import socket
import struct
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_INITIAL_WINDOW_SIZE = 4


def frame(kind: int, flags: int = 0, stream: int = 0, content: bytes = b"") -> bytes:
    """One frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


def call(stream: int, method: str) -> bytes:
    """The headers of a gRPC call, written out in full (RFC 7541, section 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(b"\0" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in fields.items())
    return frame(_HEADERS, _END_HEADERS, stream, block)


def message(stream: int, content: bytes, claimed: int | None = None) -> bytes:
    """A gRPC message; with `claimed` beyond its length it is not all of it."""
    size = len(content) if claimed is None else claimed
    end = _END_STREAM if size == len(content) else 0
    return frame(_DATA, end, stream, b"\0" + struct.pack(">I", size) + content)


class Peer:
    """A connection that keeps alive what it can: it confirms settings and answers pings.

    Args:
        connection: fresh, with a timeout.
        window: what may be sent on a stream at first; None leaves it at 64 KiB.
    """

    def __init__(self, connection: socket.socket, window: int | None = None):
        self._connection = connection
        self._sending = threading.Lock()
        self._closed = threading.Event()
        settings = b"" if window is None else struct.pack(">HI", _INITIAL_WINDOW_SIZE, window)
        self.send(PREFACE + frame(_SETTINGS, content=settings))
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, content: bytes) -> None:
        """Sends whole frames."""
        with self._sending:
            self._connection.sendall(content)

    def closed(self, timeout_s: float) -> bool:
        """Waits until the server has closed."""
        return self._closed.wait(timeout_s)

    def _read(self) -> None:
        received = b""
        try:
            while chunk := self._connection.recv(1 << 16):
                received += chunk
                while len(received) >= 9 and len(received) >= 9 + (size := int.from_bytes(received[:3])):
                    kind, flags, content = received[3], received[4], received[9 : 9 + size]
                    if kind in (_PING, _SETTINGS) and not flags & _ACK:
                        self.send(frame(kind, _ACK, content=content if kind == _PING else b""))
                    received = received[9 + size :]
        except TimeoutError:
            return
        except OSError:
            pass  # reset is closed too
        self._closed.set()
