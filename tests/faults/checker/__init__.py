"""Judges a history: docs/design.md 10, invariant by invariant, over what was said, heard and stored.

Pure: it reads JSON lines and knows nothing of the server. An operation without a reply has an unknown
outcome, which forbids nothing. Times of different processes are compared only as this machine's one clock
allows: what somebody was told was true before that, what somebody asked for was not done before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.checker import answers, creation, ending, leases, log, views, watches
from tests.faults.checker.evidence import Bounds, Evidence
from tests.faults.checker.violation import Violation

__all__ = ["Bounds", "Evidence", "Verdict", "Violation", "judge", "judge_evidence"]

CHECKS = (answers.check, leases.check, views.check, watches.check, log.check, creation.check, ending.check)


@dataclass
class Verdict:
    """What a history shows."""

    violations: list[Violation] = field(default_factory=list)
    prompts: int = 0
    answers: int = 0
    unknown: int = 0
    operations: int = 0

    @property
    def invariants(self) -> set[int]:
        """The numbers of those that were violated."""
        return {v.invariant for v in self.violations}


def judge(folder: Path, bounds: Bounds | None = None) -> Verdict:
    """Judge the history and the stored state in a folder."""
    return judge_evidence(Evidence.read(folder, bounds or Bounds()))


def judge_evidence(evidence: Evidence) -> Verdict:
    """Judge what is known."""
    found = [violation for check in CHECKS for violation in check(evidence)]
    return Verdict(
        sorted(found, key=lambda v: v.invariant),
        prompts=len(evidence.prompts),
        answers=sum(1 for op in evidence.operations if op.what == "answer" and op.ok),
        unknown=sum(1 for op in evidence.operations if op.reply is None),
        operations=len(evidence.operations),
    )
