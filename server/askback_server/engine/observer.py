"""Receives measurements of the engine: per batch, per write, per commit. Used for metrics and the
event log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from askback_server.engine.committed import Committed
from askback_server.ports.storage import Lost


class Observer(Protocol):
    """Called in the event loop, within the engine's time: must be fast and must not raise."""

    def on_batch(self, commands: int) -> None:
        """The engine has taken a batch of commands."""

    def on_write(self, seconds: float, lost: Iterable[Lost]) -> None:
        """A write has ended, with the guards that failed in it."""

    def on_failure(self, commands: int) -> None:
        """A batch failed as a whole, because of the database or a bug."""

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """A batch was committed by this replica."""


class NullObserver:
    """Ignores everything; also a base class for observers of some events."""

    def on_batch(self, commands: int) -> None:
        """Do nothing."""

    def on_write(self, seconds: float, lost: Iterable[Lost]) -> None:
        """Do nothing."""

    def on_failure(self, commands: int) -> None:
        """Do nothing."""

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Do nothing."""


class Observers:
    """Calls several observers in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_batch(self, commands: int) -> None:
        """See Observer."""
        for observer in self._observers:
            observer.on_batch(commands)

    def on_write(self, seconds: float, lost: Iterable[Lost]) -> None:
        """See Observer."""
        lost = list(lost)
        for observer in self._observers:
            observer.on_write(seconds, lost)

    def on_failure(self, commands: int) -> None:
        """See Observer."""
        for observer in self._observers:
            observer.on_failure(commands)

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """See Observer."""
        for observer in self._observers:
            observer.on_commit(batch)
