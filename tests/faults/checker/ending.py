"""Invariant 13: at the end nothing is stuck. And 0: no unexpected errors."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence
from tests.faults.checker.violation import Violation, violation

_EXPECTED = {
    "LEASE_LOST",
    "ID_REUSED",
    "ILLEGAL_STATE",
    "JOB_NOT_FOUND",
    "PROMPT_NOT_FOUND",
    "SESSION_NOT_FOUND",
    "PROMPT_CLOSED",
}
"""Error reasons that workers and clients may get while leases are lost and jobs are deleted."""
_RIGHTS = {"withdraw", "delegate"}
_REFUSALS = {"PERMISSION_DENIED", "FAILED_PRECONDITION", "NOT_FOUND", "INVALID_ARGUMENT", "ALREADY_EXISTS"}
"""With these codes people may be refused who change what they may not, or too late."""


def check(e: Evidence) -> Iterator[Violation]:
    """Check both invariants."""
    for line in e.bugs:
        yield violation(0, line["text"], line)
    for operation in e.operations:
        if operation.refused and operation.what not in ("answer", "create") and operation.reply is not None:
            reply = operation.reply
            if operation.what in _RIGHTS and reply["code"] in _REFUSALS:
                continue
            if reply["why"] not in _EXPECTED:
                text = f"{operation.what} got {reply['code']} {reply['why']}"
                yield violation(0, text, operation.begun, reply)
    for line in e.director:
        match line["e"]:
            case "stuck":
                yield violation(13, f"{line['party']} did not end: {line['what']}", line)
            case "left" if line["code"] != 0:
                yield violation(13, f"{line['party']} did not leave normally: {line['code']}", line)
            case "drained" if line.get("last") and line["code"] != 0:
                yield violation(13, f"{line['party']} did not drain: {line['code']}", line)
            case "dead" if line["code"] not in (-9, None):
                yield violation(13, f"{line['party']} ended unexpectedly: {line['code']}", line)
            case "at_rest":
                if not line["answers"]:
                    yield violation(13, f"{line['party']} does not report its metrics", line)
                elif line["streams"] or line["queue"]:
                    left = f"{line['streams']:.0f} streams and {line['queue']:.0f} commands"
                    where = f"{' '.join(line['methods'])}, open links {line['links']}; its log has its tasks"
                    yield violation(13, f"{line['party']} has {left} left: {where}", line)
                elif not line["memory_ok"]:
                    grown = f"{line['memory_before'] >> 20} to {line['memory_after'] >> 20} MiB"
                    yield violation(13, f"{line['party']} grew from {grown}", line)
    for line in e.clients:
        if line["e"] == "finished" and line["left"]:
            yield violation(13, f"{line['left']} jobs had not ended in time", line)
