"""Rules in words, with their states, and the rule behind a name that people type."""

from __future__ import annotations

from datetime import datetime

from askback._client.client import Client
from askback._model.rule_specs import RuleSpec
from askback._model.rules import Rule, RuleState
from askback._text.handle import MIN_HANDLE_CHARS
from askback._text.spans import day_words
from askback._text.text import one_line
from askback.errors import InvalidArgument, NotFound
from askback.terminal.rule_words import condition_words, effect_words


async def rule_of(client: Client, name: str, *, include_deleted: bool = False) -> Rule:
    """The rule with this id, this end of an id, or this name; a revision behind an id, as answers have it
    (`ID@3`), is ignored. Raises NotFound, InvalidArgument for a name that fits several."""
    typed = name.strip()
    typed_id = typed.partition("@")[0].lower()
    exact, near = [], []
    async for rule in client.rules.list(include_deleted=include_deleted, page_size=500):
        if typed_id == rule.rule_id:
            return rule
        if typed == rule.name:
            exact.append(rule)
        elif len(typed_id) >= MIN_HANDLE_CHARS and rule.rule_id.endswith(typed_id):
            near.append(rule)
    # A name may be that of deleted rules too: it means the one that there is.
    found = [rule for rule in exact if rule.state is not RuleState.DELETED] or exact or near
    if not found:
        raise NotFound(f"there is no rule {name!r}; `askback rules ls` lists them")
    if len(found) > 1:
        ids = ", ".join(rule.rule_id for rule in found)
        raise InvalidArgument(f"{len(found)} rules fit {name!r}: {ids}")
    return found[0]


def state_words(rule: Rule) -> str:
    """The state of a rule for people: `used up`."""
    return str(rule.state).lower().replace("_", " ")


def uses_words(rule: Rule) -> str:
    """How often it was used: `3 of 10`, `3`."""
    most = rule.spec.max_uses if rule.spec is not None else 0
    return f"{rule.uses} of {most}" if most else str(rule.uses)


def spec_pairs(spec: RuleSpec, now: datetime) -> list[tuple[str, str]]:
    """What a rule says, as names and values for people."""
    return [
        ("when", condition_words(spec)),
        ("unless", one_line(spec.proto.unless)),
        ("then", effect_words(spec)),
        ("reason", one_line(spec.reason)),
        ("ends", day_words(spec.expires_at, now) if spec.expires_at is not None else ""),
    ]


def rule_line(rule: Rule) -> str:
    """A rule in one line after a change: `list files is active: revision 2 by pia`."""
    line = f"{one_line(rule.name)} is {state_words(rule)}"
    if rule.revision:
        line += f": revision {rule.revision} by {one_line(rule.author)}"
    if rule.proposed_revision:
        line += f"; revision {rule.proposed_revision} waits for a second person"
    return line
