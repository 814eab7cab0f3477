"""Checks a history (requests, replies, events, stored rows) against the invariants of docs/design.md 10.

Pure: it reads JSON lines and imports nothing of the server. An operation without a reply has an unknown
outcome and cannot violate anything. All processes share this machine's clock, so times of different
processes compare in two ways only: a reply's effect happened before the reply was received, and a
request's effect not before the request was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.checker import answers, creation, ending, leases, log, rights, views, watches
from tests.faults.checker.evidence import Bounds, Evidence
from tests.faults.checker.violation import Violation

__all__ = ["Bounds", "Evidence", "Verdict", "Violation", "judge", "judge_evidence"]

CHECKS = (
    answers.check,
    leases.check,
    views.check,
    watches.check,
    log.check,
    creation.check,
    ending.check,
    rights.check,
)


@dataclass
class Verdict:
    """The violations found in a history, and the number of operations it covers."""

    violations: list[Violation] = field(default_factory=list)
    prompts: int = 0
    answers: int = 0
    unknown: int = 0
    operations: int = 0

    @property
    def invariants(self) -> set[int]:
        """The numbers of the violated invariants."""
        return {v.invariant for v in self.violations}


def judge(folder: Path, bounds: Bounds | None = None) -> Verdict:
    """Check the history and the stored state in a folder."""
    return judge_evidence(Evidence.read(folder, bounds or Bounds()))


def judge_evidence(evidence: Evidence) -> Verdict:
    """Check the evidence."""
    found = [violation for check in CHECKS for violation in check(evidence)]
    return Verdict(
        sorted(found, key=lambda v: v.invariant),
        prompts=len(evidence.prompts),
        answers=sum(1 for op in evidence.operations if op.what == "answer" and op.ok),
        unknown=sum(1 for op in evidence.operations if op.reply is None),
        operations=len(evidence.operations),
    )
