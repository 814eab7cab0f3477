"""Wrong usage in a line or two, help in sections, and the names that fields have on the command line."""

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result

from askback.cli import main
from askback.cli.arguments import violations_as_typed
from askback.cli.command import Command
from askback.errors import InvalidArgument, Violation

SEE_JOB_LS = "  (see `askback job ls --help`)"
SEE_COMPLETION = "  (see `askback completion --help`)"


def run(*words: str, **environment: str) -> Result:
    """Run `askback` with these arguments, without a server."""
    return CliRunner().invoke(main, words, env=environment, prog_name="askback")


def commands(group: click.Group, path: str = "askback") -> Iterator[tuple[str, click.Command]]:
    """Every command that is not a group, by its path."""
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        elif command is not None:
            yield f"{path} {name}", command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("jobs", "there is no command 'jobs'; did you mean askback job?"),
        ("job lst", "there is no command 'lst'; did you mean askback job ls?"),
        ("inbox aprove", "there is no command 'aprove'; did you mean askback inbox approve?"),
        ("approve", "there is no command 'approve'; did you mean askback inbox approve?"),
        ("job sta", "there is no command 'sta'; did you mean askback job start?"),
        ("frobnicate", "there is no command 'frobnicate'\n  (see `askback --help`)"),
        ("job ls --sate pending", "there is no option --sate; did you mean --state?"),
        ("job ls --labels a=b", "there is no option --labels; did you mean --label?"),
        ("job ls --xyz", "there is no option --xyz\n  (see `askback job ls --help`)"),
        (
            "job ls --state nope",
            "--state must be one of: pending, running, waiting, completed, failed, cancelled (not 'nope')\n"
            "  (see `askback job ls --help`)",
        ),
        ("job ls --limit x", "--limit must be a whole number, at least 0 (not 'x')\n" + SEE_JOB_LS),
        ("job ls --limit -1", "--limit must be a whole number, at least 0 (not -1)\n" + SEE_JOB_LS),
        ("job ls --state", "--state needs a value"),
        ("job ls --json=1", "--json takes no value"),
        ("ask", "TITLE is missing\n  (see `askback ask --help`)"),
        ("inbox approve", "PROMPT is missing\n  (see `askback inbox approve --help`)"),
        (
            "job ls --timeout 5",
            "--timeout: '5' has no unit; write 5s, 5m, 5h or 5d\n  (see `askback job ls --help`)",
        ),
        ("completion sh", "SHELL must be one of: bash, zsh, fish (not 'sh')\n" + SEE_COMPLETION),
    ],
)
def test_wrong_usage_is_reported_once_and_briefly(words: str, said: str) -> None:
    done = run(*words.split())
    assert (done.exit_code, done.stderr, done.stdout) == (2, f"askback: {said}\n", "")


def test_a_wrong_value_from_the_environment_names_its_variable() -> None:
    done = run("job", "ls", ASKBACK_TIMEOUT="5")
    assert (done.exit_code, done.stderr.splitlines()[0]) == (
        2,
        "askback: ASKBACK_TIMEOUT: '5' has no unit; write 5s, 5m, 5h or 5d",
    )


def test_connection_options_have_their_own_section_in_every_command() -> None:
    """The section comes last in the help, after the options of the command itself."""
    connected = 0
    for path, command in commands(main):
        text = command.get_help(click.Context(command, info_name=path))
        own, title, shared = text.partition("\nConnection options:\n")
        if "--server" not in text or path in ("askback health", "askback web"):
            continue
        connected += 1
        assert isinstance(command, Command), path
        assert title, path
        assert not re.search(
            r"^  --(server|token|user|group|namespace|tls|ca|profile|timeout) ", own, re.M
        ), path
        assert shared.count("\n  --") == 10, path  # and one without a line break before it
        assert "--help" in own, path
    assert connected > 15


def test_violations_name_the_options_that_were_typed() -> None:
    """Of `askback ask` and `askback job ls`; a field that no argument sets keeps its path."""
    for path, words, name in (
        ("prompt.title", "ask", "TITLE"),
        ("prompt.kind", "ask", "--kind"),
        ("prompt.labels['a']", "ask", "--label"),
        ("prompt.audience", "ask", "--to"),
        ("prompt.escalation[0].after", "ask", "--escalate"),
        ("prompt.default_answer.values_json/x/0", "ask", "--default x/0"),
        ("prompt.default_answer.decision", "ask", "--default"),
        ("prompt.contents[1].content_id", "ask", "--contents"),
        ("prompt.timeout", "ask", "--deadline"),
        ("prompt.schema_json", "ask", "--form"),
        ("priority", "job start", "--priority"),
        ("job_type", "job start", "JOB_TYPE"),
        ("input_json", "job start", "--input"),
        ("start_delay", "job start", "--delay"),
        ("filter.labels", "job ls", "--label"),
        ("filter.job_types", "job ls", "--type"),
        ("filter.user_ids", "job ls", "--owner"),
        ("page_token", "job ls", "page_token"),
    ):
        command = dict(commands(main))[f"askback {words}"]
        error = InvalidArgument("", violations=[Violation(path, "is wrong")])
        assert violations_as_typed(error, command.params) == [Violation(name, "is wrong")], path


def test_calling_without_a_command_prints_the_help() -> None:
    done = run("job")
    assert done.exit_code == 2
    assert done.stderr.startswith("Usage: askback job [OPTIONS] COMMAND")
