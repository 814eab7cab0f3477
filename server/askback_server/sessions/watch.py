"""A call that follows something without a way back, for as long as its caller likes."""

from __future__ import annotations

import asyncio

from askback_server.domain.errors import Draining


class Watch:
    """`changed` is set when there may be something to tell; `check` then says whether to go on."""

    busy = False

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._dismissed = False

    def go_away(self, reason: str, after: float) -> None:
        """There is no frame to say it by, and nothing is lost: its caller goes on from its token."""
        self.dismiss()

    def dismiss(self) -> None:
        """End the call."""
        self._dismissed = True
        self.changed.set()

    def check(self) -> None:
        """Raise Draining once it is to end."""
        if self._dismissed:
            raise Draining("the server wants this call to move; open it again from where you are")
