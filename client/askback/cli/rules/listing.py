"""`askback rules ls` and `askback rules show`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command

if TYPE_CHECKING:
    from askback._model.rules import Rule
    from askback._text.table import Column

_CONDITION_WIDTH = 40


@click.command(cls=Command)
@click.option("--all", "every", is_flag=True, help="Also deleted rules.")
@client_command
async def ls(context: CommandContext, every: bool) -> None:
    """List the rules of the namespace.

    On a pipe, or with -o tsv, each rule is a line with tabs between name, state, effect, condition, author,
    revision, uses, end and id, without a header; times are in UTC. With --json one rule a line.
    """
    from askback.cli.record import record

    found: list[Rule] = []
    async for rule in context.client.rules.list(include_deleted=every, page_size=500):
        if context.out.as_json:
            context.out.json(record(rule.proto))
        elif context.out.as_tsv:
            context.out.tsv(_row(rule))
        found.append(rule)
    if context.out.as_json:
        return
    if not context.out.as_tsv:
        context.out.table(_columns(found))
    context.out.note(f"{len(found)} rule{'' if len(found) == 1 else 's'}")


@click.command(cls=Command)
@click.argument("rule")
@client_command
async def show(context: CommandContext, rule: str) -> None:
    """Show what a rule says, and what waits for approval. RULE is its id, the end of it, or its name.

    With --json it is the whole rule; its `spec` can be changed and given to `rules edit`.
    """
    from datetime import UTC, datetime

    from askback._text.text import one_line
    from askback.cli.record import record
    from askback.cli.rules.words import rule_of, spec_pairs, state_words, uses_words

    found = await rule_of(context.client, rule, include_deleted=True)
    if context.out.as_json:
        context.out.json(record(found.proto))
        return
    now = datetime.now(UTC)
    by = f"{found.revision} by {one_line(found.author)}" if found.revision else ""
    by += f", approved by {one_line(found.authorised_by)}" if found.authorised_by else ""
    pairs = [("name", one_line(found.name)), ("id", found.rule_id), ("state", state_words(found))]
    pairs += [("revision", by), ("uses", uses_words(found))]
    pairs += spec_pairs(found.spec, now) if found.spec is not None else []
    context.out.fields(pairs)
    if found.proposed is not None:
        waits = f"revision {found.proposed_revision} by {one_line(found.proposed_by)} waits"
        job = f" (job {found.proposal_job_id})" if found.proposal_job_id else ""
        context.out.line(context.out.style(f"{waits} for a second person{job}:"))
        context.out.fields(spec_pairs(found.proposed, now), indent="  ")


def _columns(found: Sequence[Rule]) -> list[Column]:
    from datetime import UTC, datetime

    from askback._text.handle import handles
    from askback._text.spans import day_words
    from askback._text.table import Column
    from askback.cli.rules.words import state_words, uses_words
    from askback.terminal.rule_words import condition_words, effect_words

    now = datetime.now(UTC)
    said = [rule.spec or rule.proposed for rule in found]
    short = handles([rule.rule_id for rule in found])
    ends = [spec.expires_at if spec is not None else None for spec in said]
    return [
        Column("NAME", [rule.name for rule in found], important=True),
        Column("STATE", [state_words(rule) for rule in found], important=True),
        Column(
            "THEN", [effect_words(s) if s else "" for s in said], maximum=_CONDITION_WIDTH, important=True
        ),
        Column("WHEN", [condition_words(s) if s else "" for s in said], maximum=_CONDITION_WIDTH),
        Column("AUTHOR", [rule.author or rule.proposed_by for rule in found], important=True),
        Column("USES", [uses_words(rule) for rule in found]),
        Column("ENDS", [day_words(end, now) if end is not None else "" for end in ends]),
        Column("ID", [short[rule.rule_id] for rule in found], important=True),
    ]


def _row(rule: Rule) -> list[object]:
    """One rule for a program, with the fields listed in `ls`."""
    from askback.terminal.prompt_table import instant
    from askback.terminal.rule_words import condition_words

    spec = rule.spec or rule.proposed
    return [
        rule.name,
        rule.state,
        spec.effect if spec is not None else "",
        condition_words(spec) if spec is not None else "",
        rule.author or rule.proposed_by,
        rule.revision,
        rule.uses,
        instant(spec.expires_at) if spec is not None else "",
        rule.rule_id,
    ]
