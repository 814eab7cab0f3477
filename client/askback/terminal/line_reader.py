"""Reads a script's lines in the event loop, without a thread; a cancelled read loses nothing."""

from __future__ import annotations

import asyncio
import os
import sys


class LineReader:
    """Reads the lines of a file descriptor (stdin if not given), each when it is requested.

    After a cancelled call the next one returns the same line. Nothing is read between calls.
    """

    def __init__(self, fd: int | None = None) -> None:
        self._fd = sys.stdin.fileno() if fd is None else fd
        self._read = bytearray()

    @property
    def is_terminal(self) -> bool:
        """Whether the descriptor is a terminal."""
        return os.isatty(self._fd)

    async def line(self) -> str:
        """The next line, without its line end. Raises EOFError at the end of the input."""
        while (end := self._read.find(b"\n")) < 0:
            piece = await self._read_more()
            if not piece:
                if not self._read:
                    raise EOFError
                self._read += b"\n"
            self._read += piece
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line.decode("utf-8", "replace").removesuffix("\r")

    async def _read_more(self) -> bytes:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        try:
            loop.add_reader(self._fd, readable.set)
        except (NotImplementedError, PermissionError):
            # A file is always readable, and Windows cannot watch a console.
            return await asyncio.to_thread(os.read, self._fd, 65_536)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._fd)
        return os.read(self._fd, 65_536)
