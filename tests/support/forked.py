"""Run Python programs in processes that start quickly.

They are forked from a process that has already imported their modules (multiprocessing's fork server):
importing costs more CPU time than most of them need for everything else. Tests of the start itself run the
installed program instead.
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
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection, forkserver
from multiprocessing.connection import Connection
from pathlib import Path

SERVER = "tests.support.forked:server"
ASKBACK = "askback.cli:main"
ASKBACK_AT_TERMINAL = "tests.support.forked:askback_at_terminal"
MODULE = "tests.support.forked:module"
PYTHON = "tests.support.forked_commands:python"
IMPORTED = [
    "askback_server.transport.server",
    "tests.faults.replica",
    "tests.faults.shared_process",
    "askback._worker.worker",
    "aiosqlite",
    "askback._metrics.exposition",
    "asyncpg",
    "uvloop",  # servers import it late
    *(f"askback.cli.{name}" for name in ("ask", "console", "explain", "inbox", "job", "output", "context")),
    # Commands import these when they run.
    *(f"askback.cli.{name}" for name in ("answer_commands", "ask_default", "contents", "doctor")),
    *(f"askback.cli.{name}" for name in ("event_words", "explanation", "job_input", "outcome_exits")),
    *(f"askback.cli.inbox.{name}" for name in ("answer", "answer_report", "decide", "list_watch", "urgent")),
    *(f"askback.cli.job.{name}" for name in ("export", "list_watch", "listing", "show", "start", "watch")),
    *(f"askback.terminal.{name}" for name in ("keyboard", "live", "writer", "terminal", "wizard")),
    *(f"rich.{name}" for name in ("console", "markdown", "progress", "table")),
    "pytest",  # of documentation pages; not its plugins, which it rewrites when it imports them
    "tests.support.frozen",
]

_lock = threading.Lock()
"""Held while the exit code of a process is read: it can be read once only, and starting a process reads those
of all others (_cleanup in multiprocessing.process)."""
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(IMPORTED)


class ForkedProgram:
    """A running program, the leader of its own session. Has the methods of `subprocess.Popen`.

    `target` is the function to run, as `module:name`; `arguments` becomes `sys.argv`.
    The standard streams are file descriptors; the caller closes its own copies.
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
            with _lock:
                self._process.start()
        finally:
            for stream in streams:
                stream.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self.sentinel = self._process.sentinel
        """A file descriptor that becomes readable when the process ends."""

    @property
    def returncode(self) -> int | None:
        """The same as `poll()`."""
        return self.poll()

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended the process); None while it runs."""
        with _lock:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end and return its exit code. Raises TimeoutExpired."""
        connection.wait([self.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            # The fork server may have reaped the process already, with the exit code still in the pipe to us.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _run(
    target: str,
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
    streams: list[Connection[object, object]],
) -> None:
    """Set the new process up and run the program."""
    os.setsid()
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout)  # Textual reads and draws on the originals
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    faulthandler.enable()
    # A shell that starts the tests in the background makes them ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))  # read at Python's start only
    sys.argv = arguments
    module, _, name = target.partition(":")
    sys.exit(getattr(importlib.import_module(module), name)())


def server() -> int:
    """Run the server, like `python -m askback_server`."""
    from askback_server.__main__ import serve

    return serve({})


def askback_at_terminal() -> None:
    """Run `askback` with standard input as its controlling terminal: a typed Ctrl-C becomes a signal."""
    from askback.cli import main

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    main()


def module() -> None:
    """Run a module, like `python -m`: the arguments are the module's name and its own arguments."""
    _, name, *arguments = sys.argv
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def end_fork_server() -> None:
    """End the fork server, if it runs, and wait for it, so that its CPU time counts for this process."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
