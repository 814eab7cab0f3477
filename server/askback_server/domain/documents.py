"""Prompt contents, answers and resolutions as the JSON documents in which they are stored.

The order of keys and 64-bit integers survive (docs/design.md 8). JSON texts that must come back unchanged are
either stored as a string (schemas, metadata), or stand first in their document, so that they can be cut out
without parsing and serialising them (the values of an answer).
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic_core import from_json, to_json

from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.approvals import approval_from_doc, approval_to_doc
from askback_server.domain.content import (
    Audience,
    Correction,
    DefaultAnswer,
    FinalAction,
    Part,
    PromptContent,
)
from askback_server.domain.decisions import Decision, DecisionOption, Edit
from askback_server.domain.delegation_documents import (
    delegations_from_doc,
    delegations_to_doc,
    policy_from_doc,
    policy_to_doc,
)
from askback_server.domain.evolve import cached_on_argument, fields_of
from askback_server.domain.form_documents import form_from_doc
from askback_server.domain.json_text import Json, JsonObject, Violation
from askback_server.domain.prompts import PromptState, Resolution
from askback_server.domain.routing_documents import (
    audience_from_doc,
    audience_to_doc,
    exclusion_from_doc,
    exclusion_to_doc,
    reminders_from_doc,
    reminders_to_doc,
    step_from_doc,
    step_to_doc,
)

_MAX_CONTENTS, _SMALL_CHARS = 1024, 4096
"""Maximum number of contents that are remembered by their documents, and the maximum length of these."""
_VALUES = '{"values":'
"""The beginning of the document of an answer with values."""
_DECODER = json.JSONDecoder()


class _Contents:
    """The contents that were first written or read last, by their documents."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, PromptContent] = OrderedDict()

    def add(self, text: str, content: PromptContent) -> None:
        if len(text) <= _SMALL_CHARS:
            self._known[text] = content
            if len(self._known) > _MAX_CONTENTS:
                self._known.popitem(last=False)

    def get(self, text: str) -> PromptContent | None:
        return self._known.get(text) if len(text) <= _SMALL_CHARS else None


_contents = _Contents()


class _TimeText:
    """Formats times. It remembers the last one, because the times of one write are the same object."""

    def __init__(self) -> None:
        self._last: tuple[datetime | None, str] = None, ""

    def __call__(self, time: datetime) -> str:
        last, text = self._last
        if last is not time:
            text = time.isoformat()
            self._last = time, text
        return text


_time_text = _TimeText()


def dump(value: object) -> str:
    """Compact JSON text. Callers on the hot path convert enums to texts: each would cost as much as a
    document."""
    return to_json(value).decode()


@cached_on_argument
def content_to_json(content: PromptContent) -> str:
    """The `prompt_data` document; fields at their default are left out."""
    text = _write_content(content)
    if content.deadline is None:  # it is not read back
        _contents.add(text, content)
    return text


def _write_content(content: PromptContent) -> str:
    doc: JsonObject = {"kind": content.kind, "title": content.title}
    if content.body:
        doc["body"] = content.body
    if content.parts:
        doc["contents"] = [_without_empty(fields_of(p)) for p in content.parts]
    if content.form is not None:
        doc["form"] = content.form_document
    doc["decisions"] = [_option_to_doc(option) for option in content.decisions]
    if content.priority:
        doc["priority"] = content.priority
    if content.audience.users or content.audience.groups:
        doc["audience"] = audience_to_doc(content.audience)
    if content.labels:
        # A map of a message has an order that differs between processes, and digests are of this text.
        doc["labels"] = dict(sorted(content.labels.items()))
    doc["blocking"] = content.blocking
    if content.final_action is not FinalAction.EXPIRE:
        doc["final_action"] = content.final_action
    if content.default_answer is not None:
        doc["default_answer"] = fields_of(content.default_answer)
    if content.metadata_json:
        doc["metadata_json"] = content.metadata_json
    if content.group_key:
        doc["group_key"] = content.group_key
    if content.timeout is not None:
        doc["timeout_s"] = content.timeout.total_seconds()
    if content.deadline is not None:
        doc["deadline"] = content.deadline
    if content.escalation:
        doc["escalation"] = [step_to_doc(step) for step in content.escalation]
    if content.reminders is not None:
        doc["reminders"] = reminders_to_doc(content.reminders)
    if content.exclusion is not None:
        doc["exclusion"] = exclusion_to_doc(content.exclusion)
    if content.approval is not None:
        doc["approval"] = approval_to_doc(content.approval)
    if content.delegation_policy is not None:
        doc["delegation_policy"] = policy_to_doc(content.delegation_policy)
    if content.delegations is not None:
        doc["delegations"] = delegations_to_doc(content.delegations)
    if content.rerouted:
        doc["rerouted"] = True
    if content.correction is not None:
        faults = [fields_of(violation) for violation in content.correction.violations]
        doc["correction"] = {"key": content.correction.key, "violations": faults}
    return dump(doc)


def _option_to_doc(option: DecisionOption) -> JsonObject:
    return {
        "decision": str(option.decision),
        "label": option.label,
        "comment_required": option.comment_required,
    }


def content_from_json(text: str) -> PromptContent:
    """The content that `content_to_json` wrote.

    Of a document that was written or read here shortly before, it is the same object: a replica reads a
    prompt that it shows, again when it is answered there, and its own prompt when it was answered elsewhere.
    """
    known = _contents.get(text)
    if known is None:
        known = parse_content(text)
        _contents.add(text, known)
    return known


def parse_content(text: str) -> PromptContent:
    """Parse a document. Tests of the round trip call this, because `content_from_json` may return the very
    object that was written."""
    doc = json.loads(text)
    default = doc.get("default_answer")
    return PromptContent(
        kind=doc["kind"],
        title=doc["title"],
        body=doc.get("body", ""),
        parts=tuple(Part(**p) for p in doc.get("contents", ())),
        form=form_from_doc(doc["form"]) if "form" in doc else None,
        decisions=tuple(
            DecisionOption(Decision(o["decision"]), o["label"], o["comment_required"])
            for o in doc["decisions"]
        ),
        priority=doc.get("priority", 0),
        audience=audience_from_doc(doc["audience"]) if "audience" in doc else Audience(),
        labels=doc.get("labels", {}),
        blocking=doc["blocking"],
        final_action=FinalAction(doc.get("final_action", "EXPIRE")),
        default_answer=DefaultAnswer(
            Decision(default["decision"]), default["values_json"], default["comment"]
        )
        if default
        else None,
        metadata_json=doc.get("metadata_json", ""),
        group_key=doc.get("group_key", ""),
        timeout=timedelta(seconds=doc["timeout_s"]) if "timeout_s" in doc else None,
        escalation=tuple(map(step_from_doc, doc["escalation"])) if "escalation" in doc else (),
        reminders=reminders_from_doc(doc["reminders"]) if "reminders" in doc else None,
        correction=_correction_from_doc(doc["correction"]) if "correction" in doc else None,
        exclusion=exclusion_from_doc(doc["exclusion"]) if "exclusion" in doc else None,
        approval=approval_from_doc(doc["approval"]) if "approval" in doc else None,
        delegation_policy=policy_from_doc(doc["delegation_policy"]) if "delegation_policy" in doc else None,
        delegations=delegations_from_doc(doc["delegations"]) if "delegations" in doc else None,
        rerouted=doc.get("rerouted", False),
    )


def _correction_from_doc(doc: Mapping[str, Json]) -> Correction:
    return Correction(doc["key"], tuple(Violation(**fault) for fault in doc["violations"]))


def _without_empty(doc: Mapping[str, Json]) -> JsonObject:
    return {k: v for k, v in doc.items() if v not in ("", False, None, ())}


@cached_on_argument
def answer_to_json(answer: Answer) -> str:
    """The document of an answer; `values` is the text that was sent, unchanged.

    Refused answers are stored too: if their values are not JSON, they become a string, `values_text`.
    """
    doc = {
        "answer_id": answer.answer_id,
        "decision": str(answer.decision),
        "comment": answer.comment,
        "edits": [fields_of(e) for e in answer.edits],
        "source": str(answer.source),
        "user_id": answer.user_id,
        "revision": answer.revision,
        "at": _time_text(answer.created_at),
    }
    if answer.batch_id:
        doc["batch_id"] = answer.batch_id
    if answer.rule:
        doc["rule"] = answer.rule
    if answer.on_behalf_of:
        doc["on_behalf_of"] = answer.on_behalf_of
    if not answer.values_json:
        return dump(doc)
    try:
        from_json(answer.values_json, allow_inf_nan=False)
    except ValueError:
        return dump({**doc, "values_text": answer.values_json})
    return f"{_VALUES}{answer.values_json},{dump(doc)[1:]}"


def answer_from_json(text: str) -> tuple[Answer, JsonObject]:
    """The answer that `answer_to_json` wrote, and the whole document."""
    doc = json.loads(text)
    return _answer_of(text, doc), doc


def _answer_of(text: str, doc: JsonObject) -> Answer:
    """The answer of a document that has been parsed."""
    values = doc.get("values_text", "")
    if text.startswith(_VALUES):
        rest = text[len(_VALUES) :]
        _, end = _DECODER.raw_decode(rest, len(rest) - len(rest.lstrip()))
        values = rest[: rest.index(",", end)]
    return Answer(
        answer_id=doc["answer_id"],
        decision=Decision(doc["decision"]),
        values_json=values,
        edits=tuple(Edit(**e) for e in doc["edits"]),
        comment=doc["comment"],
        source=AnswerSource(doc["source"]),
        user_id=doc["user_id"],
        revision=doc["revision"],
        created_at=datetime.fromisoformat(doc["at"]),
        batch_id=doc.get("batch_id", ""),
        rule=doc.get("rule", ""),
        on_behalf_of=doc.get("on_behalf_of", ""),
    )


@cached_on_argument
def resolution_to_json(resolution: Resolution) -> str:
    """The `response_data` document of a closed prompt."""
    own = {
        "state": str(resolution.state),
        "actor": resolution.actor,
        "reason": resolution.reason,
        "resolved_at": _time_text(resolution.at),
    }
    if resolution.answer is None:
        return dump(own)
    return f"{answer_to_json(resolution.answer)[:-1]},{dump(own)[1:]}"


def resolution_from_json(text: str) -> Resolution:
    """The resolution that `resolution_to_json` wrote."""
    doc = json.loads(text)
    return Resolution(
        state=PromptState(doc["state"]),
        actor=doc["actor"],
        at=datetime.fromisoformat(doc["resolved_at"]),
        reason=doc["reason"],
        answer=_answer_of(text, doc) if "answer_id" in doc else None,
    )


def append_to_array(array_json: str, item: Mapping[str, Json], *, raw: Sequence[str] = ()) -> str:
    """A JSON array text with one more object. The values whose keys are in `raw` are JSON texts already."""
    parts = [f"{dump(k)}:{v if k in raw else dump(v)}" for k, v in item.items()]
    inner = array_json.strip()[1:-1].strip()
    return f"[{inner + ',' if inner else ''}{{{','.join(parts)}}}]"
