"""`askback` as a shell runs it: a process of its own, its output and its exit code."""

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
from tests.support.forked import Forked

ASKBACK = str(Path(sys.executable).with_name("askback"))
WITHIN = 30.0
"""Seconds after which a command is taken for hung. Never a measure of speed."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object it printed."""
        [line] = self.out.splitlines()
        return json.loads(line)

    @property
    def lines(self) -> list[Any]:
        """The objects it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Running:
    """A command that has not ended."""

    def __init__(self, process: Forked, out: asyncio.StreamReader, err: asyncio.StreamReader) -> None:
        self._process = process
        self._streams = {"out": out, "err": err}
        self._read: dict[str, list[str]] = {"out": [], "err": []}

    async def says(self, words: str, *, on: str = "out") -> str:
        """Read on until a line has these words; that line."""
        read = self._read[on]
        async with asyncio.timeout(WITHIN):
            while line := (await self._streams[on].readline()).decode():
                read.append(line)
                if words in line:
                    return line
        raise AssertionError(f"never said {words!r}: {read}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def done(self) -> Done:
        """Wait for its end."""
        async with asyncio.timeout(WITHIN):
            rest = await asyncio.gather(*(stream.read() for stream in self._streams.values()))
            code = await asyncio.to_thread(self._process.wait, WITHIN)
        out, err = ("".join(r) + more.decode() for r, more in zip(self._read.values(), rest, strict=True))
        return Done(code, out, err)

    def kill(self) -> None:
        """End it, if it has not ended."""
        self._process.kill()


async def _reader(pipe: int) -> asyncio.StreamReader:
    """Reads what comes out of a pipe, and closes it at its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb")
    )
    return reader


class Shell:
    """Runs `askback` for one user, at one server. `end()` leaves no process."""

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
        self._running: list[Running] = []

    async def start(self, *command: str, stdin: bytes | None = None, **environment: str) -> Running:
        """Start `askback` with these words."""
        (its_input, feed), (out, its_out), (err, its_err) = os.pipe(), os.pipe(), os.pipe()
        process = Forked(
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
            given.write(stdin or b"")  # less than a pipe takes at once; or it ended without reading
        running = Running(process, await _reader(out), await _reader(err))
        self._running.append(running)
        return running

    async def run(self, *command: str, stdin: bytes | None = None, **environment: str) -> Done:
        """Run `askback` with these words to its end."""
        return await (await self.start(*command, stdin=stdin, **environment)).done()

    async def ok(self, *command: str, **environment: str) -> Done:
        """Run it; it must end well."""
        done = await self.run(*command, stdin=None, **environment)
        assert done.code == 0, done
        return done

    def end(self) -> None:
        """Kill what still runs."""
        for running in self._running:
            running.kill()
