"""Run `askback` like a shell: as a process with output and an exit code."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import forked
from tests.support.forked import ForkedProgram

ASKBACK = str(Path(sys.executable).with_name("askback"))
WITHIN = 30.0
"""Seconds after which a wait fails. Generous: never a measure of speed."""


@dataclass(frozen=True)
class CommandResult:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON object it printed; fails unless there is exactly one line."""
        [line] = self.out.splitlines()
        return json.loads(line)

    @property
    def lines(self) -> list[Any]:
        """The JSON objects it printed, one per line."""
        return [json.loads(line) for line in self.out.splitlines()]


class RunningCommand:
    """A running command."""

    def __init__(self, process: ForkedProgram, out: asyncio.StreamReader, err: asyncio.StreamReader) -> None:
        self._process = process
        self._streams = {"out": out, "err": err}
        self._read: dict[str, list[str]] = {"out": [], "err": []}

    async def wait_for_line(self, words: str, *, on: str = "out") -> str:
        """Read until a line contains these words. Returns the line."""
        read = self._read[on]
        async with asyncio.timeout(WITHIN):
            while line := (await self._streams[on].readline()).decode():
                read.append(line)
                if words in line:
                    return line
        raise AssertionError(f"never printed {words!r}: {read}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command."""
        self._process.send_signal(number)

    async def result(self) -> CommandResult:
        """Wait for the command to end."""
        async with asyncio.timeout(WITHIN):
            rest = await asyncio.gather(*(stream.read() for stream in self._streams.values()))
            code = await asyncio.to_thread(self._process.wait, WITHIN)
        out, err = ("".join(r) + more.decode() for r, more in zip(self._read.values(), rest, strict=True))
        return CommandResult(code, out, err)

    def kill(self) -> None:
        """Kill the command, unless it has ended."""
        self._process.kill()


async def _reader(pipe: int) -> asyncio.StreamReader:
    """A reader of a pipe; the pipe is closed at its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb")
    )
    return reader


class Shell:
    """Runs `askback` for one user and one server. `end()` kills the commands that still run."""

    def __init__(self, home: Path, target: str = "", **environment: str) -> None:
        self.home = home
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASKBACK_")}
        for name in ("NO_COLOR", "USER", "LOGNAME"):
            inherited.pop(name, None)
        self.environment = {
            **inherited,
            "XDG_CONFIG_HOME": str(home),
            **({"ASKBACK_SERVER": target} if target else {}),
            **environment,
        }
        self._running: list[RunningCommand] = []

    async def start(self, *command: str, stdin: bytes | None = None, **environment: str) -> RunningCommand:
        """Start `askback` with the given arguments."""
        (its_input, feed), (out, its_out), (err, its_err) = os.pipe(), os.pipe(), os.pipe()
        process = ForkedProgram(
            forked.ASKBACK,
            ["askback", *command],
            {**self.environment, **environment},
            self.home,
            stdin=its_input,
            stdout=its_out,
            stderr=its_err,
        )
        for fd in (its_input, its_out, its_err):
            os.close(fd)
        with suppress(BrokenPipeError), os.fdopen(feed, "wb", buffering=0) as given:
            given.write(
                stdin or b""
            )  # fits into the pipe's buffer; the command may have ended without reading
        running = RunningCommand(process, await _reader(out), await _reader(err))
        self._running.append(running)
        return running

    async def run(self, *command: str, stdin: bytes | None = None, **environment: str) -> CommandResult:
        """Run `askback` with the given arguments to its end."""
        return await (await self.start(*command, stdin=stdin, **environment)).result()

    async def ok(self, *command: str, **environment: str) -> CommandResult:
        """Run it, and assert that it exits with 0."""
        done = await self.run(*command, stdin=None, **environment)
        assert done.code == 0, done
        return done

    def end(self) -> None:
        """Kill the commands that still run."""
        for running in self._running:
            running.kill()
