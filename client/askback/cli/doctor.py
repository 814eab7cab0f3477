"""`askback doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.connection import Connection, flags_as_typed
from askback.cli.connection_options import connection_options
from askback.cli.exits import Exit
from askback.cli.output import Output, output_options

if TYPE_CHECKING:
    from askback.cli.checkup import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(cls=Command)
@click.option("--db", metavar="URL", help="Look at this database too.")
@connection_options
@output_options
def doctor(db: str | None, out: Output, **options: Any) -> None:
    """Look for what is wrong with an installation, and say what to do.

    Exit code 1 if anything fails. With --quiet it prints only warnings and failures.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import asyncio

    from askback.cli.checkup import Level, fail
    from askback.cli.checkup.installation import check_database, check_installation

    failed = False

    def show(findings: Iterable[Finding]) -> None:
        nonlocal failed
        for finding in findings:
            failed = failed or finding.level is Level.FAIL
            _show(out, finding)

    show(check_installation())
    if db is not None:
        show([check_database(db)])
    try:
        connection = Connection.of(options, flags_as_typed(click.get_current_context()))
        connection.endpoint()
    except click.UsageError as error:
        show([fail("connection", error.message, "correct the option, the environment or the profile")])
    else:
        from askback.cli.checkup.server import check_server

        async def collect(found: AsyncIterator[Finding]) -> None:
            async for finding in found:
                show([finding])

        asyncio.run(collect(check_server(connection)))
    sys.exit(Exit.ERROR if failed else Exit.DONE)


def _show(out: Output, finding: Finding) -> None:
    record = {"check": finding.check, "level": str(finding.level), "message": finding.message}
    if out.as_json:
        out.json({**record, **({"todo": finding.todo} if finding.todo else {})})
    elif out.quiet and finding.level == "ok":
        return
    elif out.as_tsv:
        out.tsv([*record.values(), finding.todo])
    else:
        level = out.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
        out.line(f"{level}  {out.style(f'{finding.check:<14}', bold=True)}  {out.style(finding.message)}")
        if finding.todo:
            out.line(f"      {'':<14}  -> {out.style(finding.todo)}")
