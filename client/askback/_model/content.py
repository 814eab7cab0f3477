"""Builds the contract's PromptContent from the SDK's arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypedDict

from google.protobuf.duration_pb2 import Duration

from askback._model.approvals import Approving, approval_message
from askback._model.delegations import Delegating, policy_message
from askback._model.enums import DecisionKind, FinalAction
from askback._model.escalation import After, Exclude, Remind, address
from askback._model.form import Form
from askback._model.json_text import dumps
from askback._model.options import Option
from askback._model.prompts import Content
from askback._model.times import duration, span, timestamp
from askback.v1 import prompt_pb2 as pb


class _Unset:
    """The type of UNSET, which stands for no default: None is itself a default."""

    def __repr__(self) -> str:
        return "..."


UNSET: Final = _Unset()
Unset = _Unset
Deadline = timedelta | float | datetime
"""The time that people have: a timedelta, seconds, or a datetime with a time zone."""
Contents = Iterable[Content] | Mapping[str, str]
"""The contents to show; a mapping is from content id to Markdown text."""
Decisions = Iterable[Option | DecisionKind | str]
Reminding = Remind | timedelta | float | None


class Shown(TypedDict, total=False):
    """Options of every question of a job besides its title, key, form, contents and default."""

    kind: str
    """`clarify`, `confirm`, `preview`, `validate`, `deep_understanding`, `structure_fix`, or your own."""
    body: str
    """An explanation of the question, in Markdown."""
    to: Iterable[str]
    """`user:NAME` and `group:NAME`; empty: every console of the namespace."""
    deadline: Deadline | None
    on_deadline: FinalAction | str
    """EXPIRE or FAIL_JOB, where no default is given."""
    exclude: Exclude | None
    """Who may not answer."""
    approval: Approving
    """How many people must approve together: a number, or Approval for more."""
    delegation: Delegating
    """To whom people may delegate it, and who may be a substitute: a DelegationScope, or DelegationPolicy for
    names. None: anyone."""
    escalate: Iterable[After]
    """Whom to ask if there is no answer in time, also or instead: `[After(3600).to("group:leads")]`."""
    remind: Reminding
    """How often consoles remind people while it is open: a span, or Remind for more."""
    decisions: Decisions
    """The decisions offered; empty: the defaults of the kind."""
    priority: int
    labels: Mapping[str, str] | None
    blocking: bool
    """False: the job counts as running while it waits, and is never parked for this question."""
    metadata: Any
    """Data for programs: any JSON value."""
    group_key: str
    """The same for similar questions: consoles show them together, and one decision may answer them."""
    supersedes: Iterable[str]
    """Keys of open questions that this one supersedes."""
    same: bool
    """True: keep a stored answer of this key although the wording has changed (else QuestionChanged)."""


class Asked(Shown, total=False):
    """The options of Shown, and the contents to show."""

    contents: Contents


@dataclass(frozen=True, slots=True)
class Default:
    """The answer that the server gives when the deadline expires."""

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
    exclude: Exclude | None = None,
    approval: Approving = None,
    escalate: Iterable[After] = (),
    remind: Reminding = None,
    decisions: Decisions = (),
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    blocking: bool = True,
    metadata: Any = None,
    group_key: str = "",
    delegation: Delegating = None,
) -> pb.PromptContent:
    """Build the content of a prompt.

    `to` names `user:NAME` and `group:NAME`; empty: every console of the namespace. Raises ValueError
    for a malformed `to` or `delegation`, for a default without a deadline, and for an unknown decision;
    InvalidTime for an invalid time or duration.
    """
    content = pb.PromptContent(
        kind=kind,
        title=title,
        body=body,
        priority=priority,
        labels=dict(labels or {}),
        blocking=blocking,
        group_key=group_key,
    )
    content.contents.extend(part.to_proto() for part in parts_of(contents))
    if form is not None:
        form.fill(content)
    content.decisions.extend(_option(item).to_proto() for item in decisions)
    address(content.audience, [to] if isinstance(to, str) else to)
    if exclude is not None:
        content.exclude.CopyFrom(exclude.to_proto())
    if approval is not None:
        content.approval.CopyFrom(approval_message(approval))
    if delegation is not None:
        content.delegation.CopyFrom(policy_message(delegation))
    content.escalation.extend(step.to_proto() for step in escalate)
    if remind is not None:
        every = remind if isinstance(remind, Remind) else Remind(span(remind, "remind"))
        content.reminders.CopyFrom(every.to_proto())
    if metadata is not None:
        content.metadata_json = dumps(metadata)
    action = FinalAction(on_deadline)
    if isinstance(deadline, datetime):
        # The server checks it: a past deadline is valid if the question exists already.
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


MIN_CORRECTION_TIME = timedelta(minutes=1)
"""Minimum time that people get to correct an answer when the deadline is near or has passed."""


def time_to_correct(deadline: datetime) -> Duration:
    """The time that people get to correct an answer to a question with this deadline."""
    return duration(max(deadline - datetime.now(UTC), MIN_CORRECTION_TIME), "deadline")


def same_question(asked: pb.PromptContent, known: pb.PromptContent) -> bool:
    """Whether the server is certain to treat `asked` and `known` as the same question.

    The server fills in the kind's decisions where none are given, and its digest leaves out routing and
    deadlines. False does not mean that they differ: then ask the server.
    """
    return (
        asked.kind == known.kind
        and asked.title == known.title
        and asked.body == known.body
        and asked.schema_json == known.schema_json
        and asked.questions == known.questions
        and list(asked.contents) == list(known.contents)
        and asked.HasField("approval") == known.HasField("approval")
        and asked.approval == known.approval
        and (not asked.decisions or list(asked.decisions) == list(known.decisions))
    )


def parts_of(contents: Contents) -> Iterable[Content]:
    """The contents; those of a mapping are Markdown."""
    if isinstance(contents, Mapping):
        return [Content(name, text) for name, text in contents.items()]
    return contents


def _option(item: Option | DecisionKind | str) -> Option:
    return item if isinstance(item, Option) else Option(DecisionKind(item))
