"""Times, deadlines and ends of prompts in words."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from askback._console.desk import Closing
from askback._model.enums import DecisionKind, FinalAction, PromptState, named
from askback._model.prompts import PromptInfo, Resolution
from askback._text.spans import span_words, when
from askback.v1 import prompt_pb2 as pb


def now() -> datetime:
    """This machine's time, aware."""
    return datetime.now(UTC)


def age(prompt: PromptInfo, at: datetime) -> str:
    """How long ago it was asked."""
    return span_words(at - prompt.created_at) if prompt.created_at else "?"


def left(prompt: PromptInfo, at: datetime) -> str:
    """How much time is left; `-` if it waits for ever."""
    if prompt.expires_at is None:
        return "-"
    return span_words(prompt.expires_at - at) if prompt.expires_at > at else "over"


def instant(stamp: Timestamp) -> datetime:
    """A timestamp as an aware datetime."""
    return stamp.ToDatetime(tzinfo=UTC)


def claim(prompt: PromptInfo, at: datetime) -> str:
    """The person who has claimed it; empty without a claim or after it has expired."""
    proto = prompt.proto
    if proto.claimed_by and proto.HasField("claim_expire_time"):
        return proto.claimed_by if instant(proto.claim_expire_time) > at else ""
    return proto.claimed_by


def deadline(prompt: PromptInfo, at: datetime, *, exact: bool = False) -> str:
    """When the time runs out, and what happens then."""
    if prompt.expires_at is None:
        return "none: it waits until it is answered"
    content = prompt.proto.content
    action = named(FinalAction, pb.FinalAction, "FINAL_ACTION_", content.final_action)
    if action is FinalAction.DEFAULT:
        default = content.default_answer
        what = named(DecisionKind, pb.Decision, "DECISION_", default.decision)
        then = f"then the default is taken: {what} {default.values_json}".rstrip()
    elif action is FinalAction.FAIL_JOB:
        then = "then the job fails"
    else:
        then = "then it expires unanswered"
    time = when(prompt.expires_at, at, exact=exact)
    return f"{time}, {then}" if prompt.expires_at > at else f"passed {time}"


def escalation(prompt: PromptInfo, at: datetime, *, exact: bool = False) -> str:
    """How far it has come, and when others are asked next; empty if it has none."""
    steps = len(prompt.proto.content.escalation)
    if not steps:
        return ""
    taken = f"step {prompt.escalation_step} of {steps} is taken"
    if prompt.escalates_at is None:
        return taken
    return f"{taken}, the next {when(prompt.escalates_at, at, exact=exact)}"


def ending(resolution: Resolution | None, at: datetime, *, exact: bool = False) -> str:
    """How a prompt ended: `answered by bob 3 s ago (18:05 CET): ACCEPT`."""
    if resolution is None:
        return "closed"
    ago = f" {when(resolution.at, at, exact=exact)}" if resolution.at else ""
    answer = resolution.answer
    if resolution.state is PromptState.ANSWERED and answer:
        who = "by its deadline's default" if answer.by_default else f"by {answer.by or resolution.actor}"
        return f"answered {who}{ago}: {answer.decision}"
    reason = f": {resolution.reason}" if resolution.reason else ""
    if resolution.state is PromptState.EXPIRED:
        return f"expired unanswered{ago}{reason}"
    return f"{resolution.state.lower()} by {resolution.actor or 'its asker'}{ago}{reason}"


def leaving(closing: Closing, at: datetime) -> str:
    """Why a prompt left the view."""
    if closing.why == "closed":
        return ending(closing.resolution, at)
    if closing.why == "removed":
        return "not for you any more; it is still open"
    return "closed while the connection was away"
