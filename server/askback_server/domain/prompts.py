"""What a prompt and an answer are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from pydantic_core import from_json, to_json

from askback_server.domain.content import PromptContent, fields_of
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.evolve import fast_init
from askback_server.domain.json_text import Violation
from askback_server.domain.nudges import Nudges
from askback_server.domain.principals import Principal, Role


class PromptState(StrEnum):
    """Where a prompt is in its life; all but PENDING are terminal."""

    PENDING = "PENDING"
    ANSWERED = "ANSWERED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"


class AnswerSource(StrEnum):
    """Who gave an answer."""

    HUMAN = "HUMAN"
    TIMEOUT_DEFAULT = "TIMEOUT_DEFAULT"
    TEST = "TEST"


class AnswerStatus(StrEnum):
    """What became of a submission."""

    ACCEPTED = "ACCEPTED"
    RECORDED = "RECORDED"
    CLOSED = "CLOSED"
    STALE = "STALE"
    INVALID = "INVALID"


VALUES = '{"values":'
"""How the document of an answer with values begins: their text can be cut out again as it was sent."""


@fast_init
@dataclass(frozen=True)  # no slots: what is derived is kept beside the fields
class Answer:
    """What somebody decided. `values_json` is kept exactly as sent; empty if none."""

    answer_id: str
    decision: Decision
    values_json: str
    edits: tuple[Edit, ...]
    comment: str
    source: AnswerSource
    user_id: str
    revision: int
    created_at: datetime

    @cached_property
    def size(self) -> int:
        """Roughly how many bytes its texts are."""
        return len(self.values_json) + len(self.comment) + sum(len(e.text) for e in self.edits)

    @cached_property
    def document(self) -> str:
        """The answer as a document whose `values` are the very text that was sent, made once.

        The audit also keeps refused answers: values that are no JSON are kept as a string.
        """
        doc = {
            "answer_id": self.answer_id,
            "decision": self.decision,
            "comment": self.comment,
            "edits": [fields_of(e) for e in self.edits],
            "source": self.source,
            "user_id": self.user_id,
            "revision": self.revision,
            "at": self.created_at.isoformat(),
        }
        if not self.values_json:
            return to_json(doc).decode()
        try:
            from_json(self.values_json, allow_inf_nan=False)
        except ValueError:
            return to_json({**doc, "values_text": self.values_json}).decode()
        return f"{VALUES}{self.values_json},{to_json(doc).decode()[1:]}"

    @property
    def digest(self) -> str:
        """Of what was submitted and by whom, the time apart: equal answers have equal digests."""
        said = [
            self.user_id,
            self.revision,
            self.decision,
            self.values_json,
            [[e.content_id, e.text] for e in self.edits],
            self.comment,
        ]
        if self.source is not AnswerSource.HUMAN:
            said.append(self.source)
        return hashlib.sha256(to_json(said)).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a prompt ended."""

    state: PromptState
    actor: str
    at: datetime
    reason: str = ""
    answer: Answer | None = None


@fast_init
@dataclass(frozen=True)  # no slots: see evolve.py
class Prompt:
    """One question to people, asked by a job."""

    prompt_id: str
    job_id: str
    namespace: str
    job_type: str
    key: str
    round: int
    revision: int
    version: int
    """The job's seq at the prompt's last change: rises, and orders what consoles are told."""
    state: PromptState
    content: PromptContent
    digest: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    claimed_by: str = ""
    claimed_until: datetime | None = None
    resolution: Resolution | None = None
    consumed_at: datetime | None = None
    submissions: int = 0
    nudges: Nudges | None = None
    """How far escalation and reminders have come; None where there are none."""
    unattended_since: datetime | None = None
    """Open, and since then nobody who may answer has a console open, as far as is known."""
    requested_by: str = ""
    """The job's creator, `Job.user_id`; empty only for a prompt that an older server asked."""
    same_digest: str = ""
    """Closed, and last asked again by this other content that is the same question."""

    @property
    def due_at(self) -> datetime | None:
        """When time next does something to it: a step, a reminder, or its end. None: never."""
        if self.nudges is None or self.nudges.next_at is None:
            return self.expires_at
        return min(self.nudges.next_at, self.expires_at or self.nudges.next_at)

    @property
    def is_turned_away(self) -> bool:
        """Whether somebody who was asked before may not see it any more."""
        if self.revision > 1:
            return True
        steps = self.content.escalation[: self.nudges.steps] if self.nudges is not None else ()
        return any(step.replace for step in steps)

    @property
    def is_open(self) -> bool:
        """Whether people may answer."""
        return self.state is PromptState.PENDING

    def claimant(self, now: datetime) -> str:
        """Who holds a claim that has not run out; empty if nobody."""
        return self.claimed_by if self.claimed_until is not None and self.claimed_until > now else ""

    def is_for(self, principal: Principal) -> bool:
        """Whether a console of this principal may see and answer it."""
        if not principal.may_use(self.namespace):
            return False
        return principal.is_admin or self.content.audience.includes(principal.subject, principal.groups)

    def is_visible_to(self, principal: Principal) -> bool:
        """Whether the principal may read it: as a console, or as the asker's side."""
        if not principal.may_use(self.namespace):
            return False
        if principal.has(Role.CLIENT, Role.WORKER):
            return True
        return principal.has(Role.CONSOLE) and self.is_for(principal)


@fast_init
@dataclass(frozen=True)  # no slots: see evolve.py
class Submission:
    """One submitted answer and its verdict, kept for the audit."""

    prompt_id: str
    job_id: str
    answer: Answer
    status: AnswerStatus
    digest: str
    """Of what was submitted and by whom: an equal answer_id must come with an equal digest."""
    seq: int
    """The job event that recorded it; orders the audit."""
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """The verdict on a submission, with the prompt as it is now."""

    status: AnswerStatus
    answer_id: str
    prompt: Prompt
    replayed: bool = False
    violations: tuple[Violation, ...] = ()
