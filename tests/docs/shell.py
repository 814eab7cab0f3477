"""One bash for a page: folder, variables and background jobs persist from block to block."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

WITHIN = 60.0
"""Seconds that one command, or one block of Python, may take: generous, not a measure of speed."""
_MARK = b"\x1e"


class CommandFailed(AssertionError):
    """A command failed or did not end in time."""


class Shell:
    """A bash that stops at the first command that fails."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._script = folder.parent / f"{folder.name}.sh"
        self._bash: asyncio.subprocess.Process | None = None
        self._group: int | None = None

    async def run(self, commands: str) -> str:
        """Run the commands; return their output, stdout and stderr. Raises CommandFailed with the output."""
        bash = self._bash or await self._start()
        assert bash.stdin is not None
        assert bash.stdout is not None
        # From a file, so that here-documents work; without our stdin, so that no command reads the next ones.
        self._script.write_text(commands + "\n", encoding="utf-8")
        bash.stdin.write(f"source {self._script} </dev/null\nprintf '\\036'\n".encode())
        try:
            async with asyncio.timeout(WITHIN):
                output = await bash.stdout.readuntil(_MARK)
        except asyncio.IncompleteReadError as end:
            status = await bash.wait()
            self._bash = None
            raise CommandFailed(f"exit {status}:\n{commands}\n{_plain(end.partial)}") from None
        except TimeoutError:
            raise CommandFailed(f"no end after {WITHIN:g} s:\n{commands}") from None
        return _plain(output.removesuffix(_MARK))

    async def _start(self) -> asyncio.subprocess.Process:
        # In a new session: background jobs are in its process group, so that `end` can end them.
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
        """End bash and all that it started. A second call does nothing."""
        bash, group = self._bash, self._group
        self._bash = self._group = None
        if group is None:
            return
        if bash is not None and bash.stdin is not None:
            # Its children first, while it can wait for them: without it they might stay zombies.
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


def matches(expected: str, printed: str) -> bool:
    """Whether an output matches. `…` matches any part of a line; alone on a line, any number of lines."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    first, *rest = _chunks(expected)
    if not _fits(first, lines[: len(first)]):
        return False
    if not rest:
        return len(lines) == len(first)
    *middle, last = rest
    at = len(first)
    # Each chunk at its first place after the previous one: that finds every match without backtracking.
    for chunk in middle:
        places = range(at, len(lines) - len(chunk) + 1)
        found = next((i for i in places if _fits(chunk, lines[i : i + len(chunk)])), None)
        if found is None:
            return False
        at = found + len(chunk)
    return len(lines) - len(last) >= at and _fits(last, lines[len(lines) - len(last) :])


def _chunks(expected: str) -> list[list[str]]:
    """The patterns of the lines, split at the lines that are only `…`."""
    chunks: list[list[str]] = [[]]
    for line in expected.splitlines():
        if line.strip() == "…":
            chunks.append([])
        else:
            chunks[-1].append(".*?".join(re.escape(part) for part in line.rstrip().split("…")))
    return chunks


def _fits(chunk: list[str], lines: list[str]) -> bool:
    return len(chunk) == len(lines) and all(map(re.fullmatch, chunk, lines))


def _plain(output: bytes) -> str:
    return output.decode("utf-8", "replace").replace("\r\n", "\n")
