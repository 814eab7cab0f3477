"""Who is asked when, and who may not answer, as JSON documents: parts of a prompt's content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic_core import to_json

from askback_server.domain.content import Audience, EscalationStep, Exclusion, PromptContent, Reminders
from askback_server.domain.evolve import fields_of
from askback_server.domain.json_text import Json, JsonObject
from askback_server.domain.nudges import Nudges


def audience_to_doc(audience: Audience) -> dict[str, list[str]]:
    """The audience's users and groups, sorted: equal audiences have equal documents."""
    return {"users": sorted(audience.users), "groups": sorted(audience.groups)}


def audience_from_doc(doc: Mapping[str, Json]) -> Audience:
    """The audience that `audience_to_doc` wrote."""
    return Audience(frozenset(doc["users"]), frozenset(doc["groups"]))


def step_to_doc(step: EscalationStep) -> JsonObject:
    """A step of an escalation as JSON values."""
    doc: JsonObject = {"after_s": step.after.total_seconds(), **audience_to_doc(step.to)}
    if step.replace:
        doc["replace"] = True
    if step.raise_priority:
        doc["raise_priority"] = step.raise_priority
    return doc


def step_from_doc(doc: Mapping[str, Json]) -> EscalationStep:
    """The step that `step_to_doc` wrote."""
    return EscalationStep(
        timedelta(seconds=doc["after_s"]),
        audience_from_doc(doc),
        doc.get("replace", False),
        doc.get("raise_priority", 0),
    )


def reminders_to_doc(reminders: Reminders) -> JsonObject:
    """Reminders as JSON values."""
    return {
        "every_s": reminders.every.total_seconds(),
        "after_s": reminders.after.total_seconds(),
        "most": reminders.maximum,
    }


def reminders_from_doc(doc: Mapping[str, Json]) -> Reminders:
    """The reminders that `reminders_to_doc` wrote."""
    return Reminders(timedelta(seconds=doc["every_s"]), timedelta(seconds=doc["after_s"]), doc["most"])


def exclusion_to_doc(exclusion: Exclusion) -> JsonObject:
    """An exclusion as JSON values."""
    doc: JsonObject = {"users": sorted(exclusion.users), "groups": sorted(exclusion.groups)}
    if exclusion.requester:
        doc["requester"] = True
    if exclusion.answerers_of:
        doc["answerers_of"] = list(exclusion.answerers_of)
    if exclusion.hide:
        doc["hide"] = True
    return doc


def exclusion_from_doc(doc: Mapping[str, Json]) -> Exclusion:
    """The exclusion that `exclusion_to_doc` wrote."""
    return Exclusion(
        doc.get("requester", False),
        tuple(doc.get("answerers_of", ())),
        frozenset(doc["users"]),
        frozenset(doc["groups"]),
        doc.get("hide", False),
    )


def audience_to_json(content: PromptContent) -> str | None:
    """The document by which lists find the prompts of a person: who may see it, and who may not answer it.
    None: everyone may see and answer it."""
    audience, excluded, given = content.audience, content.exclusion, content.delegations
    is_open = not audience.users and not audience.groups
    if excluded is None and given is None:
        return None if is_open else to_json(audience_to_doc(audience)).decode()
    doc: JsonObject = {**audience_to_doc(content.reach), "everyone": is_open}
    if excluded is not None:
        doc |= {"hide": excluded.hide}
        doc |= {"no_users": sorted(excluded.users), "no_groups": sorted(excluded.groups)}
    if given is not None:
        doc["gone"] = sorted(given.gone)
        if is_open:
            doc |= audience_to_doc(Audience(given.users - given.gone, given.groups))
    return to_json(doc).decode()


def nudges_to_json(nudges: Nudges) -> str:
    """The document of the progress of escalation and reminders; what has not begun is left out."""
    return to_json({name: value for name, value in fields_of(nudges).items() if value}).decode()


def nudges_from_json(text: str) -> Nudges:
    """The progress that `nudges_to_json` wrote."""
    found = json.loads(text)
    found |= {n: datetime.fromisoformat(v) for n, v in found.items() if n.endswith("_at")}
    return Nudges(**found)
