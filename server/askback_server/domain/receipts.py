"""Receipts: signed statements of how prompts ended (docs/receipts.md has the format).

A receipt is made when it is asked for, of what is stored. So that a changed row gets no signature, everything
stored of the job is first verified against the chain of its events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from askback_server.domain.answers import Answer
from askback_server.domain.approvals import Approval
from askback_server.domain.audit import verify_job
from askback_server.domain.chain import ERASED
from askback_server.domain.checkpoints import digest_of_bytes
from askback_server.domain.documents import parse_content, resolution_from_json
from askback_server.domain.errors import AskbackError, FailedPrecondition, PromptNotFound
from askback_server.domain.events import PROMPT_ENDS
from askback_server.domain.instants import iso_text
from askback_server.domain.prompts import PromptState
from askback_server.domain.shown_form import shown_digest
from askback_server.domain.stored_jobs import Fault, Notes, StoredEvent, StoredJob
from askback_server.domain.vote_documents import votes_from_json
from askback_server.domain.votes import Vote

TYPE = "askback.receipt.v1"
"""The type of the payload. Another format gets another version."""


class Because(StrEnum):
    """Why there is no receipt."""

    OPEN = "OPEN"
    NO_KEY = "NO_KEY"
    ERASED = "ERASED"
    UNCHAINED = "UNCHAINED"


_WHY = {
    Because.OPEN: "the prompt is open; a receipt says how it ended, so ask again then",
    Because.NO_KEY: "the server cannot sign; its operator must set `signing_keys`",
    Because.ERASED: "what was decided was erased",
    Because.UNCHAINED: "an older version closed the prompt, which recorded no hashes",
}


class ReceiptUnavailable(FailedPrecondition):
    """There is no receipt of the prompt. `because` says why."""

    reason = "RECEIPT_UNAVAILABLE"

    def __init__(self, prompt_id: str, because: Because) -> None:
        super().__init__(f"no receipt: {_WHY[because]}", prompt_id=prompt_id, because=because)


class AuditFailed(AskbackError):
    """What is stored of a job is not what its events have recorded."""

    reason = "AUDIT_FAILED"

    def __init__(self, job_id: str, fault: Fault) -> None:
        super().__init__(
            f"nothing is signed, because what is stored is not what was recorded: {fault}; "
            f"run `askback audit verify {job_id}`",
            job_id=job_id,
        )


def receipt_payload(stored: StoredJob, prompt_id: str) -> str:
    """The payload of a closed prompt's receipt, a JSON object as text: the same text for the same rows.

    Raises AuditFailed, ReceiptUnavailable, and PromptNotFound if the prompt has been deleted.
    """
    if (fault := next(verify_job(stored, Notes()), None)) is not None:
        raise AuditFailed(stored.job_id, fault)
    row = next((each for each in stored.prompts if each["interaction_id"] == prompt_id), None)
    history = [each for each in stored.events if each.event.prompt_id == prompt_id]
    if row is None or not history:
        raise PromptNotFound(prompt_id=prompt_id)
    end = next((each for each in history if each.event.type in PROMPT_ENDS), None)
    if end is None:
        raise ReceiptUnavailable(prompt_id, Because.OPEN)
    if ERASED in (row["prompt_data"], row["response_data"]) or end.erased is not None:
        raise ReceiptUnavailable(prompt_id, Because.ERASED)
    if any(each.hash is None for each in history):
        raise ReceiptUnavailable(prompt_id, Because.UNCHAINED)
    return json.dumps(_payload(row, end), separators=(",", ":"), ensure_ascii=False)


def _payload(row: Mapping[str, Any], end: StoredEvent) -> dict[str, Any]:
    """What is signed. Members without a value are left out."""
    content, resolution = parse_content(row["prompt_data"]), resolution_from_json(row["response_data"])
    data, answer = end.event.data or {}, resolution.answer
    assert end.hash is not None
    fields = {
        "type": TYPE,
        "namespace": row["namespace"],
        "job_id": row["job_id"],
        "prompt_id": row["interaction_id"],
        "key": row["key"],
        "kind": content.kind,
        "revision": row["revision"],
        "requested_by": row["requested_by"],
        "shown_digest": shown_digest(content),
        "state": str(PromptState(resolution.state)),
        "decided_by": resolution.actor,
        "decided_at": iso_text(resolution.at),
        "reason": resolution.reason,
        "answer": _answer(answer) if answer is not None else None,
        "approval": _approval(content.approval) if content.approval is not None else None,
        "votes": _votes(row["votes"], data.get("votes", ())),
        "carried_from": data.get("carried_from"),
        "event": {"seq": end.event.seq, "hash": end.hash.hex()},
    }
    return _filled(fields)


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def _answer(answer: Answer) -> dict[str, Any]:
    """An answer. Texts that people wrote are digests, because a receipt may be shown to others."""
    edits = [{"content_id": e.content_id, "text_sha256": _sha256(e.text)} for e in answer.edits]
    return _given(answer) | _filled(
        {"values_sha256": _sha256(answer.values_json) if answer.values_json else "", "edits": edits}
    )


def _given(answer: Answer) -> dict[str, Any]:
    return _filled(
        {
            "answer_id": answer.answer_id,
            "decision": str(answer.decision),
            "source": str(answer.source),
            "user_id": answer.user_id,
            "on_behalf_of": answer.on_behalf_of,
            "rule": answer.rule,
            "batch_id": answer.batch_id,
            "given_at": iso_text(answer.created_at),
            "comment_sha256": _sha256(answer.comment) if answer.comment else "",
        }
    )


def _approval(approval: Approval) -> dict[str, Any]:
    return _filled(
        {
            "required": approval.required,
            "per_group": [{"group": g.group, "required": g.required} for g in approval.per_group],
            "reject_at": approval.reject_at or 1,
            "shared": approval.shared or None,
            "rules_may_fill": approval.rules_may_fill or None,
        }
    )


def _votes(text: str | None, deciding: Any) -> list[dict[str, Any]]:
    """The votes that decided together, by the time of the answer."""
    live = votes_from_json(text).live if text and deciding else ()
    return [_vote(vote) for vote in live if vote.answer.answer_id in deciding]


def _vote(vote: Vote) -> dict[str, Any]:
    return _given(vote.answer) | _filled({"groups": sorted(vote.groups)})


def _sha256(text: str) -> str:
    return digest_of_bytes(text.encode())
