"""The content of a prompt: the question, who may answer, and when it escalates or ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from askback_server.domain.approvals import Approval, approval_to_doc
from askback_server.domain.decisions import Decision, DecisionOption, Edit, validate_answer
from askback_server.domain.delegations import DelegationPolicy, Delegations, Right
from askback_server.domain.digests import digest_of
from askback_server.domain.evolve import cached_property, evolve, fast_init, fields_of
from askback_server.domain.form_documents import form_to_doc
from askback_server.domain.forms import Form, Judgement, Questions, SchemaForm
from askback_server.domain.json_text import Json, Violation
from askback_server.domain.limits import Limits


class FinalAction(StrEnum):
    """What happens to a prompt at its deadline."""

    EXPIRE = "EXPIRE"
    DEFAULT = "DEFAULT"
    FAIL_JOB = "FAIL_JOB"


@dataclass(frozen=True, slots=True)
class Part:
    """Something to look at: a text, or a URL. The service never fetches the URL."""

    content_id: str
    title: str = ""
    media_type: str = ""
    text: str = ""
    url: str = ""
    editable: bool = False


@dataclass(frozen=True, slots=True)
class Audience:
    """The users and groups that may see a prompt and answer it. Empty: all of the namespace."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def includes(self, subject: str, groups: frozenset[str]) -> bool:
        """Whether a person with these groups belongs to it."""
        if not self.users and not self.groups:
            return True
        return subject in self.users or not self.groups.isdisjoint(groups)

    def union(self, others: Audience) -> Audience:
        """This audience and the others'; an empty (unrestricted) one stays empty."""
        if not self.users and not self.groups:
            return self
        return Audience(self.users | others.users, self.groups | others.groups)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """People who may not answer a prompt, whatever their role (separation of duties)."""

    requester: bool = False
    """The job's creator and the principal that asks. They are added to `users` when the prompt is asked."""
    answerers_of: tuple[str, ...] = ()
    """Keys of prompts of the same job. Who answers them is added to `users`, then or later."""
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    hide: bool = False
    """Whether they do not see the prompt either."""

    def has(self, subject: str, groups: frozenset[str] = frozenset()) -> bool:
        """Whether it excludes a person with these groups."""
        return subject in self.users or not self.groups.isdisjoint(groups)

    def with_users(self, users: frozenset[str]) -> Exclusion:
        """The exclusion with further users."""
        return replace(self, users=self.users | users)


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Extends or replaces the audience of a prompt that is not answered in time."""

    after: timedelta
    """Counted from when the prompt was asked."""
    to: Audience = Audience()
    """Added to the audience, or with `replace` the new one (empty: all of the namespace)."""
    replace: bool = False
    raise_priority: int = 0
    """Added to the prompt's priority."""


@dataclass(frozen=True, slots=True)
class Reminders:
    """When consoles are sent an open prompt again."""

    every: timedelta
    after: timedelta
    """The time of the first reminder, counted from when the prompt was asked."""
    maximum: int = 0
    """How many; 0: as many as the limits allow."""


@dataclass(frozen=True, slots=True)
class DefaultAnswer:
    """The answer that is given at the deadline with FinalAction.DEFAULT."""

    decision: Decision
    values_json: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """Why the job did not accept the answer to an earlier prompt of it, in the question that asks again."""

    key: str
    """Of the earlier prompt."""
    violations: tuple[Violation, ...]


@fast_init
@dataclass(frozen=True)  # no slots: see evolve.py
class PromptContent:
    """One question to people. Empty `decisions` are filled in by `normalise`, with those of the kind."""

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
    """In place of `timeout`; `resolve_deadline` replaces it, so a stored content has none."""
    correction: Correction | None = None
    exclusion: Exclusion | None = None
    approval: Approval | None = None
    """How many people must decide alike. None: the first valid answer decides."""
    group_key: str = ""
    """The same for similar questions, so that consoles can show them together."""
    delegation_policy: DelegationPolicy | None = None
    """To whom people may delegate it. None: to anyone."""
    delegations: Delegations | None = None
    """Who may act in place of whom. Set by people and by absences, never by the asker."""
    rerouted: bool = False
    """Whether its audience was replaced by ReroutePrompt."""

    @cached_property
    def size(self) -> int:
        """About how many bytes its texts take. Cached: a job in memory is measured at each write."""
        parts = sum(len(p.text) for p in self.parts) if self.parts else 0
        schema = len(self.form.schema_json) if isinstance(self.form, SchemaForm) else 0
        texts = len(self.body) + len(self.metadata_json) + len(self.group_key)
        return texts + parts + schema + self._faults_size

    @cached_property
    def details(self) -> int:
        """How many small values it has, such as options, labels and steps. Each takes memory of its own.
        Decisions are left out: prompts share those of their kind."""
        questions = self.form.questions if isinstance(self.form, Questions) else ()
        audiences = (self.audience, *(step.to for step in self.escalation))
        excluded = self.exclusion
        return (
            sum(1 + len(getattr(question.input, "options", ())) for question in questions)
            + sum(len(audience.users) + len(audience.groups) for audience in audiences)
            + len(self.parts)
            + len(self.labels)
            + len(self.escalation)
            + (len(excluded.users) + len(excluded.groups) if excluded is not None else 0)
            + (len(self.delegations.active) if self.delegations is not None else 0)
        )

    @property
    def _faults_size(self) -> int:
        violations = self.correction.violations if self.correction else ()
        return sum(len(v.field) + len(v.description) for v in violations)

    def option(self, decision: Decision) -> DecisionOption | None:
        """The offered option of a decision, or None."""
        return next((o for o in self.decisions if o.decision == decision), None)

    def with_decisions(self, decisions: tuple[DecisionOption, ...]) -> PromptContent:
        """A copy with other decisions."""
        return evolve(self, decisions=decisions)

    def resolve_deadline(self, now: datetime) -> PromptContent:
        """A copy for a prompt that is asked at `now`: with a timeout in place of the deadline."""
        if self.deadline is None:
            return self
        return evolve(self, timeout=self.deadline - now, deadline=None)

    def without_times(self) -> PromptContent:
        """A copy without times and final action, for a prompt that is closed in the same commit."""
        return evolve(
            self,
            timeout=None,
            deadline=None,
            escalation=(),
            reminders=None,
            final_action=FinalAction.EXPIRE,
            default_answer=None,
        )

    @property
    def reach(self) -> Audience:
        """The users and groups that may act: the audience with those to whom a right was delegated. Of them
        those who gave their right away (`Delegations.gone`) may not."""
        if self.delegations is None:
            return self.audience
        if not self.audience.users and not self.audience.groups:
            return self.audience
        users = (self.audience.users | self.delegations.users) - self.delegations.gone
        return Audience(users, self.audience.groups | self.delegations.groups)

    def right_of(self, subject: str, groups: frozenset[str]) -> Right | None:
        """By which right a person with these groups may act. None: it is not one of those who are asked.

        A right of its own comes before one that was delegated to it.
        """
        audience, given = self.audience, self.delegations
        if given is not None and subject in given.gone:
            return None
        if (given is None or not given.has_given(subject)) and audience.includes(subject, groups):
            by_name = subject in audience.users or not (audience.users or audience.groups)
            return Right(subject, None if by_name else groups & audience.groups)
        received = given.received(subject, groups) if given is not None else None
        return Right(received.holder, received.entry, received) if received is not None else None

    def delegate(self, delegations: Delegations) -> PromptContent:
        """A copy with other delegations; its digest is the same."""
        after = delegations if delegations.last or delegations.skipped else None
        return self if after == self.delegations else evolve(self, delegations=after)

    def excludes_author(self, subject: str) -> bool:
        """Whether an answer of this user is not allowed."""
        return self.exclusion is not None and self.exclusion.has(subject)

    def exclude(self, users: frozenset[str]) -> PromptContent:
        """A copy whose exclusion has further users; its digest is the same."""
        if self.exclusion is None or users <= self.exclusion.users:
            return self
        return evolve(self, exclusion=self.exclusion.with_users(users))

    def route_to(self, audience: Audience, priority: int) -> PromptContent:
        """A copy with another audience and priority; its digest is the same."""
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
        """The violations of an answer to this content; empty if it is valid. Raises Unjudged."""
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
    def form_document(self) -> Mapping[str, Json] | None:
        """The form as JSON values; None without a form."""
        return form_to_doc(self.form) if self.form is not None else None

    @cached_property
    def digest(self) -> str:
        """A digest of what people see and may decide (docs/design.md 1: `key`).

        Routing and time (audience, priority, labels, timeout, deadline, escalation, reminders, metadata,
        group) are not in it: they change neither the question nor what a yes would mean.
        """
        seen: list[object] = [
            self.kind,
            self.title,
            self.body,
            [fields_of(p) for p in self.parts],
            self.form_document,
            [[str(o.decision), o.label, o.comment_required] for o in self.decisions],
        ]
        if self.correction is not None:  # without one, the digest is that of older versions
            faults = [[v.field, v.description] for v in self.correction.violations]
            seen.append([self.correction.key, faults])
        if self.approval is not None:  # a yes of one person means less where two are needed
            seen.append({"approval": approval_to_doc(self.approval)})
        return digest_of(seen)
