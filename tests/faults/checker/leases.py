"""Invariants 4 and 5: a job has one holder at a time, and every job that can run is run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.checker.evidence import ENDED_JOBS, JOB_STATES, NEVER, Evidence, Operation
from tests.faults.checker.violation import Violation, violation
from tests.faults.history import Line

_BY_HOLDER = {
    "JOB_PROGRESSED",
    "JOB_RELEASED",
    "JOB_RETRIED",
    "CHECKPOINT_SAVED",
    "PROMPT_ASKED",
    "PROMPT_AMENDED",
    "PROMPT_CONSUMED",
}
_ENDS_LEASE = {
    "JOB_RELEASED",
    "JOB_LEASE_LOST",
    "JOB_RETRIED",
    "JOB_COMPLETED",
    "JOB_FAILED",
    "JOB_CANCELLED",
}
_WRITES = {"ask", "ack", "complete", "fail", "release", "progress", "zombie"}


def check(e: Evidence) -> Iterator[Violation]:
    """Check both invariants."""
    yield from _check_log(e)
    yield from _check_tokens(e)
    yield from _check_ends(e)


def _check_log(e: Evidence) -> Iterator[Violation]:
    for job_id, events in e.log.items():
        holder: str | None = None
        token = 0
        lost: Line | None = None
        for event in events:
            kind, data = event["type"], event.get("data") or {}
            if kind == "JOB_LEASED":
                if holder is not None:
                    yield violation(4, f"job {job_id} was leased while {holder} held it", event)
                if data["token"] <= token:
                    yield violation(4, f"job {job_id}: token {data['token']} after {token}", event)
                holder, token = data["worker_id"], data["token"]
            elif kind in _BY_HOLDER and event["actor"] != "system" and event["actor"] != holder:
                text = f"job {job_id}: {kind} by {event['actor']}, held by {holder or 'no worker'}"
                yield violation(4, text, lost, event)
            if kind in _ENDS_LEASE or event["state"] == "PENDING":
                holder, lost = None, event  # or an answer found that the holder's session had expired
        row = e.jobs.get(job_id)
        if row is not None and row["attempt"] > row["max_attempts"]:
            yield violation(5, f"job {job_id} is in attempt {row['attempt']} of {row['max_attempts']}", row)


def _check_tokens(e: Evidence) -> Iterator[Violation]:
    """A write with an old fencing token never succeeds."""
    first: dict[str, list[tuple[int, Line]]] = defaultdict(list)
    owners: dict[tuple[str, int], Line] = {}
    for line in e.workers:
        if line["e"] == "leased":
            first[line["j"]].append((line["k"], line))
            owner = owners.setdefault((line["j"], line["k"]), line)
            if owner["who"] != line["who"]:
                text = (
                    f"job {line['j']} with token {line['k']} was leased to {owner['who']} and {line['who']}"
                )
                yield violation(4, text, owner, line)
    for operation in e.operations:
        if operation.what not in _WRITES or not operation.ok:
            continue
        begun = operation.begun
        if operation.what == "zombie" and _was_sent_again(first[begun["j"]], operation):
            continue
        if operation.what == "zombie":
            text = f"job {begun['j']}: a write with the lost token {begun['k']} was accepted"
            yield violation(4, text, begun, operation.reply)
            continue
        newer = [line for token, line in first[begun["j"]] if token > begun["k"] and line["t"] < begun["t"]]
        if newer:
            text = f"job {begun['j']}: {operation.what} with token {begun['k']} after {newer[0]['k']}"
            yield violation(4, text, newer[0], begun, operation.reply)


def _was_sent_again(leases: list[tuple[int, Line]], operation: Operation) -> bool:
    """Whether the worker received the job again under the same token: if a worker's hello does not list a job
    that its session holds, the server sends the job again."""
    begun, reply = operation.begun, operation.reply
    same = [line for token, line in leases if token == begun["k"] and line["who"] == begun["who"]]
    return len(same) > 1 and reply is not None and same[-1]["t"] < reply["t"]


def _check_ends(e: Evidence) -> Iterator[Violation]:
    """After the run has settled every job has ended."""
    living = {session["session_id"] for session in e.sessions}
    for job_id, row in e.jobs.items():
        if JOB_STATES[row["status"]] in ENDED_JOBS:
            continue
        if row["status"] == "PENDING_HITL" and row["open_blocking"]:
            yield violation(6, f"job {job_id} still waits for users, who have no prompts left", row)
        elif row.get("session_id") and row["session_id"] not in living:
            yield violation(
                5, f"job {job_id} is {row['status']}, held by a session that no longer exists", row
            )
        else:
            yield violation(5, f"job {job_id} is {row['status']}, and no worker runs it", row)
    quiet = max((line["t"] for line in e.director if line["e"] == "quiet"), default=NEVER)
    for session in e.sessions:
        if session["expires_at"] < min(e.ends_at - e.bounds.reaped, quiet):
            yield violation(
                5, f"the session of {session['worker_id']} expired long ago and was not reaped", session
            )
