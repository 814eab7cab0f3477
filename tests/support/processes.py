"""Server, worker and client processes for tests, on loopback."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from askback.errors import Unavailable
from tests.support.forked import ASKBACK, MODULE, PYTHON, SERVER, ForkedProgram

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
WITHIN = 30.0
"""Seconds after which a wait fails. Generous: never a measure of speed."""


async def eventually(
    condition: Callable[[], T | Awaitable[T]], what: str, *, within: float = WITHIN, every: float = 0.02
) -> T:
    """Poll until `condition` returns a true value, and return it.

    An AssertionError or Unavailable raised by `condition` means "not yet". Raises AssertionError after
    `within` seconds.
    """
    end = time.monotonic() + within
    while True:
        last: object = None
        try:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            last = found
        except (AssertionError, Unavailable) as not_yet:
            last = not_yet
        if time.monotonic() > end:
            raise AssertionError(f"not in {within:g} s: {what} (last: {last!r})")
        await asyncio.sleep(every)


_given: set[int] = set()


def quiet_port() -> int:
    """A free loopback port below the ephemeral range: no other process is given it while a server is down.

    Each port is given once, because a server may bind it long after this call: two servers of a test that
    start together got the same one in a run of the suite.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


class Process:
    """A child process that can be started again after its end. Each start has its own output files."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._command = [*command]
        self._folder = folder
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ASKBACK_")}
        self._environment = {**inherited, "GRPC_VERBOSITY": "NONE", **(environment or {})}
        self._process: subprocess.Popen[bytes] | ForkedProgram | None = None
        self._starts = 0
        self._lines: list[dict[str, Any]] = []
        self._parsed: dict[int, int] = {}
        """By start: the number of bytes of its output that have been parsed into `_lines`."""

    def start(self) -> None:
        """Start the process."""
        assert not self.running, f"{self.name} runs already"
        self._starts += 1
        with self._file("out").open("wb") as out, self._file("log").open("wb") as log:
            self._process = self._launch(out, log)

    def _launch(self, out: IO[bytes], log: IO[bytes]) -> subprocess.Popen[bytes] | ForkedProgram:
        return subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )

    def _file(self, kind: str, start: int = 0) -> Path:
        return self._folder / f"{self.name}.{start or self._starts}.{kind}"

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL and wait for the process to end. Repeatable."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def wait_for_end(self, within: float = WITHIN) -> int:
        """Wait for the process to end and return its exit code (negative: the signal)."""
        assert self._process is not None
        process = self._process
        await eventually(lambda: process.poll() is not None, f"{self.name} has ended", within=within)
        return process.wait()

    async def terminate(self) -> int:
        """Send SIGTERM, wait for the process to end, and return its exit code."""
        self.signal(signal.SIGTERM)
        return await self.wait_for_end()

    @property
    def output_lines(self) -> list[dict[str, Any]]:
        """The JSON lines written so far, in all starts, without an incomplete last line."""
        # Callers poll this property: parse each line once.
        for start in range(1, self._starts + 1):
            with self._file("out", start).open("rb") as out:
                out.seek(self._parsed.get(start, 0))
                whole, end, _ = out.read().rpartition(b"\n")
            self._lines += [json.loads(line) for line in whole.splitlines()]
            self._parsed[start] = self._parsed.get(start, 0) + len(whole + end)
        return [*self._lines]

    def events(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The JSON lines with this `event` and these fields."""
        return [
            line
            for line in self.output_lines
            if line["event"] == event and all(line.get(k) == v for k, v in fields.items())
        ]

    async def wait_for_event(
        self, event: str, *, count: int = 1, within: float = WITHIN, **fields: Any
    ) -> dict[str, Any]:
        """Wait until it has written `count` lines with this event and these fields. Returns the newest."""

        def found() -> dict[str, Any] | None:
            lines = self.events(event, **fields)
            if len(lines) < count and not self.running:
                raise RuntimeError(f"{self.name} has ended ({self._process and self._process.returncode})")
            return lines[-1] if len(lines) >= count else None

        line = await eventually(found, f"{self.name} says {event} {fields}", within=within)
        assert line is not None
        return line

    @property
    def out(self) -> str:
        """The standard output of the last start."""
        return self._file("out").read_text(errors="replace")

    @property
    def log(self) -> str:
        """The standard error of the last start."""
        return self._file("log").read_text(errors="replace")

    def story(self, lines: int = 40) -> str:
        """The last lines of all output, for a failure message."""
        parts = []
        for start in range(1, self._starts + 1):
            for kind in ("out", "log"):
                text = self._file(kind, start).read_text(errors="replace").splitlines()
                if text:
                    parts += [f"--- {self.name}, start {start}, {kind}, last of {len(text)} lines ---"]
                    parts += text[-lines:]
        return "\n".join(parts)


class Module(Process):
    """A module of Askback's tests, run like `python -m` but forked."""

    def _launch(self, out: IO[bytes], log: IO[bytes]) -> ForkedProgram:
        with open(os.devnull, "rb") as nothing:
            return ForkedProgram(
                MODULE,
                ["python", *self._command],
                self._environment,
                ROOT,
                stdin=nothing.fileno(),
                stdout=out.fileno(),
                stderr=log.fileno(),
            )


class Python(Process):
    """A Python program with the given arguments of the interpreter, forked."""

    def _launch(self, out: IO[bytes], log: IO[bytes]) -> ForkedProgram:
        with open(os.devnull, "rb") as nothing:
            return ForkedProgram(
                PYTHON,
                ["python", *self._command],
                self._environment,
                ROOT,
                stdin=nothing.fileno(),
                stdout=out.fileno(),
                stderr=log.fileno(),
            )


class Askback(Process):
    """The command `askback` with the given arguments, forked."""

    def _launch(self, out: IO[bytes], log: IO[bytes]) -> ForkedProgram:
        with open(os.devnull, "rb") as nothing:
            return ForkedProgram(
                ASKBACK,
                ["askback", *self._command],
                self._environment,
                ROOT,
                stdin=nothing.fileno(),
                stdout=out.fileno(),
                stderr=log.fileno(),
            )


class Server(Process):
    """An Askback server. It keeps its port when it is restarted."""

    def __init__(self, name: str, db: str, folder: Path, **settings: object) -> None:
        self.port = quiet_port()
        values = {
            "listen": f"127.0.0.1:{self.port}",
            "db": db,
            "replica": name,
            "heartbeat": 0.5,
            "sweep_interval": 5,
            "drain_grace": 2,
            **settings,
        }
        environment = {f"ASKBACK_{key.upper()}": str(value) for key, value in values.items()}
        super().__init__(name, ["askback_server"], folder, environment)

    def _launch(self, out: IO[bytes], log: IO[bytes]) -> ForkedProgram:
        with open(os.devnull, "rb") as nothing:
            return ForkedProgram(
                SERVER,
                self._command,
                self._environment,
                ROOT,
                stdin=nothing.fileno(),
                stdout=out.fileno(),
                stderr=log.fileno(),
            )

    @property
    def target(self) -> str:
        """The server's address."""
        return f"127.0.0.1:{self.port}"

    async def serve(self) -> None:
        """Start the server and wait until it accepts calls."""
        self.start()
        await self.ready()

    async def ready(self) -> None:
        """Wait until the server accepts calls."""

        def ready() -> bool:
            if not self.running:
                raise RuntimeError(f"{self.name} did not start:\n{self.log}")
            return "askback serves on" in self.out

        await eventually(ready, f"{self.name} is ready", every=0.01)

    async def crash_and_serve(self) -> None:
        """Send SIGKILL and restart with the same database and port."""
        self.kill()
        await self.serve()


class Processes:
    """All processes of one test. `end()` kills those that still run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[Process] = []

    def add(self, process: Process) -> None:
        """Add a process that `end()` shall kill."""
        self._processes.append(process)

    async def server(self, db: str, *, name: str = "server", **settings: object) -> Server:
        """Start a server and wait until it accepts calls."""
        server = Server(name, db, self.folder, **settings)
        self.add(server)
        await server.serve()
        return server

    def run(self, name: str, *command: str, **environment: str) -> Process:
        """Start a Python program with the given arguments of the interpreter."""
        return self._start(Python(name, command, self.folder, environment))

    def module(self, name: str, module: str, *arguments: str, **environment: str) -> Process:
        """Start a module of Askback's tests."""
        return self._start(Module(name, [module, *arguments], self.folder, environment))

    def askback(self, name: str, *words: str, **environment: str) -> Process:
        """Start `askback` with the given arguments."""
        return self._start(Askback(name, words, self.folder, environment))

    def command(self, name: str, *command: str, **environment: str) -> Process:
        """Start any program."""
        return self._start(Process(name, command, self.folder, environment))

    def _start(self, process: Process) -> Process:
        self.add(process)
        process.start()
        return process

    def end(self) -> None:
        """Kill the processes that still run, including suspended ones."""
        for process in self._processes:
            process.kill()

    def story(self) -> str:
        """The last lines of the output of all processes, for a failure message."""
        return "\n".join(process.story() for process in self._processes)
