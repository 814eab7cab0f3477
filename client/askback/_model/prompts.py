"""Prompts and their answers as a program sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from askback._model import brief
from askback._model.enums import AnswerStatus, DecisionKind, PromptState, named
from askback._model.json_text import loads
from askback._model.times import moment
from askback._model.violations import Violation
from askback.v1 import prompt_pb2 as pb

if TYPE_CHECKING:
    from askback.v1 import hitl_service_pb2 as hitl


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """Something to look at beside the prompt's body: a preview, a diff, a report.

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


@dataclass(frozen=True, slots=True)
class Option:
    """A decision that a prompt offers; an empty label means the server's."""

    decision: DecisionKind
    label: str = ""
    comment_required: bool = False

    def to_proto(self) -> pb.DecisionOption:
        """The contract's message."""
        return pb.DecisionOption(
            decision=pb.Decision.Value(f"DECISION_{self.decision}"),
            label=self.label,
            comment_required=self.comment_required,
        )


@dataclass(frozen=True, slots=True, repr=False)
class AnswerInfo:
    """What a person (or the default of a deadline, then `by_default`) decided.

    `values` is None where `values_json` is no JSON: an answer that was refused for it.
    """

    answer_id: str
    decision: DecisionKind
    values: Any
    edits: dict[str, str]
    comment: str
    by: str
    at: datetime | None
    revision: int
    by_default: bool
    values_json: str = ""
    violations: tuple[Violation, ...] = ()
    """Why it was refused, of a submission that `Client.answers` lists."""
    __repr__ = brief.repr_of_answer

    @classmethod
    def from_proto(cls, answer: pb.Answer) -> AnswerInfo:
        """The answer that a message describes."""
        return cls(
            answer.answer_id,
            named(DecisionKind, pb.Decision, "DECISION_", answer.decision),
            _values(answer.values_json),
            {edit.content_id: edit.text for edit in answer.edits},
            answer.comment,
            answer.user_id,
            moment(answer, "create_time"),
            answer.revision,
            answer.source == pb.ANSWER_SOURCE_TIMEOUT_DEFAULT,
            answer.values_json,
        )


def _values(text: str) -> Any:
    try:
        return loads(text) if text else None
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True, repr=False)
class Resolution:
    """How a prompt ended. There is exactly one, the same for every reader."""

    state: PromptState
    answer: AnswerInfo | None
    actor: str
    reason: str
    at: datetime | None
    __repr__ = brief.repr_of_resolution

    @classmethod
    def from_proto(cls, resolution: pb.Resolution) -> Resolution:
        """The resolution that a message describes."""
        return cls(
            named(PromptState, pb.PromptState, "PROMPT_STATE_", resolution.state),
            AnswerInfo.from_proto(resolution.answer) if resolution.HasField("answer") else None,
            resolution.actor,
            resolution.reason,
            moment(resolution, "time"),
        )


class PromptInfo:
    """A prompt as it was when it was read. `proto` is the contract's message with everything."""

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
        """The job that asks."""
        return self.proto.job_id

    @property
    def job_type(self) -> str:
        """The job's type."""
        return self.proto.job_type

    @property
    def requested_by(self) -> str:
        """The creator of the job that asks: on whose behalf you are asked."""
        return self.proto.requested_by

    @property
    def key(self) -> str:
        """The asker's own name of the prompt."""
        return self.proto.key

    @property
    def kind(self) -> str:
        """`clarify`, `confirm`, `preview`, `validate`, or another."""
        return self.proto.content.kind

    @property
    def title(self) -> str:
        """The question, one line."""
        return self.proto.content.title

    @property
    def body(self) -> str:
        """More about it, Markdown."""
        return self.proto.content.body

    @property
    def contents(self) -> tuple[Content, ...]:
        """What there is to look at."""
        return tuple(Content.from_proto(part) for part in self.proto.content.contents)

    @property
    def questions(self) -> Sequence[pb.Question]:
        """The form's questions; empty if it has none or is given by a schema."""
        return self.proto.content.questions.questions

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema that the values must satisfy; None if there is no form."""
        content = self.proto.content
        text = content.schema_json or content.derived_schema_json
        return loads(text) if text else None

    @property
    def decisions(self) -> tuple[Option, ...]:
        """What may be decided."""
        return tuple(
            Option(
                named(DecisionKind, pb.Decision, "DECISION_", option.decision),
                option.label,
                option.comment_required,
            )
            for option in self.proto.content.decisions
        )

    @property
    def labels(self) -> dict[str, str]:
        """Free marks."""
        return dict(self.proto.content.labels)

    @property
    def priority(self) -> int:
        """Higher is shown first."""
        return self.proto.content.priority

    @property
    def blocking(self) -> bool:
        """Whether the job waits for it; if not, it goes on meanwhile."""
        return self.proto.content.blocking

    @property
    def metadata(self) -> Any:
        """What the asker gave along for programs, parsed; None if nothing."""
        text = self.proto.content.metadata_json
        return loads(text) if text else None

    @property
    def unattended_since(self) -> datetime | None:
        """Since when no person who may answer has a console open; None if one has. A hint to escalate:
        it may be some seconds late."""
        return moment(self.proto, "unattended_time")

    @property
    def revision(self) -> int:
        """What was on the screen: goes with the answer."""
        return self.proto.revision

    @property
    def version(self) -> int:
        """Rises on every change."""
        return self.proto.version

    @property
    def state(self) -> PromptState:
        """Where the prompt is in its life."""
        return named(PromptState, pb.PromptState, "PROMPT_STATE_", self.proto.state)

    @property
    def is_open(self) -> bool:
        """Whether it could be answered when it was read."""
        return self.state is PromptState.PENDING

    @property
    def claimed_by(self) -> str:
        """The person who has claimed it; empty if it is not claimed."""
        return self.proto.claimed_by

    @property
    def created_at(self) -> datetime | None:
        """When it was asked."""
        return moment(self.proto, "create_time")

    @property
    def expires_at(self) -> datetime | None:
        """When its time runs out; None: never."""
        return moment(self.proto, "expire_time")

    @property
    def escalation_step(self) -> int:
        """How many steps of its escalation have been taken."""
        return self.proto.escalation_step

    @property
    def escalates_at(self) -> datetime | None:
        """When the next step is taken; None: there is none."""
        return moment(self.proto, "next_escalation_time")

    @property
    def remind_count(self) -> int:
        """How many reminders were sent. Notify people again when it rises."""
        return self.proto.remind_count

    @property
    def resolution(self) -> Resolution | None:
        """How it ended; None while it is open."""
        return Resolution.from_proto(self.proto.resolution) if self.proto.HasField("resolution") else None

    @property
    def answered(self) -> AnswerInfo | None:
        """The answer that won, if one did."""
        resolution = self.resolution
        return resolution.answer if resolution else None


@dataclass(frozen=True, slots=True, repr=False)
class AnswerOutcome:
    """An answer that was taken: ACCEPTED, or RECORDED (kept, the prompt stays open). `replayed` says that the
    same answer had been taken before."""

    status: AnswerStatus
    answer_id: str
    prompt: PromptInfo
    replayed: bool
    __repr__ = brief.repr_of_outcome

    @classmethod
    def from_proto(cls, result: hitl.AnswerResult) -> AnswerOutcome:
        """The outcome that a message describes."""
        status = named(AnswerStatus, pb.AnswerStatus, "ANSWER_STATUS_", result.status)
        return cls(status, result.answer_id, PromptInfo(result.prompt), result.replayed)
