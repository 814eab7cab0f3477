"""Who is told how the engine does: one call for a batch, one for its write, one for what became true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from askback_server.engine.committed import Committed
from askback_server.ports.storage import Lost


class Observer(Protocol):
    """Called in the loop, in the engine's own time: must be quick, must not raise."""

    def on_batch(self, commands: int) -> None:
        """The engine has taken so many commands at once."""

    def on_write(self, seconds: float, lost: Iterable[Lost]) -> None:
        """A durable write has ended after so long; the guards that were lost in it."""

    def on_failure(self, commands: int) -> None:
        """A batch of so many commands came to nothing: the database, or a bug."""

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """This replica has made this true."""


class Unobserved:
    """Nobody is told."""

    def on_batch(self, commands: int) -> None:
        """No."""

    def on_write(self, seconds: float, lost: Iterable[Lost]) -> None:
        """No."""

    def on_failure(self, commands: int) -> None:
        """No."""

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """No."""


class Observers:
    """Tells several observers, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_batch(self, commands: int) -> None:
        """As Observer.on_batch, to each."""
        for observer in self._observers:
            observer.on_batch(commands)

    def on_write(self, seconds: float, lost: Iterable[Lost]) -> None:
        """As Observer.on_write, to each."""
        lost = list(lost)
        for observer in self._observers:
            observer.on_write(seconds, lost)

    def on_failure(self, commands: int) -> None:
        """As Observer.on_failure, to each."""
        for observer in self._observers:
            observer.on_failure(commands)

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """As Observer.on_commit, to each."""
        for observer in self._observers:
            observer.on_commit(batch)
