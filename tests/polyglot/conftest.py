"""Fixtures that build the examples once, and start their programs."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import processes as processes
from tests.e2e.conftest import pytest_runtest_makereport as pytest_runtest_makereport
from tests.polyglot.build import EXAMPLES, Example, build, need
from tests.polyglot.relay import Relay
from tests.support.processes import Process, Processes


def _build_once(language: str, folders: pytest.TempPathFactory) -> Example:
    """Build an example once per test run, even with pytest-xdist: a build takes 8 s of CPU time."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return build(language, folders.mktemp(language))
    # Above the folders of the worker processes.
    shared = folders.getbasetemp().parent / "polyglot"
    shared.mkdir(exist_ok=True)
    scratch, done = shared / language, shared / f"{language}.done"
    with (shared / f"{language}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(scratch, ignore_errors=True)  # of a failed build
            build(language, scratch)
            done.touch()
    return Example(language, scratch / EXAMPLES / language)


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example in Go."""
    need("go", "go")
    return _build_once("go", tmp_path_factory)


@pytest.fixture(scope="session")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example in TypeScript."""
    need("node", "node", "npm")
    return _build_once("typescript", tmp_path_factory)


class Programs:
    """Starts the examples' programs in any language."""

    def __init__(self, processes: Processes, examples: Mapping[str, Example], python: Path) -> None:
        self._processes = processes
        self._examples = examples
        self._python = python
        self._keyboards: list[int] = []

    def _command(self, language: str, program: str) -> list[str]:
        if language == "python":
            return [str(self._python), "-m", f"tests.polyglot.programs.{program}"]
        return self._examples[language].command(program)

    def start(self, language: str, program: str, server: str, *arguments: str, nth: int = 1) -> Process:
        """Start a program without a keyboard; `nth` distinguishes programs of the same kind."""
        command = [*self._command(language, program), *arguments]
        return self._processes.command(f"{program}-{language}-{nth}", *command, ASKBACK_SERVER=server)

    def console(self, language: str, server: str) -> ConsoleUser:
        """Start a console with a keyboard."""
        pipe = self._processes.folder / f"keyboard-{len(self._keyboards)}"
        os.mkfifo(pipe)
        # Opened for reading and writing: otherwise opening a fifo waits for the other side.
        keyboard = os.open(pipe, os.O_RDWR)
        self._keyboards.append(keyboard)
        # `exec`, so that the pid is that of the program and no other process reads the fifo.
        line = f'exec "$@" < "{pipe}"'
        command = self._command(language, "console")
        process = self._processes.command(
            f"console-{language}", "sh", "-c", line, "sh", *command, "--user", "ana", ASKBACK_SERVER=server
        )
        return ConsoleUser(process, keyboard)

    def end(self) -> None:
        """Close the keyboards."""
        for keyboard in self._keyboards:
            os.close(keyboard)


class ConsoleUser:
    """A user at a console."""

    def __init__(self, console: Process, keyboard: int) -> None:
        self.console = console
        self._keyboard = keyboard

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._keyboard, line.encode() + b"\n")


@pytest.fixture
def programs(
    processes: Processes, forked_commands: Path, request: pytest.FixtureRequest
) -> Iterator[Programs]:
    """Starts programs in the languages of the test's parameters."""
    examples: dict[str, Example] = {}
    for language in request.node.callspec.params.values():
        if language in ("go", "typescript"):
            examples[language] = request.getfixturevalue(language)
    programs = Programs(processes, examples, forked_commands / "python")
    yield programs
    programs.end()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    """A relay whose connections can be cut."""
    relay = Relay()
    await relay.start()
    yield relay
    await relay.stop()


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """The URL of a new SQLite database."""
    (tmp_path / "askback.db").write_bytes(migrated_file.read_bytes())
    return f"sqlite+aiosqlite:///{tmp_path / 'askback.db'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that build an example as long, and limit the time of each test function.

    The limit does not count for builds: they are in fixtures, and have their own.
    """
    for item in items:
        if "tests/polyglot/" not in item.path.as_posix():
            continue
        if {"go", "typescript", "programs"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker(pytest.mark.long)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(90, func_only=True))
