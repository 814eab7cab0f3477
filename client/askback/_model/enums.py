"""The contract's enumerations as words."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper


class DecisionKind(StrEnum):
    """A person's decision. Only ACCEPT and EDIT authorise."""

    ACCEPT = "ACCEPT"
    EDIT = "EDIT"
    RESPOND = "RESPOND"
    REVISE = "REVISE"
    REJECT = "REJECT"
    DISMISS = "DISMISS"
    UNSPECIFIED = "UNSPECIFIED"


class JobState(StrEnum):
    """The state of a job."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PENDING_HITL = "PENDING_HITL"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    UNSPECIFIED = "UNSPECIFIED"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)

    @property
    def is_waiting(self) -> bool:
        """Whether the job waits for people."""
        return self is JobState.PENDING_HITL


class Keep(StrEnum):
    """What a retry keeps of the job that it repeats: answers and checkpoints, or neither."""

    ALL = "ALL"
    NOTHING = "NOTHING"


class PromptState(StrEnum):
    """The state of a prompt. All but PENDING are final."""

    PENDING = "PENDING"
    ANSWERED = "ANSWERED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"
    UNSPECIFIED = "UNSPECIFIED"


class PromptOrder(StrEnum):
    """The order of a list of prompts: open ones by priority, deadline and age, or closed ones by the time of
    their end, the latest first."""

    URGENCY = "URGENCY"
    CLOSE_TIME = "CLOSE_TIME"


class AnswerStatus(StrEnum):
    """The outcome of a submitted answer."""

    ACCEPTED = "ACCEPTED"
    RECORDED = "RECORDED"
    CLOSED = "CLOSED"
    STALE = "STALE"
    INVALID = "INVALID"
    UNSPECIFIED = "UNSPECIFIED"


class AnswerSource(StrEnum):
    """Who gave an answer. OVERRIDE: an admin, for whom exclusion and approval did not apply. RULE: a rule, in
    the name of its author."""

    HUMAN = "HUMAN"
    TIMEOUT_DEFAULT = "TIMEOUT_DEFAULT"
    TEST = "TEST"
    OVERRIDE = "OVERRIDE"
    RULE = "RULE"
    UNSPECIFIED = "UNSPECIFIED"


class Authentication(StrEnum):
    """How the server authenticates callers. NONE: it trusts the name that they give, on loopback only."""

    TOKEN = "TOKEN"  # noqa: S105 - the name of a method
    CERTIFICATE = "CERTIFICATE"
    NONE = "NONE"
    UNSPECIFIED = "UNSPECIFIED"


class MembershipSource(StrEnum):
    """Who says that a person is in a group: its credentials, or an admin."""

    CREDENTIALS = "CREDENTIALS"
    ADMIN = "ADMIN"
    UNSPECIFIED = "UNSPECIFIED"


class DelegationCause(StrEnum):
    """Why a right was delegated: its giver has done it, or is away."""

    PERSON = "PERSON"
    ABSENCE = "ABSENCE"
    UNSPECIFIED = "UNSPECIFIED"


class DelegationScope(StrEnum):
    """To whom people may delegate a question: to anyone, within its audience, to those that the asker lists,
    or to no one."""

    ANYONE = "ANYONE"
    AUDIENCE = "AUDIENCE"
    LISTED = "LISTED"
    NO_ONE = "NO_ONE"
    UNSPECIFIED = "UNSPECIFIED"


class FinalAction(StrEnum):
    """The effect of an expired deadline."""

    EXPIRE = "EXPIRE"
    DEFAULT = "DEFAULT"
    FAIL_JOB = "FAIL_JOB"
    UNSPECIFIED = "UNSPECIFIED"


_E = TypeVar("_E", bound=StrEnum)


def word(enum: _EnumTypeWrapper[Any], prefix: str, number: int) -> str:
    """The name of a value without its prefix; UNSPECIFIED for a value of a newer server."""
    try:
        return enum.Name(number).removeprefix(prefix)
    except ValueError:
        return "UNSPECIFIED"


def member_of(cls: type[_E], enum: _EnumTypeWrapper[Any], prefix: str, number: int) -> _E:
    """The member of `cls` for a value of the contract; UNSPECIFIED for one of a newer server."""
    name = word(enum, prefix, number)
    return cls(name if name in cls.__members__ else "UNSPECIFIED")
