"""One bash for a page: its folder, variables and background jobs stay from block to block."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

WITHIN = 60.0
"""Seconds that one command, or one block of Python, may take. Never a measure of speed."""
_MARK = b"\x1e"


class CommandFailed(AssertionError):
    """A command ended with another status than 0, or did not end."""


class Shell:
    """A bash that stops at the first command that fails, as a careful reader would."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._script = folder.parent / f"{folder.name}.sh"
        self._bash: asyncio.subprocess.Process | None = None
        self._group: int | None = None

    async def run(self, commands: str) -> str:
        """What the commands print, both streams. Raises CommandFailed with what they printed."""
        bash = self._bash or await self._start()
        assert bash.stdin is not None
        assert bash.stdout is not None
        # From a file, so that here-documents work; without our stdin, so that nobody reads our commands.
        self._script.write_text(commands + "\n", encoding="utf-8")
        bash.stdin.write(f"source {self._script} </dev/null\nprintf '\\036'\n".encode())
        try:
            async with asyncio.timeout(WITHIN):
                said = await bash.stdout.readuntil(_MARK)
        except asyncio.IncompleteReadError as end:
            status = await bash.wait()
            self._bash = None
            raise CommandFailed(f"exit {status}:\n{commands}\n{_plain(end.partial)}") from None
        except TimeoutError:
            raise CommandFailed(f"no end after {WITHIN:g} s:\n{commands}") from None
        return _plain(said.removesuffix(_MARK))

    async def _start(self) -> asyncio.subprocess.Process:
        # A session of its own: what runs in the background is in its process group, and ends with it.
        self._bash = await asyncio.create_subprocess_exec(
            "bash",
            "--noprofile",
            "--norc",
            "-euo",
            "pipefail",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._folder,
            env=self._environment,
            start_new_session=True,
            limit=2**24,
        )
        self._group = self._bash.pid
        return self._bash

    async def end(self) -> None:
        """End bash and all that it started. Repeatable."""
        bash, group = self._bash, self._group
        self._bash = self._group = None
        if group is None:
            return
        if bash is not None and bash.stdin is not None:
            # Its children first, while it is there to see them off: nobody else might.
            bash.stdin.write(b"set +e; trap : TERM; kill -TERM -- -$$; wait; wait; exit\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bash.wait(), 10)
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(group, number)
                async with asyncio.timeout(5):
                    while True:
                        os.killpg(group, 0)
                        await asyncio.sleep(0.01)
            except ProcessLookupError:
                return
            except TimeoutError:
                continue


def commands_of(console: str) -> list[tuple[str, str]]:
    """The commands of a console block (`$ …`, continued by `> …`) and the output expected of each."""
    steps: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif not steps:
            raise AssertionError(f"a console block begins with `$ `, not with {line!r}")
        elif line.startswith("> ") and not steps[-1][1]:
            steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", [])
        else:
            steps[-1][1].append(line)
    return [(command, "\n".join(lines).strip("\n")) for command, lines in steps]


def matches(expected: str, said: str) -> bool:
    """Whether an output is the expected one: `…` is any part of a line, alone on a line any lines."""
    lines = [line.rstrip() for line in said.strip("\n").splitlines()]
    first, *rest = _chunks(expected)
    if not _fits(first, lines[: len(first)]):
        return False
    if not rest:
        return len(lines) == len(first)
    *middle, last = rest
    at = len(first)
    # Each chunk at its first place after the one before: what is right is found without backtracking.
    for chunk in middle:
        places = range(at, len(lines) - len(chunk) + 1)
        found = next((i for i in places if _fits(chunk, lines[i : i + len(chunk)])), None)
        if found is None:
            return False
        at = found + len(chunk)
    return len(lines) - len(last) >= at and _fits(last, lines[len(lines) - len(last) :])


def _chunks(expected: str) -> list[list[str]]:
    """What stands between the lines that are only `…`, line by line as patterns."""
    chunks: list[list[str]] = [[]]
    for line in expected.splitlines():
        if line.strip() == "…":
            chunks.append([])
        else:
            chunks[-1].append(".*?".join(re.escape(part) for part in line.rstrip().split("…")))
    return chunks


def _fits(chunk: list[str], lines: list[str]) -> bool:
    return len(chunk) == len(lines) and all(map(re.fullmatch, chunk, lines))


def _plain(said: bytes) -> str:
    return said.decode("utf-8", "replace").replace("\r\n", "\n")
