"""The examples, built once for all tests, and what the tests do with them."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import processes as processes
from tests.e2e.conftest import pytest_runtest_makereport as pytest_runtest_makereport
from tests.polyglot.build import EXAMPLES, Example, build, need
from tests.polyglot.relay import Relay
from tests.support.processes import Process, Processes


def _built(language: str, folders: pytest.TempPathFactory) -> Example:
    """An example, built by the first process of a run that needs it: a build costs 8 s of processor time."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return build(language, folders.mktemp(language))
    # Above the folders of the single processes.
    shared = folders.getbasetemp().parent / "polyglot"
    shared.mkdir(exist_ok=True)
    scratch, done = shared / language, shared / f"{language}.done"
    with (shared / f"{language}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(scratch, ignore_errors=True)  # of a build that failed
            build(language, scratch)
            done.touch()
    return Example(language, scratch / EXAMPLES / language)


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example in Go."""
    need("go", "go")
    return _built("go", tmp_path_factory)


@pytest.fixture(scope="session")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example in TypeScript."""
    need("node", "node", "npm")
    return _built("typescript", tmp_path_factory)


class Troupe:
    """Starts programs of any language on the test's processes."""

    def __init__(self, processes: Processes, examples: Mapping[str, Example]) -> None:
        self._stage = processes
        self._examples = examples
        self._keyboards: list[int] = []

    def _command(self, language: str, program: str) -> list[str]:
        if language == "python":
            return [sys.executable, "-m", f"tests.polyglot.programs.{program}"]
        return self._examples[language].command(program)

    def start(self, language: str, program: str, server: str, *arguments: str, nth: int = 1) -> Process:
        """A program that needs no keyboard; `nth`: of its kind on this processes."""
        command = [*self._command(language, program), *arguments]
        return self._stage.command(f"{program}-{language}-{nth}", *command, ASKBACK_SERVER=server)

    def console(self, language: str, server: str) -> Typist:
        """A console, and the keyboard in front of it."""
        pipe = self._stage.folder / f"keyboard-{len(self._keyboards)}"
        os.mkfifo(pipe)
        # Read and write: then neither this nor the program's side of opening waits for the other.
        keyboard = os.open(pipe, os.O_RDWR)
        self._keyboards.append(keyboard)
        # exec: the pid is the program's. The fifo has no other reader that would take its lines.
        line = f'exec "$@" < "{pipe}"'
        command = self._command(language, "console")
        process = self._stage.command(
            f"console-{language}", "sh", "-c", line, "sh", *command, "--user", "ana", ASKBACK_SERVER=server
        )
        return Typist(process, keyboard)

    def end(self) -> None:
        """Close the keyboards."""
        for keyboard in self._keyboards:
            os.close(keyboard)


class Typist:
    """A person at a console."""

    def __init__(self, console: Process, keyboard: int) -> None:
        self.console = console
        self._keyboard = keyboard

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._keyboard, line.encode() + b"\n")


@pytest.fixture
def troupe(processes: Processes, request: pytest.FixtureRequest) -> Iterator[Troupe]:
    """Starts the programs of the languages that the test's parameters name."""
    examples: dict[str, Example] = {}
    for language in request.node.callspec.params.values():
        if language in ("go", "typescript"):
            examples[language] = request.getfixturevalue(language)
    troupe = Troupe(processes, examples)
    yield troupe
    troupe.end()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    """A wire that can be cut."""
    relay = Relay()
    await relay.start()
    yield relay
    await relay.stop()


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """A fresh database in a file."""
    (tmp_path / "askback.db").write_bytes(migrated_file.read_bytes())
    return f"sqlite+aiosqlite:///{tmp_path / 'askback.db'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for ever is given up; how long a build takes is not counted (it has its own limit)."""
    for item in items:
        if "tests/polyglot/" in item.path.as_posix() and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(90, func_only=True))
