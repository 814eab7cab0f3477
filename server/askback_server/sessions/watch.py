"""A server-streaming call that follows something for as long as its caller likes."""

from __future__ import annotations

from askback_server.domain.errors import Draining
from askback_server.sessions.small_event import SmallEvent


class Watch:
    """The caller waits for `changed` and then calls `check`, which ends the call during a drain."""

    busy = False

    def __init__(self) -> None:
        self.changed = SmallEvent()
        self._dismissed = False

    def go_away(self, reason: str, after: float) -> None:
        """End the call: it has no frame to ask with, and its caller resumes from its token without loss."""
        self.dismiss()

    def dismiss(self) -> None:
        """End the call at its next `check`."""
        self._dismissed = True
        self.changed.set()

    def check(self) -> None:
        """Raise Draining after `dismiss`."""
        if self._dismissed:
            raise Draining("the server wants this call to move; open it again from where you are")
