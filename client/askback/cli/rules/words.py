"""Rules in words, and the rule behind a name that people type."""

from __future__ import annotations

from datetime import datetime

from askback._client.client import Client
from askback._model.rule_specs import RuleSpec
from askback._model.rules import Rule
from askback._text.handle import MIN_HANDLE_CHARS
from askback._text.spans import day_words
from askback._text.text import one_line
from askback.cli.words import names_words
from askback.errors import InvalidArgument, NotFound


async def rule_of(client: Client, name: str, *, include_deleted: bool = False) -> Rule:
    """The rule with this id, this end of an id, or this name. Raises NotFound, InvalidArgument for a name
    that fits several."""
    typed = name.strip()
    exact, near = [], []
    async for rule in client.rules.list(include_deleted=include_deleted, page_size=500):
        if typed.lower() == rule.rule_id:
            return rule
        if typed == rule.name:
            exact.append(rule)
        elif len(typed) >= MIN_HANDLE_CHARS and rule.rule_id.endswith(typed.lower()):
            near.append(rule)
    found = exact or near
    if not found:
        raise NotFound(f"there is no rule {name!r}; `askback rules ls` lists them")
    if len(found) > 1:
        ids = ", ".join(rule.rule_id for rule in found)
        raise InvalidArgument(f"{len(found)} rules fit {name!r}: {ids}")
    return found[0]


def condition_words(spec: RuleSpec) -> str:
    """For which questions a rule is: `kind confirm; env=test; metadata.tool == "ls"`."""
    match = spec.proto.match
    parts = []
    if match.kinds:
        parts.append(f"kind {one_line(' or '.join(match.kinds))}")
    if match.job_types:
        parts.append(f"jobs {one_line(' or '.join(match.job_types))}")
    parts += [one_line(f"{name}={value}") for name, value in sorted(match.labels.items())]
    if match.expression:
        parts.append(one_line(match.expression))
    return "; ".join(parts)


def effect_words(spec: RuleSpec) -> str:
    """What a rule does: `answers ACCEPT: as always`, `rejects: not here`, `asks people`, `routes to …`."""
    proto = spec.proto
    match spec.effect:
        case "answer":
            decision = spec.fields()["answer"].get("decision", "")
            values = f" {one_line(proto.answer.values_json)}" if proto.answer.values_json else ""
            comment = f": {one_line(proto.answer.comment)}" if proto.answer.comment else ""
            return f"answers {decision}{values}{comment}"
        case "refuse":
            return f"rejects: {one_line(proto.refuse.comment)}"
        case "ask":
            return "asks people"
        case "route":
            return f"routes {_route_words(spec)}".rstrip()
        case _:
            return ""


def _route_words(spec: RuleSpec) -> str:
    route, parts = spec.proto.route, []
    if route.HasField("audience"):
        parts.append(f"to {names_words(route.audience.users, route.audience.groups)}")
    if route.HasField("approval"):
        groups = ", ".join(f"{each.required} of {one_line(each.group)}" for each in route.approval.per_group)
        parts.append(f"approval by {route.approval.required or groups}{f' ({groups})' * bool(groups)}")
    if route.HasField("priority"):
        parts.append(f"priority {route.priority}")
    if route.HasField("timeout"):
        parts.append(f"within {route.timeout.seconds} s")
    return "; ".join(parts)


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
