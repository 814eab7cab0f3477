"""Drives a ConverseCore: runs its calls, feeds its view, paces its heartbeats."""

from __future__ import annotations

from collections.abc import Callable

from askback_server.domain.principals import Principal, Role
from askback_server.ports.clock import uuid7
from askback_server.sessions.access import Access
from askback_server.sessions.converse_core import ConverseCore
from askback_server.sessions.converse_frames import ConverseHello, ConverseWelcome
from askback_server.sessions.frames import Call, ClientFrame, Goodbye, Heartbeat, ServerFrame
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.stream_session import TAKE, ErrorMapper, Handler, StreamDeps, StreamSession


class ConverseSession(StreamSession):
    """One console's stream."""

    def __init__(
        self, deps: StreamDeps, access: Access, handler: Handler, to_caller_error: ErrorMapper
    ) -> None:
        self._deps = deps
        self._core = ConverseCore(deps.limits, deps.heartbeat)
        super().__init__(self._core.stream, deps, access, handler, to_caller_error)
        access.follow(self._access_changed, access.principal)
        self._follower: PromptFollower | None = None
        self._left: Callable[[], None] = lambda: None
        self.session_id = uuid7()

    def receive(self, frame: ClientFrame) -> None:
        """Take a frame. Raises BadHello, InvalidField, which end the stream."""
        todo = self._core.receive(frame)
        if isinstance(todo, ConverseHello):
            self._welcome(frame.ref)
            self._spawn(self._follow(todo))
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

    async def _follow(self, hello: ConverseHello) -> None:
        deps, view = self._deps, self._core.view
        assert view is not None
        self._follower = PromptFollower(
            view,
            deps.feed,
            deps.log,
            deps.jobs,
            deps.tokens,
            deps.admission,
            deps.images,
            self._account,
            self._changed,
        )
        self._follower.attach()
        self._left = deps.presence.enter(view.filter)
        await self._follower.follow(hello.resume_token)

    def _access_changed(self, principal: Principal) -> None:
        """Show what the principal may see now. Raises PermissionDenied if that is nothing."""
        principal.require(Role.CONSOLE)
        view = self._core.view
        if view is None or self._follower is None:
            return
        filter = view.filter.seen_by(principal)
        self._left()
        self._left = self._deps.presence.enter(filter)
        self._follower.look_through(filter)
        self._changed.set()

    def _take(self) -> list[ServerFrame]:
        if self._follower is not None:
            self._follower.written()
        if self._core.stream.beat_due(self._deps.clock.monotonic()):
            told = self._core.view is not None and self._core.view.caught_up
            self._core.stream.push(Heartbeat(self._token if told else "", self._deps.clock.now()))
        if not self._core.has_news:
            return []
        return self._core.take(TAKE, self._token)

    @property
    def _token(self) -> str:
        return self._follower.token if self._follower is not None else ""

    def close(self) -> None:
        """Let go of everything."""
        self._left()
        if self._follower is not None:
            self._follower.detach()
        super().close()
