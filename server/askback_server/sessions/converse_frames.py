"""The frames of the Converse stream, besides those of `frames`."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.ports.queries import PromptFilter


@dataclass(frozen=True, slots=True)
class ConverseHello:
    """The first frame of a console; `filter` is resolved against its principal."""

    filter: PromptFilter
    console_id: str = ""
    instance_id: str = ""
    credit: int = 0
    resume_token: str = ""


@dataclass(frozen=True, slots=True)
class ConverseWelcome:
    """The reply to the hello; intervals in seconds."""

    session_id: str
    heartbeat_interval: float
    max_in_flight: int
    max_message_bytes: int
    replica: str
    test_mode: bool = False
