"""How much the streams of a replica keep in memory for clients that have not read it, and the bound on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from askback_server.domain.errors import AskbackError, LimitExceeded
from askback_server.domain.prompts import Prompt

FRAME = 200
"""Bytes that any frame is counted with, besides its content."""


def weight(body: Any) -> int:
    """Roughly how many bytes a frame's body is."""
    size = getattr(body, "ByteSize", None)
    if size is not None:
        return FRAME + int(size())
    for name in ("response", "prompt", "job"):
        inner = getattr(body, name, None)
        if inner is not None and not isinstance(inner, str):
            more = sum(weight(p) for p in getattr(body, "prompts", ())) + sum(
                len(c.value_json) for c in getattr(body, "checkpoints", ())
            )
            return weight(inner) + more
    if isinstance(body, Prompt):
        resolution = body.resolution
        answer = getattr(resolution, "answer", None)
        return FRAME + body.content.size + (len(answer.values_json) if answer is not None else 0)
    return FRAME + len(getattr(body, "input_json", "")) + len(getattr(body, "result_json", ""))


class Unsent:
    """The bytes of all streams. When there are too many, the stream with the most ends."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[object, tuple[int, Callable[[AskbackError], None]]] = {}
        self.total = 0

    def set(self, holder: object, size: int, drop: Callable[[AskbackError], None]) -> None:
        """A stream holds so many bytes now; `drop` ends it."""
        self.total += size - self._held.get(holder, (0, drop))[0]
        if size:
            self._held[holder] = size, drop
        else:
            self._held.pop(holder, None)
        while self.total > self._most:
            worst = max(self._held, key=lambda h: self._held[h][0])
            held, end = self._held.pop(worst)
            self.total -= held
            text = "too much waits for clients that do not read, and this stream has the most; read it faster"
            end(LimitExceeded(text, limit="unsent_bytes_in_all", value=self._most, retry_after=1.0))
