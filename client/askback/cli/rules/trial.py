"""`askback rules preview` and `askback rules suggest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.lookup import prompt_of

if TYPE_CHECKING:
    from askback._model.rules import RulePreview, RuleSample, RuleSuggestion

_FINDINGS = {
    "NEVER_MATCHES": "it matches none of them",
    "SHADOWED": "stricter rules match all that it matches",
    "REDUNDANT": "another rule does the same",
}


@click.command(cls=Command)
@click.argument("file")
@click.option("--prompts", default=0, metavar="N", help="How many questions, up to 1,000. [default: 200]")
@client_command
async def preview(context: CommandContext, file: str, prompts: int) -> None:
    """Say what the rule of a file would have done with the last questions, and what people did.

    It changes nothing. Read every conflict: there people rejected what the rule would have accepted. On a
    pipe, or with -o tsv, each line has what the rule would have done, what people did, and how often.
    """
    from askback._text.table import Column
    from askback.cli.record import record
    from askback.cli.rules.spec_file import read_spec

    found = await context.client.rules.preview(read_spec(file), prompts=prompts)
    if context.out.as_json:
        context.out.json(record(found.proto))
        return
    if context.out.as_tsv:
        for cell in found.cells:
            context.out.tsv([cell.rule, cell.people, cell.count])
        return
    context.out.table(
        [
            Column("RULE WOULD", [cell.rule for cell in found.cells], important=True),
            Column("PEOPLE DID", [cell.people for cell in found.cells], important=True),
            Column("COUNT", [cell.count for cell in found.cells], important=True),
        ]
    )
    _findings(context, found)
    for sample in found.conflicts:
        context.out.line(context.out.style(f"conflict: {_sample(sample)}", fg="red"))
    context.out.note(f"{found.prompts} questions")


@click.command(cls=Command)
@click.argument("prompt", required=False)
@click.option("--draft", type=click.IntRange(1), metavar="N", help="Print the draft in this place as a file.")
@click.option("--at-least", "support", default=0, metavar="N", help="Decided alike so often. [default: 5]")
@click.option("--prompts", default=0, metavar="N", help="How many questions, up to 1,000. [default: 500]")
@client_command
async def suggest(
    context: CommandContext, prompt: str | None, draft: int | None, support: int, prompts: int
) -> None:
    """Draft rules from what people decided alike, or "always so for this" from one answered PROMPT.

    With a PROMPT, or with --draft, the draft is printed as a file for `rules create`: edit it, and give it a
    reason. A draft is never active by itself. PROMPT is its id, the end of it, or JOB/KEY.
    """
    from askback.cli.record import record

    which = (await prompt_of(context.client, prompt)).prompt_id if prompt else ""
    found = await context.client.rules.suggest(which, min_support=support, prompts=prompts)
    if prompt or draft is not None:
        place = draft or 1
        if place > len(found):
            raise click.UsageError(f"--draft {place}: there are {len(found)} drafts")
        _draft(context, found[place - 1])
        return
    if context.out.as_json:
        for each in found:
            context.out.json(record(each.proto))
        return
    _table(context, found)
    context.out.note(f"{len(found)} draft{'' if len(found) == 1 else 's'}")


def _findings(context: CommandContext, found: RulePreview) -> None:
    for lint, rules in found.findings.items():
        others = f": {', '.join(rules)}" if rules else ""
        context.out.line(context.out.style(f"odd: {_FINDINGS.get(lint, lint)}{others}", fg="yellow"))


def _draft(context: CommandContext, found: RuleSuggestion) -> None:
    from askback.cli.rules.spec_file import spec_text

    context.out.line(spec_text(found.spec))
    people = ", ".join(found.users)
    counts = f"{found.support} so ({people}), {found.exceptions} otherwise"
    context.out.note(f"people decided {counts}; {found.open_prompts} are open, which it would not answer")


def _table(context: CommandContext, found: Sequence[RuleSuggestion]) -> None:
    from askback._text.table import Column
    from askback.terminal.rule_words import condition_words, effect_words

    places = range(1, len(found) + 1)
    if context.out.as_tsv:
        for place, each in zip(places, found, strict=True):
            what = [effect_words(each.spec), condition_words(each.spec)]
            context.out.tsv([place, each.support, each.exceptions, *what, ",".join(each.users)])
        return
    context.out.table(
        [
            Column("DRAFT", list(places), important=True),
            Column("ALIKE", [each.support for each in found], important=True),
            Column("OTHERWISE", [each.exceptions for each in found], important=True),
            Column("THEN", [effect_words(each.spec) for each in found], important=True),
            Column("WHEN", [condition_words(each.spec) for each in found], important=True),
            Column("WHO", [", ".join(each.users) for each in found]),
        ]
    )


def _sample(sample: RuleSample) -> str:
    from askback._text.text import one_line

    by = f" by {one_line(sample.by)}" if sample.by else ""
    return f"{sample.prompt_id} {sample.people}{by}: {one_line(sample.title)}"
