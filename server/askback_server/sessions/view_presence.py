"""Whether the viewer of a console's stream counts as present: only while the console sends frames."""

from __future__ import annotations

from collections.abc import Callable

from askback_server.engine.presence import PresenceTracker
from askback_server.ports.queries import PromptFilter

MAX_SILENT_BEATS = 3
"""Heartbeats of the server without a frame of the console after which its viewer is no longer present."""


class ViewPresence:
    """Enters a view at the tracker, and leaves it while the console is silent."""

    __slots__ = ("_leave", "_silent", "_tracker", "_view")

    def __init__(self, tracker: PresenceTracker) -> None:
        self._tracker = tracker
        self._view: PromptFilter | None = None
        self._leave: Callable[[], None] | None = None
        self._silent = 0

    def show(self, view: PromptFilter) -> None:
        """The console shows this view from now on."""
        self.close()
        self._view = view
        if self._silent < MAX_SILENT_BEATS:
            self._leave = self._tracker.enter(view)

    def note_frame(self) -> None:
        """The console has sent a frame."""
        self._silent = 0
        if self._view is not None and self._leave is None:
            self._leave = self._tracker.enter(self._view)

    def note_beat(self) -> None:
        """The server sends a heartbeat."""
        self._silent += 1
        if self._silent >= MAX_SILENT_BEATS and self._leave is not None:
            self._leave()
            self._leave = None

    def close(self) -> None:
        """The console shows nothing any more."""
        if self._leave is not None:
            self._leave()
        self._leave = self._view = None
