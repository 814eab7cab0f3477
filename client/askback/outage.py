"""Tells the log that there is no stream, once and in words, and that there is one again.

A stream that is cut and opened again at once, as proxies do with idle ones, is not worth a warning.
"""

from __future__ import annotations

import logging
import time

from askback.errors import AskbackError

_log = logging.getLogger("askback.stream")


class Outage:
    """The state of one stream, as the log knows it."""

    def __init__(self, name: str, target: str) -> None:
        self._name = name
        self._target = target
        self._since: float | None = None
        self._warned = False

    def began(self, error: AskbackError) -> None:
        """There is no stream, because of `error`. Call it after every try that failed."""
        text = "%s: no connection to the server %s, trying again until there is one: %s"
        if self._since is None:
            self._since = time.monotonic()
            _log.info(text, self._name, self._target, error.message)
        elif not self._warned:
            self._warned = True
            _log.warning(text, self._name, self._target, error.message)

    def ended(self) -> None:
        """There is a stream."""
        if self._since is None:
            return
        away = time.monotonic() - self._since
        if self._warned:
            _log.warning("%s: connected to %s again after %.1f s", self._name, self._target, away)
        self._since, self._warned = None, False
