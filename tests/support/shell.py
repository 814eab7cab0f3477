"""`askback` as a shell runs it: a process of its own, its output and its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._out: list[str] = []
        self._err: list[str] = []

    async def says(self, words: str, *, on: str = "out") -> str:
        """Read on until a line has these words; that line."""
        stream, read = self._of(on)
        assert stream is not None
        async with asyncio.timeout(WITHIN):
            while line := (await stream.readline()).decode():
                read.append(line)
                if words in line:
                    return line
        raise AssertionError(f"never said {words!r}: {read}")

    def _of(self, on: str) -> tuple[asyncio.StreamReader | None, list[str]]:
        return (self._process.stdout, self._out) if on == "out" else (self._process.stderr, self._err)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def done(self) -> Done:
        """Wait for its end."""
        async with asyncio.timeout(WITHIN):
            out, err = await self._process.communicate()
        code = self._process.returncode
        assert code is not None
        return Done(code, "".join(self._out) + out.decode(), "".join(self._err) + err.decode())

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self._process.returncode is None:
            self._process.kill()


class Shell:
    """Runs `askback` for one user, at one server. `end()` leaves no process."""

    def __init__(self, home: Path, target: str = "", **environment: str) -> None:
        self.home = home
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASKBACK_")}
        inherited.pop("NO_COLOR", None)
        self.environment = {
            **inherited,
            "XDG_CONFIG_HOME": str(home),
            **({"ASKBACK_SERVER": target} if target else {}),
            **environment,
        }
        self._running: list[Running] = []

    async def start(self, *command: str, stdin: bytes | None = None, **environment: str) -> Running:
        """Start `askback` with these words."""
        process = await asyncio.create_subprocess_exec(
            ASKBACK, *command, env={**self.environment, **environment}, cwd=self.home,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        if stdin is not None:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
        running = Running(process)
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
