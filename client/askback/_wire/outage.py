"""Tells the log that the server is away, once, and that it is back."""

from __future__ import annotations

import logging
import time

from askback.errors import AskbackError

_log = logging.getLogger("askback.stream")


class Outage:
    """The state of one stream, as the log knows it.

    A stream that is cut and opened again at the first try, as happens behind a proxy, is one line at INFO.
    When that try fails too, the server is away: one warning, and another one when it is back.
    """

    def __init__(self, name: str, target: str) -> None:
        self._name = name
        self._target = target
        self._since: float | None = None
        self._cause = ""
        self._warned = False

    def began(self, error: AskbackError) -> None:
        """There is no stream, because of `error`. Call it after every try that failed."""
        if self._since is None:
            self._since, self._cause = time.monotonic(), error.message
        elif not self._warned:
            self._warned = True
            text = "%s: no connection to the server %s, trying again until there is one: %s"
            _log.warning(text, self._name, self._target, error.message)

    def ended(self) -> None:
        """There is a stream."""
        if self._since is None:
            return
        away = time.monotonic() - self._since
        shown = f"{away:.0f} s" if away >= 10 else f"{away:.1f} s"
        if self._warned:
            _log.warning("%s: the server %s is back after %s", self._name, self._target, shown)
        else:
            text = "%s: the connection to %s was lost and is back after %s: %s"
            _log.info(text, self._name, self._target, shown, self._cause)
        self._since, self._warned = None, False
