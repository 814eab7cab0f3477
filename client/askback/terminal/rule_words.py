"""What a rule says in words: for which questions it is, and what it does."""

from __future__ import annotations

from askback._model.rule_specs import RuleSpec
from askback._text.text import one_line
from askback.terminal.words import names_words


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
