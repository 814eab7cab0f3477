"""Violations of the invariants, with the lines that prove them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INVARIANTS: Mapping[int, str] = {
    0: "no unexpected error happens",
    1: "an ACCEPTED answer is stored, and read from then on",
    2: "a prompt has one resolution, the same for all observers",
    3: "equal answer_id, equal result",
    4: "one live lease; no write with an old token",
    5: "a job that can run is run; attempts are bounded",
    6: "every console gets every open prompt",
    7: "no outdated, closed or foreign prompt is shown",
    8: "a resume token skips no event",
    9: "seq has no gap; the state is the fold of the events",
    10: "a final state never changes; timeouts fire once and not early",
    11: "a created job is never lost or duplicated",
    12: "retention keeps everything that is still needed",
    13: "at the end nothing is stuck",
    14: "only who may decides, and as many as are needed; rules as often as they may",
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
