"""Who is told how the engine does: one call for a batch, one for its write, one for what became true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from askback_server.engine.committed import Committed
from askback_server.ports.storage import Lost


class Observer(Protocol):
    """Called in the loop, in the engine's own time: must be quick, must not raise."""

    def batch(self, commands: int) -> None:
        """The engine has taken so many commands at once."""

    def wrote(self, seconds: float, lost: Iterable[Lost]) -> None:
        """A durable write has ended after so long; the guards that were lost in it."""

    def failed(self, commands: int) -> None:
        """A batch of so many commands came to nothing: the database, or a bug."""

    def committed(self, batch: Sequence[Committed]) -> None:
        """This replica has made this true."""


class Unobserved:
    """Nobody is told."""

    def batch(self, commands: int) -> None:
        """No."""

    def wrote(self, seconds: float, lost: Iterable[Lost]) -> None:
        """No."""

    def failed(self, commands: int) -> None:
        """No."""

    def committed(self, batch: Sequence[Committed]) -> None:
        """No."""


class Observers:
    """Tells several observers, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def batch(self, commands: int) -> None:
        """As Observer.batch, to each."""
        for observer in self._observers:
            observer.batch(commands)

    def wrote(self, seconds: float, lost: Iterable[Lost]) -> None:
        """As Observer.wrote, to each."""
        lost = list(lost)
        for observer in self._observers:
            observer.wrote(seconds, lost)

    def failed(self, commands: int) -> None:
        """As Observer.failed, to each."""
        for observer in self._observers:
            observer.failed(commands)

    def committed(self, batch: Sequence[Committed]) -> None:
        """As Observer.committed, to each."""
        for observer in self._observers:
            observer.committed(batch)
