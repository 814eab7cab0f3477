"""Drives a `ConverseCore`: runs its calls, keeps its view up to date, sends heartbeats."""

from __future__ import annotations

import asyncio
from typing import Protocol

from askback_server.domain.principals import Principal, Role
from askback_server.engine.presence import PresenceTracker
from askback_server.ports.clock import uuid7
from askback_server.sessions.access import Access
from askback_server.sessions.converse_core import ConverseCore
from askback_server.sessions.converse_frames import ConverseHello, ConverseWelcome
from askback_server.sessions.frames import Call, ClientFrame, Goodbye, Heartbeat, ServerFrame
from askback_server.sessions.live_view import LiveView
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.stream_session import MAX_FRAMES, ErrorMapper, Handler, StreamDeps, StreamSession
from askback_server.sessions.view_presence import ViewPresence

WELCOME_SECONDS = 0.2
"""Seconds for which the welcome of a console that resumes waits for what it has missed, to be a message with
that: each message costs a tenth of a resume. A snapshot takes longer, so its welcome does not wait."""


class ConverseDeps(StreamDeps, Protocol):
    """What Converse needs of the replica."""

    presence: PresenceTracker


class ConverseSession(StreamSession):
    """A console's stream. Its view counts as presence of its viewer while the console sends frames: unlike a
    watch it takes answers."""

    def __init__(
        self, deps: ConverseDeps, access: Access, handler: Handler, to_caller_error: ErrorMapper
    ) -> None:
        self._deps = deps
        self._core = ConverseCore(deps.limits, deps.heartbeat)
        super().__init__(self._core.stream, deps, access, handler, to_caller_error)
        access.follow(self._change_access, access.principal)
        self._live: LiveView | None = None
        self._presence = ViewPresence(deps.presence)
        self.session_id = uuid7()

    def receive(self, frame: ClientFrame) -> None:
        """Take a frame. Raises BadHello, InvalidField, which end the stream."""
        todo = self._core.receive(frame)
        self._presence.note_frame()
        if isinstance(todo, ConverseHello):
            self._welcome(frame.ref)
            assert self._core.view is not None
            self._open_view(self._core.view, todo.resume_token)
            if todo.resume_token:
                asyncio.get_running_loop().call_later(WELCOME_SECONDS, self._changed.set)
                return
        elif isinstance(todo, Call):
            self._call(frame.ref, todo)
        elif isinstance(todo, Goodbye):
            self._ended = True
        self._changed.set()

    def _welcome(self, ref: int) -> None:
        deps = self._deps
        self._core.stream.push(
            ConverseWelcome(
                self.session_id,
                deps.heartbeat,
                deps.limits.in_flight,
                deps.max_message_bytes,
                deps.replica,
                deps.test_mode,
            ),
            ref,
        )

    def _open_view(self, view: PromptView, resume_token: str) -> None:
        self._live = LiveView(self._deps, view, self._account, self._changed)
        self._presence.show(view.filter)
        self._spawn(self._live.follow(resume_token))

    def _change_access(self, principal: Principal) -> None:
        """Show what the principal may see now. Raises PermissionDenied if it may see nothing."""
        principal.require(Role.CONSOLE)
        if self._live is not None:
            self._live.change_access(principal)
            self._presence.show(self._live.filter)

    def _take(self) -> list[ServerFrame]:
        if self._live is not None:
            self._live.note_written()
        if self._core.stream.beat_due(self._deps.clock.monotonic()):
            self._presence.note_beat()
            caught_up = self._core.view is not None and self._core.view.caught_up
            self._core.stream.push(Heartbeat(self._token() if caught_up else "", self._deps.clock.now()))
        if not self._core.has_news:
            return []
        return self._core.take(MAX_FRAMES, self._token)

    def _token(self) -> str:
        return self._live.token if self._live is not None else ""

    def close(self) -> None:
        """Release everything."""
        self._presence.close()
        if self._live is not None:
            self._live.close()
        super().close()
