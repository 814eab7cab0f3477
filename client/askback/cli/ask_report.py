"""What `askback ask` says while its question is open, and when it was answered at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from askback._text.spans import when
from askback._text.text import one_line
from askback.cli.answer_commands import commands_for_others
from askback.cli.event_words import ruling_words
from askback.cli.words import audience_words
from askback.terminal.vote_words import approval_words, progress_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from askback._client.run import Run
    from askback._model.prompts import PromptInfo
    from askback.cli.context import CommandContext


async def report_asked(context: CommandContext, run: Run, prompt: PromptInfo) -> None:
    """Note whom a question asks, until when, and how to answer; or that it needs no person any more."""
    if not prompt.is_open:
        _report_ended(context, run, prompt)
        return
    deadline = when(prompt.expires_at, datetime.now(UTC), exact=context.out.verbose)
    until = f", deadline {deadline}" if deadline else ""
    context.out.note(f"asked {audience_words(prompt)} (job {run.job_id}){until}")
    async for words in _rulings(run, prompt):
        context.out.note(f"  {words}")
    if prompt.approval is not None:
        context.out.note(f"  {approval_words(prompt.approval)}")
        for line in progress_words(prompt) if prompt.votes else ():
            context.out.note(f"  {line}")
    for what, command in zip(
        ("to answer", "to say no"), commands_for_others(prompt, context.connection), strict=False
    ):
        context.out.note(f"  {what + ':':<11}{command}")


def _report_ended(context: CommandContext, run: Run, prompt: PromptInfo) -> None:
    """A rule answers in the commit that asks; anything else has ended before, with the same request id."""
    answer = prompt.answered
    if answer is None or not answer.by_rule:
        context.out.note(f"it was asked before and has ended (job {run.job_id})")
        return
    context.out.note(f"asked no one: a rule of {one_line(answer.by)} answered (job {run.job_id})")
    context.out.note(f"  to see the rule: {context.connection.command(f'rules show {answer.rule_id}')}")


async def _rulings(run: Run, prompt: PromptInfo) -> AsyncIterator[str]:
    """What rules have made of an open prompt, in words, for an asker who may read the job's log.

    The prompt itself does not say it: the log has the events.
    """
    version = prompt.proto.version
    async for event in run.watch():
        if event.type == "PROMPT_RULED":
            yield ruling_words(event.data)
        if event.seq >= version:
            return
