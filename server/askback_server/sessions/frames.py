"""Frames as the session cores see them: a ref and a body.

A call carries the request message of its unary twin, and its reply the twin's reply. Only the transport looks
into them. Frames of one stream only are in `converse_frames` and `work_frames`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from askback_server.domain.errors import AskbackError
from askback_server.domain.evolve import fast_init
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import AnswerResult, Prompt
from askback_server.domain.replies import JobVersion, PromptAsked
from askback_server.sessions.converse_frames import ConverseHello, ConverseWelcome
from askback_server.sessions.work_frames import (
    CancelRequested,
    Capacity,
    HeldLeases,
    JobLeased,
    LeaseLostFrame,
    LeasesWanted,
    PromptResolved,
    WorkHeartbeat,
    WorkHello,
    WorkWelcome,
)


class Message(Protocol):
    """A protobuf message of the contract. Sessions only measure it."""

    def ByteSize(self) -> int:
        """Its size in bytes."""


Response: TypeAlias = AnswerResult | Job | Prompt | PromptAsked | JobVersion | Message
"""The reply to a call: the reply of the command, or the response message of a read."""


@fast_init
@dataclass(frozen=True, slots=True)
class Call:
    """A frame with the request of a unary RPC."""

    name: str
    request: Message


@fast_init
@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a call."""

    name: str
    response: Response


@dataclass(frozen=True, slots=True)
class Refused:
    """A frame was refused; the stream goes on."""

    error: AskbackError


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat. From the server to a console it carries a resume token and the time."""

    resume_token: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The client ends the stream in order."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """The client must open another stream and leave this one within `after` seconds."""

    reason: str
    after: float


@dataclass(frozen=True, slots=True)
class Credit:
    """Permission to push further prompts."""

    prompts: int


# Events of a view of prompts.


@fast_init
@dataclass(frozen=True, slots=True)
class Upserted:
    """The prompt is open and matches the view: new, or changed."""

    prompt: Prompt


@fast_init
@dataclass(frozen=True, slots=True)
class Closed:
    """The prompt is closed."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Removed:
    """The prompt left the view, and is open or deleted."""

    prompt_id: str
    version: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All prompts that matched have been sent."""

    resume_token: str
    open_prompts: int
    """-1 if it is unknown."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The console must discard its prompts: a snapshot follows."""

    reason: str
    history_lost: bool = False
    """Discard closed prompts too: the database was restored, and may have reopened them."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A newer resume token, without a change."""

    resume_token: str


PromptEvent = Upserted | Closed | Removed | CaughtUp | Reset | Bookmark

ClientBody: TypeAlias = (
    ConverseHello | WorkHello | Call | Goodbye | Heartbeat | Credit | Capacity | WorkHeartbeat | HeldLeases
)

ServerBody: TypeAlias = (
    ConverseWelcome
    | WorkWelcome
    | Reply
    | Refused
    | Heartbeat
    | GoAway
    | PromptEvent
    | JobLeased
    | PromptResolved
    | CancelRequested
    | LeaseLostFrame
    | LeasesWanted
)


@fast_init
@dataclass(frozen=True, slots=True)
class ClientFrame:
    """A frame of the client. `ref` 0 wants no reply."""

    ref: int
    body: ClientBody


@fast_init
@dataclass(frozen=True, slots=True)
class ServerFrame:
    """A frame of the server. `ref` 0 is pushed."""

    ref: int
    body: ServerBody
    size: int
    """About how many bytes of memory it takes (`body_size`)."""
