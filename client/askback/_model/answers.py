"""Builds the contract's AnswerPromptRequest from the SDK's arguments."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from askback._model.enums import DecisionKind
from askback._model.form import VALUE
from askback._model.json_text import dumps
from askback._model.prompts import PromptInfo
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2


def answer_request(
    prompt: PromptInfo,
    decision: DecisionKind | str,
    *,
    values: Any = None,
    edits: Mapping[str, str] | None = None,
    comment: str = "",
    answer_id: str | None = None,
    shown_digest: str | None = None,
) -> pb.AnswerPromptRequest:
    """Build the request that answers this prompt at the revision that was shown, with its digest.

    `shown_digest` replaces the digest of the prompt; empty: only the revision is compared. A plain value (not
    a mapping) goes to the form's only field. Raises ValueError for an unknown decision, or a plain value for
    a form with several fields.
    """
    kind = DecisionKind(decision)
    return pb.AnswerPromptRequest(
        prompt_id=prompt.prompt_id,
        answer_id=answer_id or uuid.uuid4().hex,
        revision=prompt.revision,
        decision=prompt_pb2.Decision.Value(f"DECISION_{kind}"),
        values_json=_values(prompt, values),
        edits=[prompt_pb2.Edit(content_id=name, text=text) for name, text in (edits or {}).items()],
        comment=comment,
        shown_digest=prompt.shown_digest if shown_digest is None else shown_digest,
    )


def override_request(
    prompt: PromptInfo, decision: DecisionKind | str, comment: str, **given: Any
) -> pb.OverridePromptRequest:
    """Build the request that overrides this prompt; `given` are the other arguments of `answer_request`."""
    answer = answer_request(prompt, decision, comment=comment, **given)
    return pb.OverridePromptRequest(
        prompt_id=answer.prompt_id,
        answer_id=answer.answer_id,
        revision=answer.revision,
        decision=answer.decision,
        values_json=answer.values_json,
        edits=answer.edits,
        comment=answer.comment,
        shown_digest=answer.shown_digest,
    )


def _values(prompt: PromptInfo, values: Any) -> str:
    if values is None:
        return ""
    plain = values if isinstance(values, Mapping) else _as_object(prompt, values)
    return dumps(plain)


def _as_object(prompt: PromptInfo, value: Any) -> Any:
    if hasattr(value, "model_dump") or hasattr(value, "__dataclass_fields__"):
        return value
    schema = prompt.schema or {}
    fields = list(schema.get("properties", {VALUE: {}}))
    if len(fields) != 1:
        raise ValueError(f"the form has the fields {', '.join(fields)}; give a value for each by name")
    return {fields[0]: value}


def values_decision(prompt: PromptInfo) -> DecisionKind:
    """The decision that carries values: RESPOND where it is offered, else ACCEPT or EDIT."""
    offered = [option.decision for option in prompt.decisions]
    for decision in (DecisionKind.RESPOND, DecisionKind.ACCEPT, DecisionKind.EDIT):
        if decision in offered:
            return decision
    return DecisionKind.RESPOND


def negative_decision(prompt: PromptInfo) -> DecisionKind:
    """The negative decision: REJECT where it is offered, else DISMISS."""
    offered = [option.decision for option in prompt.decisions]
    if DecisionKind.REJECT not in offered and DecisionKind.DISMISS in offered:
        return DecisionKind.DISMISS
    return DecisionKind.REJECT
