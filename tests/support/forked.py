"""Programs of the tests as processes of their own that start at once.

They are forked from a process that has imported them (multiprocessing's fork server): importing costs
more processor time than most of them take for all the rest.
"""

from __future__ import annotations

import asyncio
import faulthandler
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from typing import IO, Any

IMPORTED = ["askback_server.transport.server", "tests.faults.replica", "tests.faults.crowd"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(IMPORTED)


class Forked:
    """A running program: a module's `main()`, with arguments, an environment and pipes, in a session of its
    own."""

    def __init__(self, process: Any, stdin: Connection[Any, Any], stdout: asyncio.StreamReader) -> None:
        self._process = process
        self._stdin = stdin
        self._stdout = stdout
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)
        self.pid: int = process.pid

    @classmethod
    async def start(
        cls, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: IO[bytes]
    ) -> Forked:
        """Start it; its standard error goes to `log`."""
        (its_input, stdin), (stdout, its_output) = Pipe(duplex=False), Pipe(duplex=False)
        pipes = [its_input, its_output, Connection(os.dup(log.fileno()), readable=False)]
        process = _context.Process(
            target=_run, args=(module, [*arguments], {**environment}, os.getcwd(), pipes), daemon=True
        )
        try:
            process.start()
        finally:
            for pipe in pipes:
                pipe.close()
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stdout
        )
        return cls(process, stdin, reader)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._stdin.close()
        self._process.join()
        self._ended.set()

    @property
    def returncode(self) -> int | None:
        """Its exit code (negative: the signal that ended it); None while it runs."""
        return self._process.exitcode if self._ended.is_set() else None

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        await self._ended.wait()
        return int(self._process.exitcode)

    def write(self, text: str) -> None:
        """Put it into its standard input: few bytes, which a pipe always takes."""
        if not self._ended.is_set():
            os.write(self._stdin.fileno(), text.encode())

    async def lines(self) -> AsyncIterator[bytes]:
        """What it writes to its standard output, until it closes it."""
        while line := await self._stdout.readline():
            yield line

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if not self._ended.is_set():
            os.kill(self.pid, number)


def _run(
    module: str, arguments: list[str], environment: dict[str, str], folder: str, pipes: list[Any]
) -> None:
    """In the new process: become the program."""
    os.setsid()
    os.chdir(folder)
    for number, pipe in enumerate(pipes):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdin = os.fdopen(0, closefd=False)
    faulthandler.enable()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    sys.exit(importlib.import_module(module).main())
