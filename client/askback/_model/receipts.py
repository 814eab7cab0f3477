"""Receipts: signed statements of how prompts ended (docs/receipts.md has the format)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from askback._model.enums import AnswerSource, DecisionKind, PromptState
from askback._model.prompts import PromptInfo
from askback._model.resolutions import AnswerInfo
from askback._model.shown_form import digest_of_content

TYPE = "askback.receipt.v1"


class InvalidReceipt(ValueError):
    """A text is no receipt, or its signature or its key is wrong. The message says what."""

    __module__ = "askback"


@dataclass(frozen=True, slots=True, repr=False)
class Receipt:
    """How a prompt ended, as the service has signed it. `verify_receipt` verifies the signature."""

    statement: str
    """The signed text: a JWS in compact form."""
    kid: str
    """The id of the key that signed it."""
    payload: Mapping[str, Any]
    """What was signed; docs/receipts.md names its members."""
    prompt_id: str
    job_id: str
    state: PromptState
    """How the prompt ended: ANSWERED, EXPIRED, CANCELLED or SUPERSEDED."""
    decided_by: str
    """Who ended it: the person who answered, or gave the last vote; `system` for a deadline."""
    decided_at: datetime
    """When it ended, in UTC."""
    decision: DecisionKind | None
    """What was decided; None for a prompt that ended without an answer."""
    source: AnswerSource | None
    """Where the answer comes from: a person, a rule, an override, the default of a deadline, a test."""
    shown_digest: str
    """The digest of the content that was decided about, `PromptInfo.shown_digest`."""
    votes: tuple[Mapping[str, Any], ...]
    """The votes that decided together; empty if one person decided."""

    def __repr__(self) -> str:
        return f"<Receipt of prompt {self.prompt_id}: {self.decision or self.state} by {self.decided_by}>"

    @classmethod
    def read(cls, statement: str) -> Receipt:
        """The receipt in a text. Its signature is not verified. Raises InvalidReceipt."""
        parts = statement.strip().split(".")
        if len(parts) != 3:
            raise InvalidReceipt("it is not a receipt: a receipt is a JWS, three parts with dots between")
        header, payload = _object(parts[0], "header"), _object(parts[1], "payload")
        if payload.get("type") != TYPE:
            raise InvalidReceipt(f"it is not a receipt that this version knows: {payload.get('type')!r}")
        try:
            answer = payload.get("answer")
            return cls(
                statement=statement.strip(),
                kid=str(header.get("kid", "")),
                payload=payload,
                prompt_id=str(payload["prompt_id"]),
                job_id=str(payload["job_id"]),
                state=PromptState(payload["state"]),
                decided_by=str(payload.get("decided_by", "")),
                decided_at=datetime.fromisoformat(payload["decided_at"]),
                decision=DecisionKind(answer["decision"]) if answer is not None else None,
                source=AnswerSource(answer["source"]) if answer is not None else None,
                shown_digest=str(payload["shown_digest"]),
                votes=tuple(payload.get("votes", ())),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidReceipt(f"a member of it is missing or wrong: {error}") from None

    def differences(self, prompt: PromptInfo) -> list[str]:
        """What of a prompt is not what was signed: its content, its end or its answer. Empty: nothing.

        The digest of the content is computed, not taken from the prompt. Raises ImportError without the
        extra `receipts`.
        """
        resolution, answer = prompt.resolution, self.payload.get("answer")
        is_answered = resolution is not None and resolution.answer is not None
        compared = [
            ("prompt_id", prompt.prompt_id == self.prompt_id),
            ("job_id", prompt.job_id == self.job_id),
            ("namespace", prompt.proto.namespace == self.payload.get("namespace", "")),
            ("requested_by", prompt.requested_by == self.payload.get("requested_by", "")),
            ("key", prompt.key == self.payload.get("key", "")),
            ("revision", prompt.revision == self.payload["revision"]),
            ("content", digest_of_content(prompt.proto.content) == self.shown_digest),
            ("state", prompt.state == self.state),
            ("decided_by", resolution is not None and resolution.actor == self.decided_by),
            ("decided_at", resolution is not None and resolution.at == self.decided_at),
            ("reason", resolution is not None and resolution.reason == self.payload.get("reason", "")),
            ("answer", is_answered == (answer is not None)),
        ]
        wrong = [name for name, is_same in compared if not is_same]
        if resolution is not None and resolution.answer is not None and answer is not None:
            wrong += _differences_of_answer(resolution.answer, answer)
        return wrong


def _differences_of_answer(given: AnswerInfo, signed: Mapping[str, Any]) -> list[str]:
    rule = f"{given.rule_id}@{given.rule_revision}" if given.rule_id else ""
    edits = [{"content_id": name, "text_sha256": _sha256(text)} for name, text in given.edits.items()]
    compared = [
        ("answer_id", given.answer_id, signed.get("answer_id", "")),
        ("decision", str(given.decision), signed["decision"]),
        ("source", str(given.source), signed["source"]),
        ("user_id", given.by, signed.get("user_id", "")),
        ("on_behalf_of", given.on_behalf_of, signed.get("on_behalf_of", "")),
        ("rule", rule, signed.get("rule", "")),
        ("values", _digest(given.values_json), signed.get("values_sha256", "")),
        ("edits", edits, signed.get("edits", [])),
        ("batch_id", given.batch_id, signed.get("batch_id", "")),
        ("at", given.at, datetime.fromisoformat(signed["given_at"])),
        ("comment", _digest(given.comment), signed.get("comment_sha256", "")),
    ]
    return [f"answer.{name}" for name, mine, theirs in compared if mine != theirs]


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidReceipt(f"it is not a receipt: its {what} is no JSON object")
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(text: str) -> str:
    return _sha256(text) if text else ""
