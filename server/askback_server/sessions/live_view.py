"""A view of prompts that is kept up to date for one client: Converse and WatchPrompts share it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from askback_server.domain.principals import Principal, Role
from askback_server.engine.directory import Directory
from askback_server.feed.feed import Feed
from askback_server.feed.tokens import ResumeTokens
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import FeedStore, JobStore
from askback_server.sessions.admission import Admission
from askback_server.sessions.images import Images
from askback_server.sessions.memory_budget import Account
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.small_event import SmallEvent


class ViewDeps(Protocol):
    """What a view needs of the replica."""

    feed: Feed
    log: FeedStore
    jobs: JobStore
    tokens: ResumeTokens
    admission: Admission
    images: Images
    directory: Directory


class LiveView:
    """Follows the feed for a `PromptView`, until `close`.

    `changed` is set whenever the view may have news. What the view keeps is charged to `account`.
    """

    __slots__ = ("_changed", "_follower", "_view")

    def __init__(self, deps: ViewDeps, view: PromptView, account: Account, changed: SmallEvent) -> None:
        self._view = view
        self._changed = changed
        if view.filter.viewer is not None:
            deps.directory.note(view.filter.viewer, view.filter.namespace)
        self._follower = PromptFollower(
            view,
            deps.feed,
            deps.log,
            deps.jobs,
            deps.tokens,
            deps.admission,
            deps.images,
            account,
            changed,
        )

    def follow(self, resume_token: str) -> Coroutine[Any, Any, None]:
        """Bring the view up to date, from a token if it can be honoured, and keep it so until cancelled."""
        return self._follower.follow(resume_token)

    @property
    def filter(self) -> PromptFilter:
        """What the view shows."""
        return self._view.filter

    def change_access(self, principal: Principal) -> None:
        """Show what the principal may see now. Raises PermissionDenied if it may see nothing."""
        principal.require(Role.CONSOLE)
        filter = self._view.filter.for_principal(principal)
        self._follower.change_filter(filter)
        self._changed.set()

    @property
    def token(self) -> str:
        """The position to resume from."""
        return self._follower.token

    def note_written(self) -> None:
        """All events that were taken of the view have been written."""
        self._follower.note_written()

    def close(self) -> None:
        """Stop following."""
        self._follower.detach()
