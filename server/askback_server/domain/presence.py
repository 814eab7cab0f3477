"""Marks open prompts that are unattended: no person who may answer them is present."""

from __future__ import annotations

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.commands import ReviewPresence
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.prompts import Prompt


def mark_presence(change: Change, prompt: Prompt) -> Prompt:
    """Set or clear the mark of an open prompt and record the event.

    The caller adds the returned prompt to the change.
    """
    missed = not change.facts.attended(prompt)
    if missed is (prompt.unattended_since is not None):
        return prompt
    actor, change.actor = change.actor, "system"
    change.record(
        EventType.PROMPT_UNATTENDED if missed else EventType.PROMPT_ATTENDED,
        prompt.prompt_id,
        {"round": prompt.round, "key": prompt.key},
    )
    change.actor = actor
    return evolve(prompt, unattended_since=change.facts.now if missed else None)


def review_presence(aggregate: Aggregate, command: ReviewPresence, facts: Facts) -> RuleResult[None]:
    """Update the marks of the job's open prompts after consoles connected or disconnected."""
    if aggregate.job is None:
        return RuleResult(None)
    change = Change(aggregate, facts, command.principal.subject)
    for prompt in aggregate.open:
        noted = mark_presence(change, prompt)
        if noted is not prompt:
            change.put(noted)
    return RuleResult(None, change if change.events else None)
