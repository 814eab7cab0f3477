"""Python programs as processes of their own that start at once.

They are forked from a process that has imported them (multiprocessing's fork server): importing takes more
processor time than most of them need for all the rest. Where the start is under test it is the user's.
"""

from __future__ import annotations

import faulthandler
import fcntl
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

SERVER = "tests.support.forked:server"
ASKBACK = "askback.cli:main"
ASKBACK_AT_TERMINAL = "tests.support.forked:askback_at_terminal"
MODULE = "tests.support.forked:module"
IMPORTED = [
    "askback_server.transport.server",
    "tests.faults.replica",
    "tests.faults.crowd",
    "askback._worker.worker",
    "aiosqlite",
    "askback_server.metrics.exposition",
    "asyncpg",
    "uvloop",  # what a server imports late
    *(f"askback.cli.{name}" for name in ("ask", "console", "explain", "inbox", "job", "output", "context")),
    *(f"askback.terminal.{name}" for name in ("keyboard", "live", "writer", "terminal", "wizard")),
    *(f"rich.{name}" for name in ("console", "markdown", "progress", "table")),
    "tests.support.frozen",
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(IMPORTED)


class Forked:
    """A running program, in a session of its own. Its methods are those of `Popen`.

    `target` is the function that it is, as `module:name`; `arguments` its `sys.argv`.

    The standard streams are file descriptors, which stay the caller's to close.
    """

    def __init__(
        self,
        target: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> None:
        streams = [Connection(os.dup(fd)) for fd in (stdin, stdout, stderr)]
        self._process = _context.Process(
            target=_run, args=(target, [*arguments], {**environment}, str(folder), streams), daemon=True
        )
        try:
            self._process.start()
        finally:
            for stream in streams:
                stream.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self.sentinel = self._process.sentinel
        """Readable when it has ended."""

    @property
    def returncode(self) -> int | None:
        """As after a `poll()`."""
        return self.poll()

    def poll(self) -> int | None:
        """Its exit code (negative: the signal that ended it); None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code. Raises TimeoutExpired."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            # The fork server may have buried it, and its word of that be on its way.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _run(
    target: str,
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
    streams: list[Connection[object, object]],
) -> None:
    """In the new process: become the program."""
    os.setsid()
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    faulthandler.enable()
    # Whoever runs the tests in the background may have it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    module, _, name = target.partition(":")
    sys.exit(getattr(importlib.import_module(module), name)())


def server() -> int:
    """What `python -m askback_server` does."""
    from askback_server.__main__ import serve

    return serve({})


def askback_at_terminal() -> None:
    """`askback`, of which standard input is the terminal: Ctrl-C, typed, is a signal."""
    from askback.cli import main

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    main()


def module() -> None:
    """What `python -m` does: the arguments are the module's name and its own."""
    _, name, *arguments = sys.argv
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def end_fork_server() -> None:
    """End the process that forks, if it runs, and wait for it: its time is then in that of this process."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
