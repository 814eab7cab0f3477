"""Logs once that the server is unreachable, and once that it is back."""

from __future__ import annotations

import logging
import time

from askback.errors import AskbackError

_log = logging.getLogger("askback.stream")


class Outage:
    """The outage of one stream, for the log.

    A stream that breaks and reconnects at the first attempt, as happens behind a proxy, is logged once at
    INFO. If that attempt fails too, the server is unreachable: one warning, and another when it is back.
    A stream that the server asked to move has lost nothing, so the log says that it moved.
    """

    def __init__(self, name: str, target: str) -> None:
        self._name = name
        self._target = target
        self._since: float | None = None
        self._cause = ""
        self._moves = False
        self._warned = False

    def begin(self, error: AskbackError) -> None:
        """The stream is broken because of `error`. Call this after every failed attempt."""
        is_move = error.reason == "ERROR_REASON_DRAINING"
        if self._since is None:
            self._since, self._cause, self._moves = time.monotonic(), error.message, is_move
        elif not self._warned:
            self._warned = True
            text = "%s: no connection to the server %s, trying again until there is one: %s"
            if is_move:
                text = "%s: the server %s is shutting down, trying again until another one is there: %s"
            _log.warning(text, self._name, self._target, error.message)

    def end(self) -> None:
        """The stream is open again."""
        if self._since is None:
            return
        away = time.monotonic() - self._since
        shown = f"{away:.0f} s" if away >= 10 else f"{away:.1f} s"
        if self._warned:
            _log.warning("%s: the server %s is back after %s", self._name, self._target, shown)
        elif self._moves:
            _log.info(
                "%s: moved to another stream of %s in %s: %s", self._name, self._target, shown, self._cause
            )
        else:
            text = "%s: the connection to %s was lost and is back after %s: %s"
            _log.info(text, self._name, self._target, shown, self._cause)
        self._since, self._warned = None, False
