"""Prompt contents and resolutions as the JSON documents in which they are stored.

The order of keys and 64-bit integers survive (docs/design.md 8). A text that was promised back "exactly as
sent" is either a JSON string (schemas, metadata) or stands first in its document, so that it can be
cut out again without being parsed and written anew (the values of an answer).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import to_json

from askback_server.domain.content import (
    Audience,
    DefaultAnswer,
    EscalationStep,
    FinalAction,
    Part,
    PromptContent,
    Reminders,
)
from askback_server.domain.decisions import Decision, DecisionOption, Edit
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    Form,
    Input,
    IntegerInput,
    MultiInput,
    NumberInput,
    Option,
    Question,
    Questions,
    SchemaForm,
    SingleInput,
    TextInput,
)
from askback_server.domain.prompts import VALUES, Answer, AnswerSource, PromptState, Resolution

_INPUTS: dict[str, type[Input]] = {
    "boolean": BooleanInput,
    "single": SingleInput,
    "multi": MultiInput,
    "text": TextInput,
    "integer": IntegerInput,
    "number": NumberInput,
    "date": DateInput,
}


def dump(value: object) -> str:
    """Compact JSON text."""
    return to_json(value).decode()


def content_to_json(content: PromptContent) -> str:
    """The `prompt_data` document; keys at their default are left out."""
    return content.document


def content_from_json(text: str) -> PromptContent:
    """The content that `content_to_json` wrote."""
    doc = json.loads(text)
    audience = doc.get("audience")
    default = doc.get("default_answer")
    return PromptContent(
        kind=doc["kind"],
        title=doc["title"],
        body=doc.get("body", ""),
        parts=tuple(Part(**p) for p in doc.get("contents", ())),
        form=_form_from_doc(doc["form"]) if "form" in doc else None,
        decisions=tuple(
            DecisionOption(Decision(o["decision"]), o["label"], o["comment_required"])
            for o in doc["decisions"]
        ),
        priority=doc.get("priority", 0),
        audience=Audience(frozenset(audience["users"]), frozenset(audience["groups"]))
        if audience
        else Audience(),
        labels=doc.get("labels", {}),
        blocking=doc["blocking"],
        final_action=FinalAction(doc.get("final_action", "EXPIRE")),
        default_answer=DefaultAnswer(
            Decision(default["decision"]), default["values_json"], default["comment"]
        )
        if default
        else None,
        metadata_json=doc.get("metadata_json", ""),
        timeout=timedelta(seconds=doc["timeout_s"]) if "timeout_s" in doc else None,
        escalation=tuple(map(_step_from_doc, doc["escalation"])) if "escalation" in doc else (),
        reminders=_reminders_from_doc(doc["reminders"]) if "reminders" in doc else None,
    )


def _step_from_doc(doc: Mapping[str, Any]) -> EscalationStep:
    return EscalationStep(
        timedelta(seconds=doc["after_s"]),
        Audience(frozenset(doc["users"]), frozenset(doc["groups"])),
        doc.get("replace", False),
        doc.get("raise_priority", 0),
    )


def _reminders_from_doc(doc: Mapping[str, Any]) -> Reminders:
    return Reminders(timedelta(seconds=doc["every_s"]), timedelta(seconds=doc["after_s"]), doc["most"])


def _form_from_doc(doc: Mapping[str, Any]) -> Form:
    if "schema_json" in doc:
        return SchemaForm(doc["schema_json"])
    return Questions(tuple(_question_from_doc(q) for q in doc["questions"]))


def _question_from_doc(doc: Mapping[str, Any]) -> Question:
    fields = dict(doc["input"])
    cls = _INPUTS[fields.pop("type")]
    if "options" in fields:
        fields["options"] = tuple(Option(**o) for o in fields["options"])
    if cls is MultiInput:
        fields["default"] = tuple(fields["default"])
    return Question(**{**doc, "input": cls(**fields)})


def answer_to_json(answer: Answer) -> str:
    """The document of an answer."""
    return answer.document


def answer_from_json(text: str) -> tuple[Answer, dict[str, Any]]:
    """The answer that `answer_to_json` wrote, and the whole document."""
    doc = json.loads(text)
    values = doc.get("values_text", "")
    if text.startswith(VALUES):
        rest = text[len(VALUES) :]
        _, end = json.JSONDecoder().raw_decode(rest, len(rest) - len(rest.lstrip()))
        values = rest[: rest.index(",", end)]
    answer = Answer(
        answer_id=doc["answer_id"],
        decision=Decision(doc["decision"]),
        values_json=values,
        edits=tuple(Edit(**e) for e in doc["edits"]),
        comment=doc["comment"],
        source=AnswerSource(doc["source"]),
        user_id=doc["user_id"],
        revision=doc["revision"],
        created_at=datetime.fromisoformat(doc["at"]),
    )
    return answer, doc


def resolution_to_json(resolution: Resolution) -> str:
    """The `response_data` document of a closed prompt."""
    own = {
        "state": resolution.state,
        "actor": resolution.actor,
        "reason": resolution.reason,
        "resolved_at": resolution.at.isoformat(),
    }
    if resolution.answer is None:
        return dump(own)
    return f"{answer_to_json(resolution.answer)[:-1]},{dump(own)[1:]}"


def resolution_from_json(text: str) -> Resolution:
    """The resolution that `resolution_to_json` wrote."""
    doc = json.loads(text)
    answer = answer_from_json(text)[0] if "answer_id" in doc else None
    return Resolution(
        state=PromptState(doc["state"]),
        actor=doc["actor"],
        at=datetime.fromisoformat(doc["resolved_at"]),
        reason=doc["reason"],
        answer=answer,
    )


def appended(array_json: str, item: Mapping[str, Any], *, raw: Sequence[str] = ()) -> str:
    """A JSON array text with one more object; values named in `raw` are JSON texts already."""
    parts = [f"{dump(k)}:{v if k in raw else dump(v)}" for k, v in item.items()]
    inner = array_json.strip()[1:-1].strip()
    return f"[{inner + ',' if inner else ''}{{{','.join(parts)}}}]"
