"""What is asked: from the SDK's arguments to the contract's PromptContent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypedDict

from google.protobuf.duration_pb2 import Duration

from askback._model.enums import DecisionKind, FinalAction
from askback._model.escalation import After, Remind, address
from askback._model.form import Form
from askback._model.json_text import dumps
from askback._model.prompts import Content, Option
from askback._model.times import duration, span, timestamp
from askback.v1 import prompt_pb2 as pb


class _Unset:
    """No default was given (None is a default)."""

    def __repr__(self) -> str:
        return "..."


UNSET: Final = _Unset()
Unset = _Unset
Deadline = timedelta | float | datetime
"""How long people have: a timedelta, seconds, or a datetime with a time zone."""
Contents = Iterable[Content] | Mapping[str, str]
"""What there is to look at; a mapping is id to Markdown text."""
Decisions = Iterable[Option | DecisionKind | str]
Reminding = Remind | timedelta | float | None


class Shown(TypedDict, total=False):
    """What every question of a job may say besides its title, key, form, contents and default."""

    kind: str
    """`clarify`, `confirm`, `preview`, `validate`, `deep_understanding`, `structure_fix`, or your own."""
    body: str
    """Markdown."""
    to: Iterable[str]
    """`user:NAME` and `group:NAME`; empty: every console of the namespace."""
    deadline: Deadline | None
    on_deadline: FinalAction | str
    """EXPIRE or FAIL_JOB, where no default is given."""
    escalate: Iterable[After]
    """Whom to ask in addition, or instead, when there is no answer yet: `[After(3600).to("group:leads")]`."""
    remind: Reminding
    """How often consoles remind people while it is open: a span, or Remind for more."""
    decisions: Decisions
    """What is offered; empty: the kind's own."""
    priority: int
    labels: Mapping[str, str] | None
    blocking: bool
    """False: the job counts as running while it waits, and is never parked for it."""
    metadata: Any
    """For programs; anything that JSON can hold."""
    supersedes: Iterable[str]
    """Keys of open questions whose place this one takes."""
    same: bool
    """True: an answer to this key stands though the wording has changed (else QuestionChanged)."""


class Asked(Shown, total=False):
    """The same, and what there is to look at."""

    contents: Contents


@dataclass(frozen=True, slots=True)
class Default:
    """The answer that a passed deadline gives."""

    decision: DecisionKind
    values_json: str = ""
    comment: str = ""


def prompt_content(
    title: str,
    *,
    kind: str,
    body: str = "",
    form: Form | None = None,
    contents: Contents = (),
    to: Iterable[str] = (),
    deadline: Deadline | None = None,
    default: Default | None = None,
    on_deadline: FinalAction | str = FinalAction.EXPIRE,
    escalate: Iterable[After] = (),
    remind: Reminding = None,
    decisions: Decisions = (),
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    blocking: bool = True,
    metadata: Any = None,
) -> pb.PromptContent:
    """The content of a prompt.

    `to` names `user:NAME` and `group:NAME`; empty: every console of the namespace. Raises ValueError
    for another form of `to`, for a default without a deadline, and for an unknown decision, InvalidTime
    for a time that is none.
    """
    content = pb.PromptContent(
        kind=kind, title=title, body=body, priority=priority, labels=dict(labels or {}), blocking=blocking
    )
    content.contents.extend(part.to_proto() for part in parts_of(contents))
    if form is not None:
        form.fill(content)
    content.decisions.extend(_option(item).to_proto() for item in decisions)
    address(content.audience, [to] if isinstance(to, str) else to)
    content.escalation.extend(step.to_proto() for step in escalate)
    if remind is not None:
        every = remind if isinstance(remind, Remind) else Remind(span(remind, "remind"))
        content.reminders.CopyFrom(every.to_proto())
    if metadata is not None:
        content.metadata_json = dumps(metadata)
    action = FinalAction(on_deadline)
    if isinstance(deadline, datetime):
        # The server judges it: it alone knows whether this question exists already.
        content.deadline.CopyFrom(timestamp(deadline, "deadline"))
    elif deadline is not None:
        content.timeout.CopyFrom(duration(deadline, "deadline"))
    elif default is not None or action is not FinalAction.EXPIRE:
        raise ValueError("a default or on_deadline= needs deadline=")
    if default is not None:
        action = FinalAction.DEFAULT
        content.default_answer.decision = pb.Decision.Value(f"DECISION_{default.decision}")
        content.default_answer.values_json = default.values_json
        content.default_answer.comment = default.comment
    content.final_action = pb.FinalAction.Value(f"FINAL_ACTION_{action}")
    return content


CORRECTION = timedelta(minutes=1)
"""How long people have at least to correct an answer, when the deadline is near or over."""


def time_to_correct(deadline: datetime) -> Duration:
    """How long people have to give another answer to a question with this deadline."""
    return duration(max(deadline - datetime.now(UTC), CORRECTION), "deadline")


def same_question(asked: pb.PromptContent, known: pb.PromptContent) -> bool:
    """Whether the server would surely take `asked` for the question that `known` is.

    It fills in the kind's decisions where none are given, and leaves routing and time out of its
    digest. False only means: let the server judge.
    """
    return (
        asked.kind == known.kind
        and asked.title == known.title
        and asked.body == known.body
        and asked.schema_json == known.schema_json
        and asked.questions == known.questions
        and list(asked.contents) == list(known.contents)
        and (not asked.decisions or list(asked.decisions) == list(known.decisions))
    )


def parts_of(contents: Contents) -> Iterable[Content]:
    """The contents; those of a mapping are Markdown."""
    if isinstance(contents, Mapping):
        return [Content(name, text) for name, text in contents.items()]
    return contents


def _option(item: Option | DecisionKind | str) -> Option:
    return item if isinstance(item, Option) else Option(DecisionKind(item))
