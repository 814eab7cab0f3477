"""Decides when to retry a call, and which errors are final."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from askback._wire.backoff import Backoff
from askback.errors import AskbackError, Unimplemented

MAX_UNIMPLEMENTED = 3
"""UNIMPLEMENTED errors in a row that make it final: one of several replicas may be older than the others."""
_UNKNOWN_PAUSES = (1.0, 4.0)
"""Seconds between those attempts if the method worked before: then the network is the likely cause."""


@dataclass(slots=True)
class Retries:
    """The retries of one method at one server.

    `is_final` decides which errors are final; UNIMPLEMENTED is final after `MAX_UNIMPLEMENTED` in a row.
    """

    method: str
    is_final: Callable[[AskbackError], bool]
    backoff: Backoff = field(default_factory=Backoff)
    known: bool = False
    """Whether the method has worked before."""
    _unknown: int = 0

    def pause(self, error: AskbackError, *, elsewhere: bool = False) -> float:
        """The seconds to wait before the next attempt, with full jitter. Raises the error if it is final.

        `elsewhere`: the next attempt may reach another replica, so ignore the wait that this one requested.
        """
        at_least = 0.0 if elsewhere else error.retry_after or 0.0
        if isinstance(error, Unimplemented):
            self._unknown += 1
            if self._unknown >= MAX_UNIMPLEMENTED:
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

    def reset(self) -> None:
        """Note a success: reset the backoff."""
        self.known = True
        self._unknown = 0
        self.backoff.reset()
