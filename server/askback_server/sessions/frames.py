"""Frames as the session cores see them: a ref and a body.

Bodies of calls, and their replies, are opaque here: the transport gives and takes the unary twins'
own messages. What the protocols themselves speak of is below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from askback_server.domain.errors import AskbackError
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """What a client says. `ref` 0 wants no reply."""

    ref: int
    body: Any


@dataclass(frozen=True, slots=True)
class ServerFrame:
    """What the server says. `ref` 0 is pushed."""

    ref: int
    body: Any


@dataclass(frozen=True, slots=True)
class Call:
    """A frame that carries a unary twin's request."""

    name: str
    request: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of the call: opaque here, too."""

    name: str
    response: Any


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
