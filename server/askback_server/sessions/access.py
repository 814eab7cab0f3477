"""The permissions of an open call. They change while it is open, when its credentials do."""

from __future__ import annotations

from collections.abc import Callable

from askback_server.domain.errors import AskbackError
from askback_server.domain.principals import Principal


def _do_nothing(_: AskbackError) -> None:
    """Default for calls without a transport."""


class Access:
    """The principal of an open stream or waiting call, as of the last check of its credentials.

    `end` ends the call from outside.
    """

    __slots__ = ("_followers", "end", "principal")

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self._followers: list[Callable[[Principal], None]] = []
        self.end: Callable[[AskbackError], None] = _do_nothing

    def follow(self, follower: Callable[[Principal], None], known: Principal) -> None:
        """Call `follower` whenever the principal changes, and at once if it differs from `known`.

        `known` is the principal that the caller has already checked. An error raised by the follower ends the
        stream.
        """
        self._followers.append(follower)
        if self.principal is not known:
            follower(self.principal)

    def close(self) -> None:
        """Release the followers and the call."""
        self._followers.clear()
        self.end = _do_nothing

    def change(self, principal: Principal) -> None:
        """Set a principal with other roles, groups or namespaces. Raises AskbackError, which ends the
        stream."""
        self.principal = principal
        for follower in tuple(self._followers):
            follower(principal)
