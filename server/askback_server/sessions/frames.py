"""Frames as the session cores see them: a ref and a body.

A call carries the request message of its unary twin, and its reply what the twin would reply. Only the
transport looks into them. Frames of one stream only are in `converse_frames` and `work_frames`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from askback_server.domain.errors import AskbackError
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
    """A message of the contract. Sessions only measure it."""

    def ByteSize(self) -> int:
        """Its size in bytes."""


Response: TypeAlias = AnswerResult | Job | Prompt | PromptAsked | JobVersion | Message
"""The reply to a call: the reply of the command, or the response message of a read."""


@dataclass(frozen=True, slots=True)
class Call:
    """A frame that carries a unary twin's request."""

    name: str
    request: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of the call: opaque here, too."""

    name: str
    response: Response


@dataclass(frozen=True, slots=True)
class Refused:
    """A frame was refused; the stream goes on."""

    error: AskbackError


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life, with what it carries."""

    resume_token: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Goodbye:
    """An orderly end."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """Open another stream, then leave this one within `after` seconds."""

    reason: str
    after: float


@dataclass(frozen=True, slots=True)
class Credit:
    """So many more prompts may be pushed."""

    prompts: int


# What a view of prompts is told.


@dataclass(frozen=True, slots=True)
class Upserted:
    """The prompt is open and looks like this now."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Closed:
    """The prompt is closed."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Removed:
    """The prompt left the view and is still open."""

    prompt_id: str
    version: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that matched has been sent."""

    resume_token: str
    open_prompts: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Forget what you have: a snapshot follows."""

    reason: str
    history_lost: bool = False
    """Forget too what was closed: the database was restored, and may have re-opened it."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Nothing changed; a newer position."""

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


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """A frame of the client. `ref` 0 wants no reply."""

    ref: int
    body: ClientBody


@dataclass(frozen=True, slots=True)
class ServerFrame:
    """A frame of the server. `ref` 0 is pushed."""

    ref: int
    body: ServerBody
