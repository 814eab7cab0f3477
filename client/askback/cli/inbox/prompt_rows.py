"""Prompts as a table for people, and as lines for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askback._model.prompts import PromptInfo
    from askback.cli.context import CommandContext


async def write_prompts(context: CommandContext, prompts: Sequence[PromptInfo]) -> None:
    """Print prompts as a table, or as lines for a program."""
    from askback.terminal.prompt_table import prompt_columns, prompt_row
    from askback.terminal.prompt_work import person_for
    from askback.terminal.words import now

    if context.out.as_tsv:
        for prompt in prompts:
            context.out.tsv(prompt_row(prompt, now()))
    else:
        marked = [p for p in prompts if p.exclude is not None or p.proto.delegations]
        person = await person_for(context.client, marked)
        context.out.table(prompt_columns(prompts, now(), exact=context.out.verbose, person=person))
