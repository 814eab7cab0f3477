"""Prompts and their answers, as the SDK returns them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from askback._model import brief
from askback._model.approvals import Approval, Shortfall, Vote, VoteCount, votes_of
from askback._model.delegations import Delegation, DelegationPolicy, find_delegation
from askback._model.enums import AnswerStatus, DecisionKind, PromptState, member_of
from askback._model.escalation import Exclude
from askback._model.json_text import loads
from askback._model.options import Option
from askback._model.resolutions import AnswerInfo, Resolution
from askback._model.times import moment
from askback._model.violations import Violation
from askback.v1 import prompt_pb2 as pb

if TYPE_CHECKING:
    from askback.v1 import hitl_service_pb2 as hitl


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """A document shown with the prompt's body: a preview, a diff, a report.

    Give `text` or `url`. `editable` lets a person replace the text (decision EDIT).
    """

    content_id: str
    text: str = ""
    title: str = ""
    media_type: str = "text/markdown"
    editable: bool = False
    url: str = ""
    __repr__ = brief.repr_of_content

    def to_proto(self) -> pb.PromptPart:
        """The contract's message."""
        part = pb.PromptPart(
            content_id=self.content_id, title=self.title, media_type=self.media_type, editable=self.editable
        )
        if self.url:
            part.url = self.url
        else:
            part.text = self.text
        return part

    @classmethod
    def from_proto(cls, part: pb.PromptPart) -> Content:
        """The content that a message describes."""
        return cls(part.content_id, part.text, part.title, part.media_type, part.editable, part.url)


class PromptInfo:
    """A snapshot of a prompt. `proto` is the contract's message with every field."""

    def __init__(self, proto: pb.Prompt) -> None:
        self.proto = proto

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind} {brief.short(self.title)} {self.state} {self.prompt_id}>"

    @property
    def prompt_id(self) -> str:
        """The server's id."""
        return self.proto.prompt_id

    @property
    def job_id(self) -> str:
        """The id of the job that asks."""
        return self.proto.job_id

    @property
    def job_type(self) -> str:
        """The job's type."""
        return self.proto.job_type

    @property
    def requested_by(self) -> str:
        """The user who created the job, and on whose behalf you are asked."""
        return self.proto.requested_by

    @property
    def key(self) -> str:
        """The key that the job's function gave the prompt."""
        return self.proto.key

    @property
    def kind(self) -> str:
        """`clarify`, `confirm`, `preview`, `validate`, or another kind."""
        return self.proto.content.kind

    @property
    def title(self) -> str:
        """The question, in one line."""
        return self.proto.content.title

    @property
    def body(self) -> str:
        """The explanation of the question, in Markdown."""
        return self.proto.content.body

    @property
    def corrections(self) -> tuple[Violation, ...]:
        """Why the job did not accept the answer before, field by field, for a question that asks again."""
        return tuple(Violation(v.field, v.description) for v in self.proto.content.correction.violations)

    @property
    def contents(self) -> tuple[Content, ...]:
        """The contents to show."""
        return tuple(Content.from_proto(part) for part in self.proto.content.contents)

    @property
    def questions(self) -> Sequence[pb.Question]:
        """The form's questions; empty without a form, and for a form that is given by a schema."""
        return self.proto.content.questions.questions

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema that the values must satisfy; None if there is no form."""
        content = self.proto.content
        text = content.schema_json or content.derived_schema_json
        return loads(text) if text else None

    @property
    def decisions(self) -> tuple[Option, ...]:
        """The decisions that the prompt offers."""
        return tuple(
            Option(
                member_of(DecisionKind, pb.Decision, "DECISION_", option.decision),
                option.label,
                option.comment_required,
            )
            for option in self.proto.content.decisions
        )

    @property
    def labels(self) -> dict[str, str]:
        """Labels: free key-value pairs."""
        return dict(self.proto.content.labels)

    @property
    def group_key(self) -> str:
        """The same for similar questions, which consoles show together; empty: it belongs to no group."""
        return self.proto.content.group_key

    @property
    def priority(self) -> int:
        """The priority; prompts of a higher one are shown first."""
        return self.proto.content.priority

    @property
    def blocking(self) -> bool:
        """Whether the job waits for the answer; if not, it continues meanwhile."""
        return self.proto.content.blocking

    @property
    def metadata(self) -> Any:
        """The asker's data for programs, parsed; None if there is none."""
        text = self.proto.content.metadata_json
        return loads(text) if text else None

    @property
    def unattended_since(self) -> datetime | None:
        """The time since which no person who may answer has had a console open; None if one has. A hint to
        escalate: it may be some seconds late."""
        return moment(self.proto, "unattended_time")

    @property
    def revision(self) -> int:
        """The revision of the content that was shown; it is sent with the answer."""
        return self.proto.revision

    @property
    def shown_digest(self) -> str:
        """The digest of what was shown, 64 hexadecimal digits; it is sent with the answer. Empty from a
        server that is older than this field."""
        return self.proto.shown_digest

    @property
    def version(self) -> int:
        """Increases with every change."""
        return self.proto.version

    @property
    def state(self) -> PromptState:
        """The state of the prompt."""
        return member_of(PromptState, pb.PromptState, "PROMPT_STATE_", self.proto.state)

    @property
    def is_open(self) -> bool:
        """Whether the prompt was open when it was read."""
        return self.state is PromptState.PENDING

    @property
    def claimed_by(self) -> str:
        """The person who has claimed the prompt; empty if it is not claimed."""
        return self.proto.claimed_by

    @property
    def exclude(self) -> Exclude | None:
        """Who may not answer; `names` has also those that the asker named indirectly. None: no exclusion."""
        content = self.proto.content
        return Exclude.from_proto(content.exclude) if content.HasField("exclude") else None

    def excludes(self, user: str, groups: Iterable[str] = ()) -> bool:
        """Whether this person may not answer, although it may see the prompt."""
        exclude = self.exclude
        return exclude is not None and exclude.covers(user, groups)

    @property
    def approval(self) -> Approval | None:
        """How many people must decide alike; None: the first answer decides."""
        content = self.proto.content
        return Approval.from_proto(content.approval) if content.HasField("approval") else None

    @property
    def votes(self) -> tuple[Vote, ...]:
        """The votes on a prompt with an approval, oldest first; one of each person at most."""
        return votes_of(self.proto.votes)

    @property
    def vote_counts(self) -> tuple[VoteCount, ...]:
        """What the votes come to, by outcome, in the order of its first vote."""
        shared = self.proto.content.approval.shared
        return tuple(VoteCount.from_proto(count, shared=shared) for count in self.proto.vote_counts)

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """Where fewer people than the approval needs were known when the prompt was asked."""
        return tuple(map(Shortfall.from_proto, self.proto.shortfalls))

    @property
    def delegations(self) -> tuple[Delegation, ...]:
        """Who may act in place of whom, oldest first; those that have ended are left out."""
        return tuple(map(Delegation.from_proto, self.proto.delegations))

    @property
    def routed(self) -> bool:
        """Whether rules have routed it: other people, more of them, more urgently, or for less time."""
        return self.proto.routed

    @property
    def delegation_policy(self) -> DelegationPolicy | None:
        """To whom people may delegate it; None: to anyone."""
        content = self.proto.content
        return DelegationPolicy.from_proto(content.delegation) if content.HasField("delegation") else None

    def delegated_to(self, user: str, groups: Iterable[str] = ()) -> Delegation | None:
        """The delegation by which this person may answer; None if it needs none, or may not answer."""
        found = find_delegation(self.proto, user, groups)
        return None if found is None else Delegation.from_proto(found)

    @property
    def created_at(self) -> datetime | None:
        """The time at which the question was asked."""
        return moment(self.proto, "create_time")

    @property
    def expires_at(self) -> datetime | None:
        """The deadline; None: there is none."""
        return moment(self.proto, "expire_time")

    @property
    def escalation_step(self) -> int:
        """The number of escalation steps taken so far."""
        return self.proto.escalation_step

    @property
    def escalates_at(self) -> datetime | None:
        """The time of the next escalation step; None: there is none."""
        return moment(self.proto, "next_escalation_time")

    @property
    def remind_count(self) -> int:
        """The number of reminders so far. Notify people again when it increases."""
        return self.proto.remind_count

    @property
    def resolution(self) -> Resolution | None:
        """The resolution; None while the prompt is open."""
        return Resolution.from_proto(self.proto.resolution) if self.proto.HasField("resolution") else None

    @property
    def answered(self) -> AnswerInfo | None:
        """The winning answer, if there is one."""
        resolution = self.resolution
        return resolution.answer if resolution else None


@dataclass(frozen=True, slots=True, repr=False)
class AnswerOutcome:
    """The outcome of an answer: ACCEPTED, or RECORDED (stored; the prompt stays open). `replayed` is true if
    the same answer had been accepted before."""

    status: AnswerStatus
    answer_id: str
    prompt: PromptInfo
    replayed: bool
    __repr__ = brief.repr_of_outcome

    @classmethod
    def from_proto(cls, result: hitl.AnswerResult) -> AnswerOutcome:
        """The outcome that a message describes."""
        status = member_of(AnswerStatus, pb.AnswerStatus, "ANSWER_STATUS_", result.status)
        return cls(status, result.answer_id, PromptInfo(result.prompt), result.replayed)
