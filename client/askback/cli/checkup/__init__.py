"""What `askback doctor` looks at: this installation, a server, a database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, what was found, and what to do about it."""

    check: str
    level: Level
    message: str
    todo: str = ""


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def warn(check: str, message: str, todo: str) -> Finding:
    """It works, and could hurt."""
    return Finding(check, Level.WARN, message, todo)


def fail(check: str, message: str, todo: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.FAIL, message, todo)
