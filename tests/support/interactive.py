"""Interactive runs of `askback`: in a pseudo-terminal, or on pipes that stay open."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.forked import ASKBACK, ASKBACK_AT_TERMINAL, ForkedProgram
from tests.support.shell import ASKBACK as INSTALLED
from tests.support.shell import WITHIN

_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class InteractiveProcess:
    """An interactive process: its output so far, and its keyboard. `end()` kills it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, terminal: bool) -> None:
        if terminal:
            self._keys, theirs = pty.openpty()
            self._screen = os.dup(self._keys)
            stdin = stdout = theirs
        else:
            stdin, self._keys = os.pipe()
            self._screen, stdout = os.pipe()
        self._process = self._spawn(command, dict(environment), stdin, stdout, terminal)
        for fd in {stdin, stdout}:
            os.close(fd)
        self._raw = bytearray()
        self._seen = 0
        self._news = asyncio.Event()
        self._over = False
        os.set_blocking(self._screen, False)
        asyncio.get_running_loop().add_reader(self._screen, self._read)

    def _spawn(
        self, command: Sequence[str], environment: dict[str, str], stdin: int, stdout: int, terminal: bool
    ) -> subprocess.Popen[bytes] | ForkedProgram:
        enter = _OWN_TERMINAL if terminal else []
        return subprocess.Popen(
            [*enter, *command], env=environment, stdin=stdin, stdout=stdout, stderr=stdout
        )

    def _read(self) -> None:
        try:
            piece = os.read(self._screen, 65_536)
        except OSError:  # raised by a terminal that no process has open any more
            piece = b""
        if not piece:
            self._over = True
            asyncio.get_running_loop().remove_reader(self._screen)
        self._raw += piece
        self._news.set()

    @property
    def raw(self) -> str:
        """All output, with colours."""
        return self._raw.decode("utf-8", "replace")

    @property
    def shown(self) -> str:
        """All output without colours and cursor movements, with normalised line ends."""
        return _MOVES.sub("", self.raw).replace("\r\r\n", "\n").replace("\r\n", "\n")

    def type(self, text: str) -> None:
        """Type text."""
        os.write(self._keys, text.encode())

    def resize(self, rows: int, columns: int = 120) -> None:
        """Set the size of the terminal."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._keys, termios.TIOCSWINSZ, size)

    def leave(self) -> None:
        """Close the input pipe."""
        os.close(self._keys)
        self._keys = -1

    async def wait_for(self, words: str) -> str:
        """Wait until the output contains these words, after the last match. Returns the output up to them."""
        async with asyncio.timeout(WITHIN):
            try:
                while (place := self.shown.find(words, self._seen)) < 0:
                    assert not self._over, f"it ended without {words!r}:\n{self.shown}"
                    self._news.clear()
                    await self._news.wait()
            except asyncio.CancelledError:
                print(f"waited for {words!r} in:\n{self.shown[self._seen :]}", file=sys.stderr)
                raise
        before, self._seen = self._seen, place + len(words)
        return self.shown[before : self._seen]

    async def enter(self, text: str, words: str = "askback> ") -> str:
        """Type a line and wait for `words`, by default the prompt."""
        self.type(text + "\n")
        return await self.wait_for(words)

    async def repeat_until(self, text: str, words: str, prompt: str = "askback> ") -> None:
        """Repeat a line until its output contains the words: events of others may still be on their way."""
        async with asyncio.timeout(WITHIN):
            while words not in await self.enter(text, prompt):
                pass

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    async def wait_for_end(self) -> int:
        """Wait for the end of the output and of the process. Returns the exit code."""
        async with asyncio.timeout(WITHIN):
            while not self._over:
                self._news.clear()
                await self._news.wait()
        return await asyncio.to_thread(self._process.wait, WITHIN)

    def end(self) -> None:
        """Kill the process if it still runs, and close its files. Repeatable."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if not self._over:
            asyncio.get_running_loop().remove_reader(self._screen)
            self._over = True
        for fd in (self._keys, self._screen):
            if fd >= 0:
                os.close(fd)
        self._keys = self._screen = -1


_OWN_TERMINAL = [
    sys.executable,
    "-c",
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])",
]
"""Gives the process its own controlling terminal, so that a typed Ctrl-C becomes a signal."""


class ForkedInteractiveAskback(InteractiveProcess):
    """A forked `askback`. Tests of the start itself run the installed script with `InteractiveProcess`."""

    def _spawn(
        self, command: Sequence[str], environment: dict[str, str], stdin: int, stdout: int, terminal: bool
    ) -> ForkedProgram:
        target = ASKBACK_AT_TERMINAL if terminal else ASKBACK
        return ForkedProgram(
            target, ["askback", *command], environment, Path.cwd(), stdin=stdin, stdout=stdout, stderr=stdout
        )


class InteractiveProcesses:
    """Starts interactive runs of `askback` for several users of one server."""

    def __init__(self, target: str, home: Path) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASKBACK_")}
        for name in ("NO_COLOR", "EDITOR", "VISUAL"):
            inherited.pop(name, None)
        self._environment = {
            **inherited,
            "ASKBACK_SERVER": target,
            "XDG_CONFIG_HOME": str(home),
            "TERM": "xterm-256color",
            "COLUMNS": "120",
        }
        self._processes: list[InteractiveProcess] = []

    def start(self, user: str, *words: str, terminal: bool = False, **environment: str) -> InteractiveProcess:
        """Start a forked `askback` with the given arguments."""
        return self._add(
            ForkedInteractiveAskback(words, self._environment_of(user, environment), terminal=terminal)
        )

    def start_installed(
        self, user: str, *words: str, terminal: bool = False, **environment: str
    ) -> InteractiveProcess:
        """Start the installed script, which does its own imports."""
        command = [INSTALLED, *words]
        return self._add(
            InteractiveProcess(command, self._environment_of(user, environment), terminal=terminal)
        )

    def _environment_of(self, user: str, more: Mapping[str, str]) -> dict[str, str]:
        return {**self._environment, "ASKBACK_USER": user, **more}

    def _add(self, process: InteractiveProcess) -> InteractiveProcess:
        self._processes.append(process)
        return process

    def end(self) -> None:
        """Kill the processes that still run."""
        for process in self._processes:
            process.end()
