"""A hostile HTTP/2 client: writes single frames to a socket, including ones a gRPC library would refuse."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Self

HEADERS, DATA, RST_STREAM, SETTINGS, PING = 1, 0, 3, 4, 6
END_STREAM, END_HEADERS = 1, 4
CANCEL = struct.pack(">I", 8)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(path: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """The header block of a gRPC call, without compression."""
    fields = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"x"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    )
    return b"".join(b"\x00" + bytes([len(k)]) + k + bytes([len(v)]) + v for k, v in fields)


def message(data: bytes, *, compressed: bool = False) -> bytes:
    """A gRPC message with its length prefix."""
    return bytes([compressed]) + struct.pack(">I", len(data)) + data


class Connection:
    """A connection. A thread reads all incoming bytes, so that flow control never stops the server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        self.received = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                self.received = (self.received + data)[-65536:]

    def send(self, *frames: bytes) -> None:
        """Send frames."""
        self.socket.sendall(b"".join(frames))

    def reset_flood(self, path: bytes, seconds: float) -> int:
        """Open and reset calls for `seconds`. Returns the number of calls."""
        block, stream, end = headers(path), 1, time.monotonic() + seconds
        with contextlib.suppress(OSError):  # the server may close the connection
            while time.monotonic() < end:
                for _ in range(100):
                    self.socket.sendall(
                        frame(HEADERS, END_STREAM | END_HEADERS, stream, block)
                        + frame(RST_STREAM, 0, stream, CANCEL)
                    )
                    stream += 2
        return stream // 2

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._reader.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
