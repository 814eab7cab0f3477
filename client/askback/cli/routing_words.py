"""Events about who may answer a question in words: delegations, absences, another audience."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from askback._model.jobs import Event
from askback._text.spans import day_words, span_words
from askback._text.text import one_line
from askback.terminal.words import names_words

_SKIPPED = {
    "SELF_REVIEW": "asked for it",
    "EXCLUDED": "is excluded",
    "VOTED": "has voted",
    "POLICY": "may not get it by the rules of the question",
    "CYCLE": "is away too, and has this person as the substitute",
    "CHAIN": "would be one too many in a row",
}


def routing_words(event: Event) -> str:
    """What an event changed about who may answer, without the number of the question."""
    data = event.data
    comment = f": {one_line(data['comment'])}" if data.get("comment") else ""
    match event.type:
        case "PROMPT_DELEGATED" if data.get("cause") == "ABSENCE":
            return _absence_words(data, event.at)
        case "PROMPT_DELEGATED":
            giver, holder = one_line(data.get("giver", event.actor)), one_line(data.get("holder", ""))
            behalf = f" on behalf of {holder}" if holder not in ("", giver) else ""
            both = f", and {giver} may answer too" if data.get("mode") == "ADD" else ""
            return f"{giver} delegates it to {_target(data)}{behalf}{both}{comment}"
        case "DELEGATION_ENDED" if data.get("why") == "ABSENCE":
            return "the substitute's right has ended with the absence"
        case "DELEGATION_ENDED":
            return f"{one_line(event.actor)} ends a delegation{_ended(data)}{comment}"
        case "SUBSTITUTE_SKIPPED":
            why = _SKIPPED.get(str(data.get("why")), "may not answer it")
            giver, user = one_line(data.get("giver", "")), one_line(data.get("user", ""))
            return f"{giver} is away, and the substitute {user} {why}"
        case _:
            reason = f": {one_line(data['reason'])}" if data.get("reason") else ""
            return f"{one_line(event.actor)} reroutes it ({'; '.join(_parts(data))}){reason}{_ended(data)}"


def _absence_words(data: dict[str, Any], at: datetime | None) -> str:
    until = str(data.get("until", ""))
    time = f" until {day_words(datetime.fromisoformat(until), at)}" if until and at else ""
    return f"{one_line(data.get('giver', ''))} is away{time}; {_target(data)} stands in"


def _target(data: dict[str, Any]) -> str:
    return one_line(data["user"]) if data.get("user") else f"the group {one_line(data.get('group', ''))}"


def _parts(data: dict[str, Any]) -> list[str]:
    """The parts of the routing that have changed."""
    found = []
    if "users" in data or "groups" in data:
        found.append(f"asked of {names_words(data.get('users', ()), data.get('groups', ())) or 'everyone'}")
    if "priority" in data:
        found.append(f"priority {data['priority']}")
    if "timeout_s" in data:
        found.append(f"{span_words(timedelta(seconds=data['timeout_s']))} from then")
    if "escalation" in data:
        steps = data["escalation"]
        found.append(f"escalation of {steps} step{'s' * (steps != 1)}" if steps else "no escalation")
    return found


def _ended(data: dict[str, Any]) -> str:
    """The votes that ended by it."""
    count = len(data.get("votes", ()))
    return f"; {count} vote{'s' * (count != 1)} ended by it" if count else ""
