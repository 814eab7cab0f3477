"""Start-up is a feature: help and completion load nothing that they do not need, and stay quick."""

import importlib.util
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from askback.cli import COMMANDS, main
from askback.cli.inbox import COMMANDS as INBOX_COMMANDS
from askback.cli.job import COMMANDS as JOB_COMMANDS
from askback.cli.lazy import Lazy, LazyGroup
from askback.cli.token import COMMANDS as TOKEN_COMMANDS

HEAVY = {"grpc", "google", "pydantic", "pydantic_core", "rich", "asyncio", "sqlalchemy", "askback_server"}
SCRIPT = "from askback.cli import main; main(prog_name='askback')"


def _complete(words: str) -> dict[str, str]:
    return {"_ASKBACK_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}


QUICK: dict[str, tuple[list[str], Mapping[str, str]]] = {
    "--help": (["--help"], {}),
    "--version": (["--version"], {}),
    "job --help": (["job", "--help"], {}),
    "job start --help": (["job", "start", "--help"], {}),
    "ask --help": (["ask", "--help"], {}),
    "doctor --help": (["doctor", "--help"], {}),
    "explain --help": (["explain", "--help"], {}),
    "completion of a command": ([], _complete("askback jo")),
    "completion of an option": ([], _complete("askback job start --")),
    "completion of a word": ([], _complete("askback job ls --state ")),
}


@pytest.mark.parametrize("case", QUICK)
def test_nothing_heavy_is_loaded(case: str) -> None:
    words, environment = QUICK[case]
    told = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    command = [sys.executable, "-c", told + SCRIPT, *words]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip()
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "click" in loaded, "the list of modules is not there"
    assert not HEAVY & loaded


def test_completion_knows_its_words() -> None:
    """Commands with their help in zsh, options, and the words of a choice."""

    def completed(words: str, shell: str = "bash") -> str:
        environment = {**os.environ, **_complete(words), "_ASKBACK_COMPLETE": f"{shell}_complete"}
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert completed("askback jo") == "plain,job\n"
    assert COMMANDS["job"][1] in completed("askback jo", "zsh")
    assert "plain,--label" in completed("askback job start --")
    assert completed("askback job ls --state w") == "plain,waiting\n"
    assert completed("askback job exp") == "plain,export\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(shell: str) -> None:
    command = [sys.executable, "-c", SCRIPT, "completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"_ASKBACK_COMPLETE={shell}_complete" in done.stdout


def _tables() -> Iterator[tuple[LazyGroup, Lazy]]:
    yield main, COMMANDS  # type: ignore[misc]
    job = main.get_command(click.Context(main), "job")
    assert isinstance(job, LazyGroup)
    yield job, JOB_COMMANDS
    token = main.get_command(click.Context(main), "token")
    assert isinstance(token, LazyGroup)
    yield token, TOKEN_COMMANDS
    inbox = main.get_command(click.Context(main), "inbox")
    assert isinstance(inbox, LazyGroup)
    yield inbox, INBOX_COMMANDS


def test_the_tables_say_what_the_commands_say() -> None:
    """A command's line in its group's help is the first sentence of its own."""
    for group, table in _tables():
        context = click.Context(group)
        for name, (place, text) in table.items():
            if importlib.util.find_spec(place.partition(":")[0]) is None:
                continue
            command = group.get_command(context, name)
            assert command is not None
            assert command.name == name
            assert command.get_short_help_str(200) == text


def _seconds(command: list[str], environment: Mapping[str, str]) -> float:
    """The processor's time: that of others on the machine is not in it."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    ("what", "most"),
    [("import", 4.0), ("--help", 7.0), ("completion of a command", 7.0), ("completion of a word", 9.0)],
)
def test_the_start_is_quick(what: str, most: float) -> None:
    """The median ratio to a bare interpreter, each measured beside one.

    Well below the budgets (200 ms for `import askback`, 100 ms for help and completion: 20 and 10 bare
    interpreters of 10 ms), so that creep is seen before it hurts.
    """
    bare = [sys.executable, "-c", "pass"]
    script = str(Path(sys.executable).with_name("askback"))
    words, environment = QUICK.get(what, ([], {}))
    command = [sys.executable, "-c", "import askback"] if what == "import" else [script, *words]
    _seconds(command, environment)  # compiles what was never imported
    ratios = [_seconds(command, environment) / _seconds(bare, {}) for _ in range(9)]
    assert statistics.median(ratios) < most, sorted(ratios)
