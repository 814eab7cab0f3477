"""The checks of `askback doctor`: of this installation, a server, a database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the report: the name of the check, its result, and what to do about it."""

    check: str
    level: Level
    message: str
    todo: str = ""


def ok(check: str, message: str) -> Finding:
    """A finding without a problem."""
    return Finding(check, Level.OK, message)


def warn(check: str, message: str, todo: str) -> Finding:
    """A finding that works now but can cause trouble."""
    return Finding(check, Level.WARN, message, todo)


def fail(check: str, message: str, todo: str) -> Finding:
    """A finding that does not work."""
    return Finding(check, Level.FAIL, message, todo)
