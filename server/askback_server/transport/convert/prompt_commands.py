"""Converts the requests of HitlService to commands of the domain. See `commands.py`."""

from __future__ import annotations

from collections.abc import Sequence

from askback.v1 import hitl_service_pb2, prompt_pb2
from askback_server.domain import commands
from askback_server.domain.answers import AnswerSource
from askback_server.domain.commands import PromptRef
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.errors import InvalidField
from askback_server.domain.principals import Principal
from askback_server.domain.violations import Violations
from askback_server.domain.vote_commands import OverridePrompt, WithdrawAnswer
from askback_server.transport.convert.contents import DECISIONS, ONE_OF_DECISIONS
from askback_server.transport.convert.prompts import prompt_id, prompt_ref
from askback_server.transport.convert.values import span


def _answer_id(value: str) -> str:
    check = Violations()
    check.storable("answer_id", (value,))
    check.done()
    return value


def _decision(number: int) -> Decision:
    decision = DECISIONS.get(number)
    if decision is None:
        raise InvalidField.of("decision", ONE_OF_DECISIONS)
    return decision


def _edits(messages: Sequence[prompt_pb2.Edit]) -> tuple[Edit, ...]:
    return tuple(Edit(e.content_id, e.text) for e in messages) if messages else ()


def answer_prompt(
    request: hitl_service_pb2.AnswerPromptRequest, principal: Principal
) -> commands.AnswerPrompt:
    """A person's answer."""
    return commands.AnswerPrompt(
        principal=principal,
        ref=prompt_ref(request.prompt_id, request.job_id, request.key),
        answer_id=_answer_id(request.answer_id),
        revision=request.revision,
        decision=_decision(request.decision),
        values_json=request.values_json.strip(),
        edits=_edits(request.edits),
        comment=request.comment,
        source=AnswerSource.TEST if request.test else AnswerSource.HUMAN,
        shown_digest=request.shown_digest,
    )


def answer_prompts(
    request: hitl_service_pb2.AnswerPromptsRequest, principal: Principal
) -> list[commands.AnswerPrompt]:
    """One answer for each item. Items without a prompt, or with one that is named before, are refused."""
    check, decision = Violations(), _decision(request.decision)
    if not request.items:
        check.bad("items", "is required: name the prompts")
    seen: set[str] = set()
    for i, item in enumerate(request.items):
        if not item.prompt_id or item.prompt_id in seen:
            what = "is named by an earlier item" if item.prompt_id else "is required"
            check.bad(f"items[{i}].prompt_id", what)
        seen.add(item.prompt_id)
    check.storable("batch_id", (request.batch_id,))
    check.storable("answer_id", (item.answer_id for item in request.items))
    check.done()
    edits, batch_id = _edits(request.edits), request.batch_id or request.items[0].answer_id
    return [
        commands.AnswerPrompt(
            principal=principal,
            ref=PromptRef(item.prompt_id),
            answer_id=item.answer_id,
            revision=item.revision,
            decision=decision,
            values_json=request.values_json.strip(),
            edits=edits,
            comment=request.comment,
            shown_digest=item.shown_digest,
            batch_id=batch_id,
        )
        for item in request.items
    ]


def override_prompt(request: hitl_service_pb2.OverridePromptRequest, principal: Principal) -> OverridePrompt:
    """An admin's answer, to which the rules of the prompt do not apply."""
    return OverridePrompt(
        principal=principal,
        ref=prompt_ref(request.prompt_id, request.job_id, request.key),
        answer_id=_answer_id(request.answer_id),
        revision=request.revision,
        decision=_decision(request.decision),
        values_json=request.values_json.strip(),
        edits=_edits(request.edits),
        comment=request.comment,
        shown_digest=request.shown_digest,
    )


def withdraw_answer(request: hitl_service_pb2.WithdrawAnswerRequest, principal: Principal) -> WithdrawAnswer:
    """A person withdraws its vote."""
    return WithdrawAnswer(
        principal=principal,
        ref=prompt_ref(request.prompt_id, request.job_id, request.key),
        answer_id=_answer_id(request.answer_id),
    )


def claim_prompt(request: hitl_service_pb2.ClaimPromptRequest, principal: Principal) -> commands.ClaimPrompt:
    """Claim a prompt, or extend the claim."""
    return commands.ClaimPrompt(
        principal=principal,
        ref=PromptRef(prompt_id(request.prompt_id)),
        duration=span(request.duration, "duration") if request.HasField("duration") else None,
    )


def release_prompt(
    request: hitl_service_pb2.ReleasePromptRequest, principal: Principal
) -> commands.ReleasePrompt:
    """A person gives the claim back."""
    return commands.ReleasePrompt(principal=principal, ref=PromptRef(prompt_id(request.prompt_id)))


def cancel_prompt(
    request: hitl_service_pb2.CancelPromptRequest, principal: Principal
) -> commands.CancelPrompt:
    """Withdraw a prompt."""
    return commands.CancelPrompt(
        principal=principal,
        ref=prompt_ref(request.prompt_id, request.job_id, request.key),
        reason=request.reason,
    )
