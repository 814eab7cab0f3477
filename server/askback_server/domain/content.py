"""The content of a prompt: the question, who may answer, and when it escalates or ends."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic_core import to_json

from askback_server.domain.decisions import Decision, DecisionOption, Edit, validate_answer
from askback_server.domain.evolve import evolve, fast_init, fields_of
from askback_server.domain.form_documents import form_to_doc
from askback_server.domain.forms import Form, Judgement, SchemaForm
from askback_server.domain.json_text import Violation
from askback_server.domain.limits import Limits


class FinalAction(StrEnum):
    """What a passed deadline does."""

    EXPIRE = "EXPIRE"
    DEFAULT = "DEFAULT"
    FAIL_JOB = "FAIL_JOB"


@dataclass(frozen=True, slots=True)
class Part:
    """Something to look at: text, or a URL that is only ever a link."""

    content_id: str
    title: str = ""
    media_type: str = ""
    text: str = ""
    url: str = ""
    editable: bool = False


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see and answer. Empty means everybody in the namespace."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def includes(self, subject: str, groups: frozenset[str]) -> bool:
        """Whether a person with these groups is meant."""
        if not self.users and not self.groups:
            return True
        return subject in self.users or not self.groups.isdisjoint(groups)

    def joined(self, others: Audience) -> Audience:
        """These people and the others. Everybody stays everybody."""
        if not self.users and not self.groups:
            return self
        return Audience(self.users | others.users, self.groups | others.groups)


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Whom a prompt turns to when nobody has answered it `after` so long, counted from its asking.

    `to` comes in addition, or in place of all who were asked before (`replace`; empty: everybody).
    """

    after: timedelta
    to: Audience = Audience()
    replace: bool = False
    raise_priority: int = 0


@dataclass(frozen=True, slots=True)
class Reminders:
    """Consoles are told again of an open prompt: first `after`, then `every` so long.

    `most` 0: as often as the limits allow.
    """

    every: timedelta
    after: timedelta
    most: int = 0


@dataclass(frozen=True, slots=True)
class DefaultAnswer:
    """The answer that FinalAction.DEFAULT gives."""

    decision: Decision
    values_json: str = ""
    comment: str = ""


@fast_init
@dataclass(frozen=True)  # no slots: what is derived is kept beside the fields
class PromptContent:
    """One question to people. `decisions` empty means the kind's defaults, filled by `normalised`."""

    kind: str
    title: str
    body: str = ""
    parts: tuple[Part, ...] = ()
    form: Form | None = None
    decisions: tuple[DecisionOption, ...] = ()
    priority: int = 0
    audience: Audience = Audience()
    labels: Mapping[str, str] = field(default_factory=dict)
    blocking: bool = True
    final_action: FinalAction = FinalAction.EXPIRE
    default_answer: DefaultAnswer | None = None
    metadata_json: str = ""
    timeout: timedelta | None = None
    escalation: tuple[EscalationStep, ...] = ()
    reminders: Reminders | None = None
    deadline: datetime | None = None
    """In place of `timeout`, until `timed`: a stored content never has one."""

    @cached_property
    def size(self) -> int:
        """Roughly how many bytes it is. A job in memory is measured at each write, with all its prompts."""
        parts = sum(len(p.text) for p in self.parts) if self.parts else 0
        schema = len(self.form.schema_json) if isinstance(self.form, SchemaForm) else 0
        return len(self.body) + len(self.metadata_json) + parts + schema

    def option(self, decision: Decision) -> DecisionOption | None:
        """The offered option of a decision, or None."""
        return next((o for o in self.decisions if o.decision == decision), None)

    def offering(self, decisions: tuple[DecisionOption, ...]) -> PromptContent:
        """The same with other decisions, and without what was derived of these."""
        return evolve(self, decisions=decisions)

    def timed(self, now: datetime) -> PromptContent:
        """The content of a prompt that is asked now: its deadline, if it has one, as a timeout."""
        if self.deadline is None:
            return self
        return evolve(self, timeout=self.deadline - now, deadline=None)

    def untimed(self) -> PromptContent:
        """The same without what time would do to it: for a prompt that is closed as soon as it is open."""
        return evolve(
            self,
            timeout=None,
            deadline=None,
            escalation=(),
            reminders=None,
            final_action=FinalAction.EXPIRE,
            default_answer=None,
        )

    def turned_to(self, audience: Audience, priority: int) -> PromptContent:
        """The same for other people and with another priority; its digest is the same."""
        if audience == self.audience and priority == self.priority:
            return self
        return evolve(self, audience=audience, priority=priority)

    def judge(
        self,
        decision: Decision,
        values_json: str,
        edits: tuple[Edit, ...],
        comment: str,
        limits: Limits,
        judgement: Judgement | None = None,
    ) -> tuple[Violation, ...]:
        """What is wrong with an answer's content, field by field; empty if nothing is. Raises Unjudged."""
        return validate_answer(
            options=self.decisions,
            form=self.form,
            editable={p.content_id: p.editable for p in self.parts},
            decision=decision,
            values_json=values_json,
            edits=edits,
            comment=comment,
            limits=limits.forms,
            judgement=judgement,
        )

    @cached_property
    def form_document(self) -> Mapping[str, Any] | None:
        """The form as JSON values; None without a form."""
        return form_to_doc(self.form) if self.form is not None else None

    @cached_property
    def digest(self) -> str:
        """A digest of what people see and may decide (docs/design.md 1: `key`).

        Routing and time (audience, priority, labels, timeout, deadline, escalation, reminders, metadata)
        are not in it: they change neither the question nor what a yes would mean.
        """
        seen = [
            self.kind,
            self.title,
            self.body,
            [fields_of(p) for p in self.parts],
            self.form_document,
            [[o.decision, o.label, o.comment_required] for o in self.decisions],
        ]
        return hashlib.sha256(to_json(seen)).hexdigest()[:32]
