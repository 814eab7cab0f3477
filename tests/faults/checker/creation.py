"""Invariants 11 and 12: a job is created once, and stored until its retention is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence, Operation
from tests.faults.checker.violation import Violation, violation
from tests.faults.history import Line


def check(e: Evidence) -> Iterator[Violation]:
    """Check both invariants."""
    by_request: dict[str, list[Operation]] = defaultdict(list)
    for operation in e.operations:
        if operation.what == "create":
            by_request[operation.begun["id"]].append(operation)
    rows: dict[str, list[Line]] = defaultdict(list)
    for row in e.jobs.values():
        rows[row.get("request_id", "")].append(row)
    keeps: dict[str, float] = {}
    for request_id, operations in by_request.items():
        made = {op.reply["j"]: op for op in operations if op.ok and op.reply is not None}
        for job_id, operation in made.items():
            keep = operation.begun.get("keep")
            keeps[job_id] = float("inf") if keep is None else keep
            if job_id not in e.jobs and not e.is_deleted(job_id):
                yield violation(
                    11, f"job {job_id} was created, but is lost", operation.begun, operation.reply
                )
        if len(made) > 1 and not any(e.is_deleted(job_id) for job_id in made):
            lines = [op.reply for op in made.values()]
            yield violation(11, f"request {request_id} created {len(made)} jobs", *lines)
        if len(rows[request_id]) > 1:
            yield violation(
                11, f"request {request_id} is stored {len(rows[request_id])} times", *rows[request_id]
            )
        for operation in operations:
            reply = operation.reply
            if reply is None or operation.ok:
                continue
            contents = {op.begun["f"] for op in operations}
            if reply["why"] != "ID_REUSED":
                yield violation(0, f"a creation got {reply['code']} {reply['why']}", operation.begun, reply)
            elif len(contents) == 1:
                yield violation(
                    11, f"request {request_id} was refused as a reused id", operation.begun, reply
                )
    yield from _check_deleted(e, keeps)


def _check_deleted(e: Evidence, keeps: dict[str, float]) -> Iterator[Violation]:
    for job_id, events in e.log.items():
        if events[-1]["type"] != "JOB_DELETED":
            continue
        deletion = events[-1]
        ended = [x for x in events if x["type"] in ("JOB_COMPLETED", "JOB_FAILED", "JOB_CANCELLED")]
        if not ended:
            yield violation(12, f"job {job_id} was deleted before its end", deletion)
        elif deletion["at"] < ended[-1]["at"] + keeps.get(job_id, 0.0) - 0.001:
            yield violation(
                12, f"job {job_id} was deleted before its retention was over", ended[-1], deletion
            )
        if job_id in e.jobs:
            yield violation(12, f"job {job_id} is deleted in its log, but stored", deletion, e.jobs[job_id])
