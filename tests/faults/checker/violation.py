"""Violations of the invariants, with the lines that prove them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INVARIANTS: Mapping[int, str] = {
    0: "nothing happens that nobody foresaw",
    1: "what was ACCEPTED is stored, and read ever after",
    2: "a prompt has one resolution, the same for all",
    3: "equal answer_id, equal result",
    4: "one live lease; no write with an old token",
    5: "what can run is run; attempts are bounded",
    6: "every console is told every open prompt",
    7: "nothing old, closed or foreign is shown",
    8: "a resume token skips nothing",
    9: "seq has no gap; state is the fold of events",
    10: "an end is an end; timeouts fire once and not early",
    11: "a created job is never lost, nor made twice",
    12: "retention spares what is needed",
    13: "in the end nothing is stuck",
}


@dataclass(frozen=True)
class Violation:
    """A violated invariant: what was observed, and the lines (file:line) that show it."""

    invariant: int
    text: str
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f" [{', '.join(self.lines)}]" if self.lines else ""
        return f"invariant {self.invariant} ({INVARIANTS[self.invariant]}): {self.text}{where}"


def violation(invariant: int, text: str, *lines: Mapping[str, Any] | None) -> Violation:
    """Build a violation with the positions of these lines."""
    known = (line["_at"] for line in lines if line is not None)
    return Violation(invariant, text, tuple(f"{name}:{number}" for name, number in known))
