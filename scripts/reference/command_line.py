"""The page of the command line: every command with its arguments and options, from click's tree."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Iterator

import click

from askback.cli import main
from askback.cli.exits import Exit
from scripts.reference.docstrings import attributes
from scripts.reference.tables import table

PROGRAM = "askback"


def lines() -> Iterator[str]:
    """The lines of the page."""
    root = main.make_context(PROGRAM, [], resilient_parsing=True)
    commands = list(walk(root))
    yield "# The command line"
    yield ""
    yield from _text(main.help)
    for context in commands[1:]:
        path = context.command_path
        short = context.command.get_short_help_str(200)
        if not isinstance(context.command, click.Group):
            yield f"- [`{path}`](#{path.replace(' ', '-')}): {short}"
    yield ""
    rows = Counter(row for context in commands for row in _rows(context))
    # Options of most commands are listed once, as common options.
    common = {row for row, count in rows.items() if count > len(commands) / 2}
    yield "## Exit codes"
    yield ""
    yield from table(["code", "meaning"], _exit_codes())
    yield from _READING.splitlines()
    yield ""
    yield "## Common options"
    yield ""
    yield (
        "Every command that talks to a server has these. The server and your identity are also read "
        "from the environment (`ASKBACK_SERVER`, `ASKBACK_TOKEN`, …), else from a profile in "
        "`~/.config/askback/config.toml`: see [for operators](../how-to/operator.md#who-may-connect)."
    )
    yield ""
    yield from table(["option", "meaning"], [row for row in rows if row in common])
    for context in commands:
        yield from _command(context, common)


_READING = """\
## Names, lists and times

**Names.** A job or a prompt is named by its id, or by the end of it: the last six characters or more, which
tables show as `ID`. Where six are not unique tables show more. A name that fits several is refused with a
list of them (exit code 2). A prompt may also be named as `JOB/KEY`. Names are looked up in the namespace of
the connection, among what you may see.

**Tables.** `inbox ls` and `job ls` show the columns that fit the terminal. A column that says the same in
every row is left out. `-v` shows whole ids and exact times, and cuts nothing. The count below a table is
that of all that match.

**Pipes.** When stdout is not a terminal, lists are lines with tabs between the fields: no header, no
padding, no colour, whole ids, times in UTC, always the same fields in the same order. The help of each
command names them. `-o tsv` does the same on a terminal, `-o table` prints the table on a pipe (as wide as
`COLUMNS` says), and `-o json`, or `--json`, prints one JSON object a line. A record (`job show`, `inbox
show`, `explain`) with `-o tsv` is a line with a name, a tab and a value for each of its fields; `job show`
on a pipe has a tab between names and values, too.

**Times.** A time is shown as how far it is, and in local time with its zone: `in 3 h (18:05 CET)`, `2 d ago
(27 Nov 18:05 CET)`. `-v` shows it exactly: `in 3 h (2026-11-27T18:05:03+01:00)`. The local zone is that of
the system, or `TZ`.

"""


def walk(context: click.Context) -> Iterator[click.Context]:
    """The contexts of a command and of all commands below it, without hidden ones."""
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from walk(click.Context(child, info_name=name, parent=context))


def _exit_codes() -> Iterator[tuple[str, str]]:
    about = attributes(Exit)
    for code in Exit:
        yield f"{code:d}", about[code.name]


def _command(context: click.Context, common: set[tuple[str, str]]) -> Iterator[str]:
    command = context.command
    yield f"## {context.command_path}"
    yield ""
    if context.parent is not None:
        yield from _text(command.help)
    yield "```text"
    yield f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield "```"
    yield ""
    rows = _rows(context)
    if own := [row for row in rows if row not in common]:
        yield from table(["option", "meaning"], own)
    if common.intersection(rows):
        yield "And the [common options](#common-options)."
        yield ""
    if command.epilog and context.parent is not None:  # the root's is the table of exit codes again
        yield from _text(command.epilog)


def _rows(context: click.Context) -> list[tuple[str, str]]:
    """Options and arguments with their help, without `--help` and those that have none."""
    records = [parameter.get_help_record(context) for parameter in context.command.get_params(context)]
    return [(f"`{r[0]}`", r[1]) for r in records if r is not None and r[1] and "--help" not in r[0]]


def _text(text: str | None) -> Iterator[str]:
    """Help text as Markdown; a paragraph that click must not rewrap (`\\b`) becomes a block."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text or "").partition("\f")[0]):
        if paragraph.startswith("\b"):
            yield "```text"
            yield from textwrap.dedent(paragraph.partition("\n")[2]).splitlines()
            yield "```"
        else:
            yield " ".join(paragraph.split()).replace("<", "&lt;")
        yield ""
