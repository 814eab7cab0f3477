"""`askback token`: the entries of a server's token file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from click.shell_completion import CompletionItem

from askback.cli.command import Command
from askback.cli.lazy import LazyGroup
from askback.cli.output import Output, output_options
from askback.cli.time_types import Later

ROLES = ("client", "worker", "console", "policy", "admin")
_LISTS = ("roles", "namespaces", "groups")
COMMANDS = {
    "add": ("askback.cli.token:add", "Make a token, print it once and store its hash."),
    "ls": ("askback.cli.token:ls", "List the entries: who may do what until when."),
    "revoke": ("askback.cli.token:revoke", "Remove an entry; a running server refuses its token at once."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def token() -> None:
    """Add, list and revoke the tokens of a server.

    They are entries of its token file, which a running server reads again by itself.
    """


def _file_options(function: Any) -> Any:
    """Add the options that name the file."""
    config = click.option("--config", metavar="FILE", help="TOML file of settings, as of `askback serve`.")
    auth = click.option(
        "--auth", metavar="FILE", help="The token file. [default: that of ASKBACK_AUTH or of the settings]"
    )
    return auth(config(function))


@click.command(cls=Command)
@click.argument("subject")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(ROLES), help="Repeatable.")
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    default=("default",),
    show_default="default",
    metavar="NAME",
    help="Repeatable; the first is the one that is used if none is named. '*': all.",
)
@click.option("--group", "groups", multiple=True, metavar="NAME", help="Repeatable.")
@click.option("--expires", type=Later(), help="90d, or a time: 2027-01-01T00:00Z. [default: never]")
@_file_options
@output_options
def add(
    subject: str,
    roles: tuple[str, ...],
    namespaces: tuple[str, ...],
    groups: tuple[str, ...],
    expires: datetime | None,
    auth: str | None,
    config: str | None,
    out: Output,
) -> None:
    """Make a token, print it once and store its hash.

    \b
      askback token add ana --role console --group ops --expires 90d --auth tokens.toml
      ASKBACK_TOKEN=$(askback token add shop --role client -q)

    The file is made if it is not there, for its owner alone. Comments and other entries stay as they are.
    """
    from datetime import UTC

    from askback._text.spans import when

    path, edits = _path(auth, config), _token_edits()
    secret = _apply_edit(
        edits.add_token, path, subject, roles=roles, namespaces=namespaces, groups=groups, expires=expires
    )
    if out.as_json:
        [entry] = [e for e in edits.read_entries(path) if e.name == _digest(secret)[: len(e.name)]]
        out.json({"token": secret, **_record(entry)})
    else:
        out.line(secret)
        ends = f"; it expires {when(expires, datetime.now(UTC), exact=out.verbose)}" if expires else ""
        out.note(f"{subject} may act as {', '.join(roles)}{ends}; the token is not shown again")
    _warn(out, path)


@click.command(cls=Command)
@_file_options
@output_options
def ls(auth: str | None, config: str | None, out: Output) -> None:
    """List the entries: who may do what until when. Tokens themselves are not in the file."""
    from datetime import UTC

    from askback._text.spans import when
    from askback._text.table import Column
    from askback.terminal.prompt_table import instant

    path = _path(auth, config)
    entries = _apply_edit(_token_edits().read_entries, path)
    now = datetime.now(UTC)
    if out.as_json:
        for entry in entries:
            out.json(_record(entry))
    elif out.as_tsv:
        for entry in entries:
            lists = (",".join(entry.names(field)) for field in _LISTS)
            out.tsv([entry.name, entry.subject, *lists, instant(entry.expires)])
    else:
        out.table(
            [
                Column("ID", [entry.name for entry in entries], important=True),
                Column("SUBJECT", [entry.subject for entry in entries], important=True),
                *(Column(f.upper(), [",".join(e.names(f)) for e in entries], important=True) for f in _LISTS),
                Column(
                    "EXPIRES",
                    important=True,
                    cells=[when(e.expires, now, exact=out.verbose) or "never" for e in entries],
                ),
            ]
        )
    _warn(out, path)


def _subjects(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Subjects of the token file, with what they may do; none on any error."""
    try:
        entries = _token_edits().read_entries(_path(ctx.params.get("auth"), ctx.params.get("config")))
    except (ValueError, click.ClickException):
        return []
    found = {entry.subject: ", ".join(entry.names("roles")) for entry in entries}
    return [CompletionItem(name, help=text) for name, text in found.items() if name.startswith(incomplete)]


@click.command(cls=Command)
@click.argument("name", metavar="SUBJECT_OR_ID", shell_complete=_subjects)
@click.option("--all", "every", is_flag=True, help="Every entry of the subject.")
@_file_options
@output_options
def revoke(name: str, every: bool, auth: str | None, config: str | None, out: Output) -> None:
    """Remove an entry; a running server refuses its token at once.

    Name it by its subject, or by the id that `askback token ls` prints. "At once" is within a second or two;
    open streams of the token end too. The comment lines
    right above the entry go with it; all others stay.
    """
    path = _path(auth, config)
    for entry in _apply_edit(_token_edits().revoke_token, path, name, every=every):
        if out.as_json:
            out.json({**_record(entry), "revoked": True})
        else:
            out.line(out.style(f"revoked {entry.name} of {entry.subject}"))
    _warn(out, path)


def _token_edits() -> Any:
    from askback.cli.service import service_module

    return service_module("transport.token_edits")


def _path(auth: str | None, config: str | None) -> str:
    """The path of the token file. Raises click.UsageError if no option or setting names one."""
    from askback.cli.service import service_module

    try:
        path: str = service_module("config.sources").token_file({"auth": auth, "config": config})
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not path:
        raise click.UsageError("no token file is named: give --auth FILE, or set ASKBACK_AUTH")
    return path


def _apply_edit(edit: Any, *arguments: Any, **named: Any) -> Any:
    """Run an edit of the token file and return its result. Raises click.ClickException with an exit code."""
    from askback.cli.exits import Exit

    try:
        return edit(*arguments, **named)
    except LookupError as error:
        missing = type(error).__name__ == "NoSuchEntry"
        failure = click.ClickException(str(error))
        failure.exit_code = Exit.NOT_FOUND if missing else Exit.CONFLICT  # type: ignore[misc]
        raise failure from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _warn(out: Output, path: str) -> None:
    """Print a note if a server would refuse the file."""
    if found := _token_edits().problem(path):
        out.note(f"a server refuses this file: {found}")


def _digest(secret: str) -> str:
    import hashlib

    return hashlib.sha256(secret.encode()).hexdigest()


def _record(entry: Any) -> dict[str, Any]:
    """An entry for programs."""
    found: dict[str, Any] = {"id": entry.name, "subject": entry.subject}
    found |= {field: entry.names(field) for field in ("roles", "namespaces", "groups")}
    if entry.expires is not None:
        found["expires"] = entry.expires.isoformat().replace("+00:00", "Z")
    return found
