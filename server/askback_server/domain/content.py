"""What a prompt shows and asks for: its document, its checks and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache, cached_property
from operator import attrgetter
from typing import Any

from pydantic_core import to_json

from askback_server.domain.decisions import Decision, DecisionOption, Edit, validate_answer
from askback_server.domain.evolve import made, quick
from askback_server.domain.forms import Form, Judgement, Question, Questions, SchemaForm
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


@quick
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
        return made(PromptContent, fields_of(self) | {"decisions": decisions})

    def timed(self, now: datetime) -> PromptContent:
        """The content of a prompt that is asked now: its deadline, if it has one, as a timeout."""
        if self.deadline is None:
            return self
        left = {"timeout": self.deadline - now, "deadline": None}
        return made(PromptContent, fields_of(self) | left)

    def untimed(self) -> PromptContent:
        """The same without what time would do to it: for a prompt that is closed as soon as it is open."""
        nothing = {"timeout": None, "deadline": None, "escalation": (), "reminders": None}
        ending = {"final_action": FinalAction.EXPIRE, "default_answer": None}
        return made(PromptContent, fields_of(self) | nothing | ending)

    def turned_to(self, audience: Audience, priority: int) -> PromptContent:
        """The same for other people and with another priority; its digest is the same."""
        if audience == self.audience and priority == self.priority:
            return self
        return made(PromptContent, fields_of(self) | {"audience": audience, "priority": priority})

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
    def document(self) -> str:
        """The content as its `prompt_data` document, made once; keys at their default are left out."""
        doc: dict[str, Any] = {"kind": self.kind, "title": self.title}
        if self.body:
            doc["body"] = self.body
        if self.parts:
            doc["contents"] = [_without_empty(fields_of(p)) for p in self.parts]
        if self.form is not None:
            doc["form"] = self._form_document
        doc["decisions"] = [fields_of(option) for option in self.decisions]
        if self.priority:
            doc["priority"] = self.priority
        if self.audience.users or self.audience.groups:
            doc["audience"] = names_of(self.audience)
        if self.labels:
            doc["labels"] = dict(self.labels)
        doc["blocking"] = self.blocking
        if self.final_action is not FinalAction.EXPIRE:
            doc["final_action"] = self.final_action
        if self.default_answer is not None:
            doc["default_answer"] = fields_of(self.default_answer)
        if self.metadata_json:
            doc["metadata_json"] = self.metadata_json
        if self.timeout is not None:
            doc["timeout_s"] = self.timeout.total_seconds()
        if self.deadline is not None:
            doc["deadline"] = self.deadline
        if self.escalation:
            doc["escalation"] = [_step_document(step) for step in self.escalation]
        if self.reminders is not None:
            doc["reminders"] = {
                "every_s": self.reminders.every.total_seconds(),
                "after_s": self.reminders.after.total_seconds(),
                "most": self.reminders.most,
            }
        return to_json(doc).decode()

    @cached_property
    def _form_document(self) -> dict[str, Any] | None:
        return form_document(self.form)

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
            self._form_document,
            [[o.decision, o.label, o.comment_required] for o in self.decisions],
        ]
        return hashlib.sha256(to_json(seen)).hexdigest()[:32]


def names_of(audience: Audience) -> dict[str, list[str]]:
    """An audience as JSON values."""
    return {"users": sorted(audience.users), "groups": sorted(audience.groups)}


def _step_document(step: EscalationStep) -> dict[str, Any]:
    doc: dict[str, Any] = {"after_s": step.after.total_seconds(), **names_of(step.to)}
    if step.replace:
        doc["replace"] = True
    if step.raise_priority:
        doc["raise_priority"] = step.raise_priority
    return doc


def form_document(form: Form | None) -> dict[str, Any] | None:
    """A form as JSON values, complete: its type is part of an input."""
    if isinstance(form, Questions):
        return {"questions": [_question_document(q) for q in form.questions]}
    return {"schema_json": form.schema_json} if form is not None else None


def _question_document(question: Question) -> dict[str, Any]:
    given = fields_of(question.input)
    if "options" in given:
        given["options"] = [fields_of(option) for option in given["options"]]
    return {**fields_of(question), "input": {"type": question.input.oneof, **given}}


def fields_of(value: Any) -> dict[str, Any]:
    """A dataclass's fields by name, without the deep copy that `asdict` makes."""
    names, values = _fields(value.__class__)
    return dict(zip(names, values(value), strict=True))


def _without_empty(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in doc.items() if v not in ("", False, None, ())}


@cache
def _fields(cls: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of a dataclass's fields, and what gives their values."""
    names = tuple(f.name for f in fields(cls))
    if len(names) > 1:
        return names, attrgetter(*names)
    return names, lambda value: tuple(getattr(value, name) for name in names)
