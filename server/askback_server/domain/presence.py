"""Whether anybody is there who may answer: a mark on open prompts, set and taken away by events."""

from __future__ import annotations

from askback_server.domain.aggregate import Aggregate, Change, Decided, Facts
from askback_server.domain.commands import ReviewPresence
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.prompts import Prompt


def mark_presence(change: Change, prompt: Prompt) -> Prompt:
    """The open prompt, marked if nobody is there for it. With its event; `put` it afterwards."""
    missed = not change.facts.attended(prompt)
    if missed is (prompt.unattended_since is not None):
        return prompt
    actor, change.actor = change.actor, "system"
    change.event(
        EventType.PROMPT_UNATTENDED if missed else EventType.PROMPT_ATTENDED,
        prompt.prompt_id,
        {"round": prompt.round, "key": prompt.key},
    )
    change.actor = actor
    return evolve(prompt, unattended_since=change.facts.now if missed else None)


def review_presence(aggregate: Aggregate, command: ReviewPresence, facts: Facts) -> Decided[None]:
    """Somebody came or went: look at the job's open prompts again."""
    if aggregate.job is None:
        return Decided(None)
    change = Change(aggregate, facts, command.principal.subject)
    for prompt in aggregate.open:
        noted = mark_presence(change, prompt)
        if noted is not prompt:
            change.put(noted)
    return Decided(None, change if change.events else None)
