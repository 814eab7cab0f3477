"""Writes the lines of the demo, with the time since the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from askback.terminal.writer import Writer, writer_for


class Narrator:
    """Writes one line for each event; holds lines back while a person types."""

    def __init__(self) -> None:
        self.writer: Writer = writer_for()
        self._started = perf_counter()
        self._held: list[str] | None = None

    def say(self, who: str, what: str) -> None:
        """Write one line."""
        line = f"{perf_counter() - self._started:8.3f} s  {who:<8} {what}"
        if self._held is None:
            self.writer.line(line)
        else:
            self._held.append(line)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hold lines back while a person reads and types."""
        self._held = []
        self.writer.line()
        try:
            yield
        finally:
            held, self._held = self._held, None
            self.writer.line()
            for line in held:
                self.writer.line(line)
