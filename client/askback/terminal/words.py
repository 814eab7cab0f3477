"""Times, deadlines and ends of prompts in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from askback._console.console_view import Closing
from askback._model.enums import DecisionKind, FinalAction, PromptState, member_of
from askback._model.prompts import PromptInfo
from askback._model.resolutions import Resolution
from askback._text.spans import span_words, when
from askback._text.text import one_line
from askback.terminal.author_words import answer_author
from askback.v1 import prompt_pb2 as pb


def now() -> datetime:
    """The time of this machine's clock, in UTC."""
    return datetime.now(UTC)


def time_left(prompt: PromptInfo, at: datetime) -> str:
    """The time left to answer; `-` without a deadline, `over` after it."""
    if prompt.expires_at is None:
        return "-"
    return span_words(prompt.expires_at - at) if prompt.expires_at > at else "over"


def instant(stamp: Timestamp) -> datetime:
    """A timestamp as a datetime in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def claim(prompt: PromptInfo, at: datetime) -> str:
    """The person who has claimed the prompt; empty without a claim or after the claim has expired."""
    proto = prompt.proto
    if proto.claimed_by and proto.HasField("claim_expire_time"):
        return proto.claimed_by if instant(proto.claim_expire_time) > at else ""
    return proto.claimed_by


def deadline(prompt: PromptInfo, at: datetime, *, exact: bool = False) -> str:
    """The deadline, and what happens when it passes."""
    if prompt.expires_at is None:
        return "none: it waits until it is answered"
    content = prompt.proto.content
    action = member_of(FinalAction, pb.FinalAction, "FINAL_ACTION_", content.final_action)
    if action is FinalAction.DEFAULT:
        default = content.default_answer
        what = member_of(DecisionKind, pb.Decision, "DECISION_", default.decision)
        then = f"then the default is taken: {what} {default.values_json}".rstrip()
    elif action is FinalAction.FAIL_JOB:
        then = "then the job fails"
    else:
        then = "then it expires unanswered"
    time = when(prompt.expires_at, at, exact=exact)
    return f"{time}, {then}" if prompt.expires_at > at else f"passed {time}"


def escalation(prompt: PromptInfo, at: datetime, *, exact: bool = False) -> str:
    """The escalation step that was taken last, and the time of the next; empty without an escalation."""
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
        return f"answered by {answer_author(answer, resolution.actor)}{ago}: {answer.decision}"
    reason = f": {resolution.reason}" if resolution.reason else ""
    if resolution.state is PromptState.EXPIRED:
        return f"expired unanswered{ago}{reason}"
    return f"{resolution.state.lower()} by {resolution.actor or 'its asker'}{ago}{reason}"


def closing_words(closing: Closing, at: datetime) -> str:
    """Why a prompt left the console's view."""
    if closing.why == "closed":
        return ending(closing.resolution, at)
    if closing.why == "removed":
        return "not for you any more; it is still open"
    return "closed while the connection was away"


def names_words(users: Iterable[str], groups: Iterable[str]) -> str:
    """Users and groups in words: `user ana, group release`; empty for none."""
    named = [f"user {one_line(name)}" for name in users] + [f"group {one_line(name)}" for name in groups]
    return ", ".join(named)
