"""Prompts, answers and resolutions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from pydantic_core import to_json

from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.evolve import fast_init
from askback_server.domain.json_text import Violation
from askback_server.domain.nudges import Nudges
from askback_server.domain.principals import Principal, Role


class PromptState(StrEnum):
    """The states of a prompt; all but PENDING are terminal."""

    PENDING = "PENDING"
    ANSWERED = "ANSWERED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"


class AnswerSource(StrEnum):
    """Where an answer comes from."""

    HUMAN = "HUMAN"
    TIMEOUT_DEFAULT = "TIMEOUT_DEFAULT"
    TEST = "TEST"


class AnswerStatus(StrEnum):
    """The verdict on a submitted answer."""

    ACCEPTED = "ACCEPTED"
    RECORDED = "RECORDED"
    CLOSED = "CLOSED"
    STALE = "STALE"
    INVALID = "INVALID"


@fast_init
@dataclass(frozen=True)  # no slots: see evolve.py
class Answer:
    """A decision on a prompt. `values_json` is stored as it was sent; empty if there are no values."""

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
        """About how many bytes its texts take."""
        return len(self.values_json) + len(self.comment) + sum(len(e.text) for e in self.edits)

    @property
    def digest(self) -> str:
        """A digest of the answer and its author, without the time: equal answers have equal digests."""
        parts = [
            self.user_id,
            self.revision,
            self.decision,
            self.values_json,
            [[e.content_id, e.text] for e in self.edits],
            self.comment,
        ]
        if self.source is not AnswerSource.HUMAN:
            parts.append(self.source)
        return hashlib.sha256(to_json(parts)).hexdigest()[:32]


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
    """One question to people, asked by a job.

    Rules make a new image by `evolve` and give it to `Change.put`; fields marked "fixed" never change.
    """

    prompt_id: str
    """Made by the server (UUIDv7); fixed."""
    job_id: str
    """The job that asks; fixed."""
    namespace: str
    """The job's; fixed."""
    job_type: str
    """The job's; fixed."""
    key: str
    """The asker's name of the prompt, unique in its job; fixed."""
    round: int
    """The prompt's number in its job, from 1; fixed."""
    revision: int
    """Rises when the content is amended, from 1. An answer to an older one is STALE."""
    version: int
    """The job's version at the prompt's last change (`Change.put`): of two images the higher is newer."""
    state: PromptState
    """PENDING until `life.close_prompt`."""
    content: PromptContent
    """Set by the asker; changed by an amendment, and by escalation (audience and priority only)."""
    digest: str
    """The content's digest. Changed by an amendment; `AskPrompt` with an equal one is the same question."""
    created_at: datetime
    """When it was asked; fixed."""
    updated_at: datetime
    """When it last changed (`Change.put`)."""
    expires_at: datetime | None = None
    """When the final action is taken; None: never. Set by `content.timeout` at asking and amending."""
    claimed_by: str = ""
    """Who claimed it. Set by ClaimPrompt; cleared by a release, an escalation step, and the end."""
    claimed_until: datetime | None = None
    """When the claim expires. Set and cleared with `claimed_by`."""
    resolution: Resolution | None = None
    """How it ended. Set once, when it is closed."""
    consumed_at: datetime | None = None
    """When the holder first acknowledged the resolution."""
    submissions: int = 0
    """How many answers were submitted. Rises with each, also with those that were refused."""
    nudges: Nudges | None = None
    """The progress of escalation and reminders. Set at asking and amending, None if the content has none;
    changed by each step and reminder, and by the end."""
    unattended_since: datetime | None = None
    """Since when no person who may answer has a console connected, as far as is known (`mark_presence`).
    Cleared when one connects, and when the prompt is closed."""
    requested_by: str = ""
    """The job's creator, `Job.user_id`; fixed. Empty for a prompt that an older server asked."""
    same_digest: str = ""
    """The digest of the newest other wording that the job asked after the prompt was closed, and for which
    the resolution was kept (`rewording.py`)."""

    @property
    def due_at(self) -> datetime | None:
        """The time of its next escalation step, reminder or deadline; None if there is none."""
        if self.nudges is None or self.nudges.next_at is None:
            return self.expires_at
        return min(self.nudges.next_at, self.expires_at or self.nudges.next_at)

    @property
    def is_turned_away(self) -> bool:
        """Whether a person who saw it may have lost access: by an amendment or a replacing step."""
        if self.revision > 1:
            return True
        steps = self.content.escalation[: self.nudges.steps] if self.nudges is not None else ()
        return any(step.replace for step in steps)

    @property
    def is_open(self) -> bool:
        """Whether people may answer."""
        return self.state is PromptState.PENDING

    def claimant(self, now: datetime) -> str:
        """The person with a claim that has not expired; empty if there is none."""
        return self.claimed_by if self.claimed_until is not None and self.claimed_until > now else ""

    def is_for(self, principal: Principal) -> bool:
        """Whether a console of this principal may see and answer it."""
        if not principal.may_use(self.namespace):
            return False
        return principal.is_admin or self.content.audience.includes(principal.subject, principal.groups)

    def is_visible_to(self, principal: Principal) -> bool:
        """Whether the principal may read it: as a client or worker, or as a console of its audience."""
        if not principal.may_use(self.namespace):
            return False
        if principal.has(Role.CLIENT, Role.WORKER):
            return True
        return principal.has(Role.CONSOLE) and self.is_for(principal)


@fast_init
@dataclass(frozen=True)  # no slots: see evolve.py
class Submission:
    """One submitted answer and its verdict, stored for the audit."""

    prompt_id: str
    job_id: str
    answer: Answer
    status: AnswerStatus
    digest: str
    """`Answer.digest`: the same `answer_id` with another digest is refused."""
    seq: int
    """The seq of the job event that recorded it; orders the audit."""
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """The verdict on a submission, with the prompt as it is now."""

    status: AnswerStatus
    answer_id: str
    prompt: Prompt
    replayed: bool = False
    violations: tuple[Violation, ...] = ()
