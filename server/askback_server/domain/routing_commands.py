"""Commands that change who may answer an open prompt, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from askback_server.domain.commands import OnPrompt, SystemCommand
from askback_server.domain.content import Audience, EscalationStep
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegatePrompt(OnPrompt[Prompt]):
    """Give the caller's right to answer to a person or a group: `user` or `group` is empty."""

    user: str = ""
    group: str = ""
    mode: DelegationMode
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnPrompt(OnPrompt[Prompt]):
    """End a delegation: the one to the caller, or the one that the caller made to this person or group."""

    user: str = ""
    group: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReroutePrompt(OnPrompt[Prompt]):
    """Change the routing of a prompt, by its asker or an admin. None leaves a part as it is."""

    audience: Audience | None = None
    priority: int | None = None
    timeout: timedelta | None = None
    """From now on."""
    deadline: datetime | None = None
    """In place of `timeout`."""
    escalation: tuple[EscalationStep, ...] | None = None
    """Counted from now on."""
    reason: str = ""

    @property
    def changes_nothing(self) -> bool:
        """Whether it names nothing to change."""
        parts = self.audience, self.priority, self.timeout, self.deadline, self.escalation
        return all(part is None for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewAbsences(SystemCommand[None]):
    """Sent when an absence has begun, has ended or was changed: the open prompts of a job may be affected."""

    URGENT = False
