"""What the caller of an open stream may do, now: it changes when its credentials do."""

from __future__ import annotations

from collections.abc import Callable

from askback_server.domain.errors import AskbackError
from askback_server.domain.principals import Principal


def _cannot_end(_: AskbackError) -> None:
    """For streams without a transport: what ends them is said by their session."""


class Access:
    """The principal of an open stream or of a call that waits.

    `principal` is as it was when the credentials were last checked. `end` ends the stream from outside.
    """

    __slots__ = ("_followers", "end", "principal")

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self._followers: list[Callable[[Principal], None]] = []
        self.end: Callable[[AskbackError], None] = _cannot_end

    def follow(self, follower: Callable[[Principal], None], known: Principal) -> None:
        """Call `follower` with the principal whenever it changes, and at once if it is not `known` any more.

        `known` is the principal that was looked at before. What the follower raises ends the stream.
        """
        self._followers.append(follower)
        if self.principal is not known:
            follower(self.principal)

    def close(self) -> None:
        """The call has ended: let go of its followers and of the call."""
        self._followers.clear()
        self.end = _cannot_end

    def change(self, principal: Principal) -> None:
        """The principal has other roles, groups or namespaces. Raises AskbackError, which ends the stream."""
        self.principal = principal
        for follower in tuple(self._followers):
            follower(principal)
