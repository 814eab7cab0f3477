"""Start-up time: help and completion load nothing that they do not need, and stay quick."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

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


COUNT = """
import atexit, sys

calls = 0

def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")

def tell():
    sys.setprofile(None)
    print(calls, *sys.modules, file=sys.stderr)

atexit.register(tell)
sys.setprofile(count)
"""
"""Counts the calls of Python and C functions: the same number in every run on one interpreter, whatever the
load. 1,000 of them take about 1 ms. Seconds are measured by `make install-figures`."""


def _run_and_count(code: str, words: list[str], environment: Mapping[str, str]) -> tuple[str, int, set[str]]:
    """Run a program; returns its output, the number of its function calls, and the packages that it loads."""
    command = [sys.executable, "-c", COUNT + code, *words]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    calls, *modules = done.stderr.split()
    return done.stdout, int(calls), {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("case", QUICK)
def test_a_command_loads_no_package_that_it_does_not_need(case: str) -> None:
    out, _, loaded = _run_and_count(SCRIPT, *QUICK[case])
    assert out.strip()
    assert "click" in loaded, "the list of modules is not there"
    assert not HEAVY & loaded


@pytest.mark.parametrize(
    ("what", "maximum"),
    [
        ("import", 2_000),
        ("--help", 65_000),
        ("completion of a command", 55_000),
        ("completion of a word", 75_000),
    ],
)
def test_start_up_calls_few_functions(what: str, maximum: int) -> None:
    """Below the budgets (200 ms for `import askback`, 100 ms for help and completion), so that creep is seen
    before it hurts."""
    code = "import askback" if what == "import" else SCRIPT
    words, environment = QUICK.get(what, ([], {}))
    _run_and_count(code, words, environment)  # compiles modules that were never imported
    _, calls, _ = _run_and_count(code, words, environment)
    assert calls < maximum


def test_completion_offers_commands_options_and_choices() -> None:
    """Commands with their help in zsh, options, and the words of a choice."""

    def complete(words: str, shell: str = "bash") -> str:
        environment = {**os.environ, **_complete(words), "_ASKBACK_COMPLETE": f"{shell}_complete"}
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert complete("askback jo") == "plain,job\n"
    assert COMMANDS["job"][1] in complete("askback jo", "zsh")
    assert "plain,--label" in complete("askback job start --")
    assert complete("askback job ls --state w") == "plain,waiting\n"
    assert complete("askback job exp") == "plain,export\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed_for_each_shell(shell: str) -> None:
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


def test_help_tables_repeat_the_first_sentence_of_each_command() -> None:
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
