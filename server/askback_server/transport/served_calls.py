"""Limits how many unary calls are served at once: in all, and per principal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from askback_server.domain.errors import LimitExceeded
from askback_server.domain.limits import Limits

_RESERVED = frozenset(
    {
        "/askback.v1.HitlService/AnswerPrompt",
        "/askback.v1.WorkerService/AcknowledgePrompts",
        "/askback.v1.WorkerService/CompleteJob",
        "/askback.v1.WorkerService/ExtendLease",
        "/askback.v1.WorkerService/FailJob",
        "/askback.v1.WorkerService/ReleaseJob",
        "/askback.v1.WorkerService/SaveCheckpoint",
    }
)
"""Calls that are never rejected: a person's answer, and calls that extend or end a lease."""


class ServedCalls:
    """Counts the unary calls that are being served."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all = 0
        self._of: Counter[str] = Counter()
        """By subject."""

    def check(self, method: str, subject: str) -> None:
        """Raise LimitExceeded if a call of this method would exceed a limit."""
        if method in _RESERVED:
            return
        limits = self._limits
        if self._all >= limits.calls:
            text, name = "this replica serves as many calls as it can", "calls"
        elif self._of[subject] >= limits.calls_per_principal:
            text, name = "you have as many calls at once as one principal may", "calls_per_principal"
        else:
            return
        value = getattr(limits, name)
        raise LimitExceeded(f"{text}; send it again a little later", limit=name, value=value, retry_after=0.5)

    @contextmanager
    def serving(self, subject: str) -> Iterator[None]:
        """Count a call of this subject while it is served."""
        self._all += 1
        self._of[subject] += 1
        try:
            yield
        finally:
            self._all -= 1
            self._of[subject] -= 1
            if not self._of[subject]:
                del self._of[subject]
