"""`askback audit`: verify what a database has recorded, and make the keys that sign it."""

from __future__ import annotations

import sys
from typing import Any

import click

from askback.cli.command import Command
from askback.cli.lazy import LazyGroup
from askback.cli.service import service_module

COMMANDS = {
    "verify": ("askback.cli.audit:verify", "Verify a job, or all jobs of a namespace."),
    "new-key": (
        "askback.cli.audit:new_key",
        "Make a key that signs checkpoints, and put it first in a file.",
    ),
    "public-keys": (
        "askback.cli.audit:public_keys",
        "Print the public keys of a file as a JSON Web Key Set.",
    ),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def audit() -> None:
    """Verify what a database has recorded."""


@click.command(cls=Command)
@click.argument("job", metavar="[JOB]", required=False)
@click.option("--namespace", metavar="NAME", help="All jobs of a namespace, instead of one.")
@click.option("--db", help="Database URL, as of `askback serve`.")
@click.option("--config", metavar="FILE", help="TOML file of settings, as of `askback serve`.")
@click.option("--keys", metavar="FILE", help="Keys (public ones suffice) that must have signed checkpoints.")
@click.option(
    "--signed-from",
    type=click.IntRange(1),
    metavar="N",
    help="With --keys: the first checkpoint that must be signed. [default: 1]",
)
@click.option(
    "--expect",
    type=click.File("r", encoding="utf-8-sig"),
    help="A checkpoint's statement that was kept elsewhere (`last_statement` of --json): it must be there.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
def verify(job: str | None, namespace: str | None, expect: Any, **flags: Any) -> None:
    """Verify a job, or all jobs of a namespace.

    \b
      askback audit verify 0199c1de-…                       one job, by its whole id
      askback audit verify --namespace default --keys signing-keys.json

    Prints each row that is not what the hash chain of its job or a checkpoint says, the first wrong one of
    each job first. Exit 0: nothing is wrong. Exit 5: something is. Exit 3: there is no such job or namespace.
    Exit 1: the database cannot be read.
    """
    if bool(job) == bool(namespace):
        raise click.UsageError("name either a job or a --namespace")
    flags |= {"job": job, "namespace": namespace, "expect": _statement(expect) if expect else ""}
    sys.exit(service_module("audit").verify(flags))


def _statement(file: Any) -> str:
    """The statement in a file. Raises click.UsageError if there is none."""
    try:
        text: str = file.read().strip()
    except UnicodeDecodeError:
        text = ""
    if text.count(".") == 2 or text.startswith('{"type":"askback.checkpoint.v1"'):
        return text
    raise click.UsageError("--expect must be a file with a statement: `last_statement` of `verify --json`")


@click.command("new-key", cls=Command)
@click.argument("file", type=click.Path(dir_okay=False))
def new_key(file: str) -> None:
    """Make a key that signs checkpoints, and put it first in a file.

    FILE is made for its owner alone if it is not there. A running server signs with the new key from the next
    checkpoint on. Keep the older keys in the file.
    """
    signing = service_module("signing")
    try:
        click.echo(signing.add_key(file))
    except signing.BadSigningKeys as error:
        raise click.ClickException(str(error)) from None


@click.command("public-keys", cls=Command)
@click.argument("file", type=click.Path(dir_okay=False))
def public_keys(file: str) -> None:
    """Print the public keys of a file as a JSON Web Key Set."""
    signing = service_module("signing")
    try:
        click.echo(signing.public_set(file))
    except signing.BadSigningKeys as error:
        raise click.ClickException(str(error)) from None
