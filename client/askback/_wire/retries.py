"""When to try a call again, and when its error is final."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from askback._wire.backoff import Backoff
from askback.errors import AskbackError, Unimplemented

UNKNOWN_TRIES = 3
"""So many times in a row a method may be unknown: one of several replicas may be older than the others."""
_UNKNOWN_PAUSES = (1.0, 4.0)
"""Seconds between them where the method was known before: then the network is the likely cause."""


@dataclass(slots=True)
class Retries:
    """The tries of one method at one server, in a row.

    `is_final` says which errors end them; an unknown method ends them after UNKNOWN_TRIES.
    """

    method: str
    is_final: Callable[[AskbackError], bool]
    backoff: Backoff = field(default_factory=Backoff)
    known: bool = False
    """Whether the server has answered this method before."""
    _unknown: int = 0

    def pause(self, error: AskbackError, *, elsewhere: bool = False) -> float:
        """Seconds to wait before the next try, with full jitter. Raises the error if it is final.

        `elsewhere`: the next try may meet another replica, and need not wait for what this one asks for.
        """
        at_least = 0.0 if elsewhere else error.retry_after or 0.0
        if isinstance(error, Unimplemented):
            self._unknown += 1
            if self._unknown >= UNKNOWN_TRIES:
                raise Unimplemented(
                    f"this server does not know {self.method}; is it older, or not an Askback?",
                    code=error.code,
                    reason=error.reason,
                )
            if self.known:
                at_least = _UNKNOWN_PAUSES[self._unknown - 1]
        elif self.is_final(error):
            raise error
        return self.backoff.next(at_least)

    def worked(self) -> None:
        """There was an answer: the next failure is a first one."""
        self.known = True
        self._unknown = 0
        self.backoff.reset()
