"""Invariants 9, 10 and 12: the log is complete and ordered, agrees with the rows, and ends a job once."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.evidence import (
    ENDED_JOBS,
    JOB_STATES,
    PROMPT_ENDS,
    PROMPT_STATES,
    Evidence,
)
from tests.faults.checker.violation import Violation, violation
from tests.faults.history import Line

_AFTER_THE_END = {"JOB_UPDATED", "ANSWER_LATE", "JOB_DELETED"}


def check(e: Evidence) -> Iterator[Violation]:
    """Check all three invariants."""
    for job_id, events in e.log.items():
        yield from _check_complete(e, job_id, events)
        yield from _check_single_end(job_id, events)
        if job_id in e.jobs:
            yield from _check_fold(e, e.jobs[job_id], events)
    for job_id, row in e.jobs.items():
        if job_id not in e.log:
            yield violation(12, f"job {job_id} is stored, but its log was deleted", row)
    for line in e.wrong:
        yield violation(9, f"the hash chain does not agree with {line['row']}", line)
    yield from _check_reads(e)
    yield from _check_timeouts(e)
    yield from _check_resets(e)


def _check_complete(e: Evidence, job_id: str, events: list[Line]) -> Iterator[Violation]:
    numbers = [event["seq"] for event in events]
    if numbers == list(range(1, len(numbers) + 1)):
        return
    if numbers[0] > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        yield violation(
            12,
            f"the log of job {job_id} begins with {numbers[0]}: earlier events were still needed",
            events[0],
        )
        return
    wrong = next(i for i, number in enumerate(numbers) if number != i + 1)
    yield violation(9, f"the log of job {job_id} has {numbers[wrong]} in place of {wrong + 1}", events[wrong])


def _check_single_end(job_id: str, events: list[Line]) -> Iterator[Violation]:
    end: Line | None = None
    for event in events:
        if end is not None and (event["type"] not in _AFTER_THE_END or event["state"] != end["state"]):
            text = f"job {job_id} was {end['state']}, and then got {event['type']} ({event['state']})"
            yield violation(10, text, end, event)
        if end is None and event["type"] in ("JOB_COMPLETED", "JOB_FAILED", "JOB_CANCELLED"):
            end = event


def _check_fold(e: Evidence, row: Line, events: list[Line]) -> Iterator[Violation]:
    job_id = row["job_id"]
    attempt = token = 0
    prompts: dict[str, Line] = {}
    for event in events:
        data = event.get("data") or {}
        attempt, token = data.get("attempt", attempt), data.get("token", token)
        kind, prompt_id = event["type"], event.get("prompt_id")
        if kind == "PROMPT_ASKED":
            prompts[prompt_id] = event
        elif kind in PROMPT_ENDS:
            asked = prompts.get(prompt_id)
            if asked is None:
                yield violation(9, f"prompt {prompt_id} ended but was never asked", event)
            elif asked["type"] in PROMPT_ENDS:
                yield violation(2, f"prompt {prompt_id} ended twice", asked, event)
                if "TIMEOUT_DEFAULT" in str(data) or kind == "PROMPT_EXPIRED":
                    yield violation(10, f"prompt {prompt_id} timed out after its end", asked, event)
            prompts[prompt_id] = event
    last = events[-1]
    folded = last["state"], last["seq"], attempt, token
    stored = row["status"], row["version"], row["attempt"], row["token"]
    if folded != stored:
        yield violation(9, f"job {job_id} is stored as {stored}, but its log gives {folded}", last, row)
    still = 0
    for prompt_id, event in prompts.items():
        state = PROMPT_ENDS.get(event["type"], PROMPT_STATES["PENDING"])
        still += state == PROMPT_STATES["PENDING"]
        prompt = e.prompts.get(prompt_id)
        if prompt is None:
            yield violation(9, f"prompt {prompt_id} is in the log, but not stored", event)
        elif PROMPT_STATES[prompt["status"]] != state:
            yield violation(9, f"prompt {prompt_id} is stored as {prompt['status']}", event, prompt)
    if (row["rounds"], row["open_prompts"]) != (len(prompts), still):
        text = f"job {job_id} counts {row['rounds']} prompts, {row['open_prompts']} open"
        yield violation(9, f"{text}; its log {len(prompts)}, {still}", row)


def _check_reads(e: Evidence) -> Iterator[Violation]:
    """A terminal state that was read is the stored one; a STRONG read is never older than an earlier one."""
    newest: dict[str, Line] = {}
    reads = [op for op in e.operations if op.what in ("get", "cancel", "complete") and op.ok]
    for operation in sorted(reads, key=lambda op: op.begun["t"]):
        job_id, reply = operation.begun["j"], operation.reply
        row = e.jobs.get(job_id)
        if row is None or reply is None or "st" not in reply:
            continue
        state = JOB_STATES[row["status"]]
        if reply["st"] in ENDED_JOBS and reply["st"] != state:
            yield violation(10, f"job {job_id} was read as {reply['st']}, but is {state}", reply, row)
        if operation.what != "get":
            continue
        if "last" in operation.begun and reply["st"] != state:
            text = f"replica {operation.begun['last']} shows job {job_id} as {reply['st']}"
            yield violation(1, f"{text}, long after it became {state}", reply, row)
        if operation.begun["strong"]:
            before = newest.get(job_id)
            if before is not None and before["t"] < operation.begun["t"] and before["v"] > reply["v"]:
                yield violation(1, f"a STRONG read of job {job_id} returned an older version", before, reply)
            newest[job_id] = reply


def _check_timeouts(e: Evidence) -> Iterator[Violation]:
    bounds = e.bounds
    broken = [(line["t"], line["e"]) for line in e.director if line["e"] in ("fault", "healed", "quiet")]
    quiet = max((t for t, what in broken if what == "quiet"), default=float("inf"))
    first = min((t for t, what in broken if what == "fault"), default=float("inf"))
    for events in e.log.values():
        for event in events:
            timed = event["type"] == "PROMPT_EXPIRED" or (
                event["type"] == "PROMPT_ANSWERED"
                and (event.get("data") or {}).get("source") == "TIMEOUT_DEFAULT"
            )
            prompt = e.prompts.get(event.get("prompt_id", ""))
            if not timed or prompt is None:
                continue
            due = prompt.get("timeout_at")
            if due is None or event["at"] < due - 0.001:
                yield violation(10, f"prompt {event['prompt_id']} timed out before its time", event, prompt)
                continue
            undisturbed = event["at"] < first or due > quiet + bounds.reach
            late = bounds.late_when_quiet if undisturbed else bounds.late
            if event["at"] > due + late:
                text = f"prompt {event['prompt_id']} timed out {event['at'] - due:.1f} s late"
                yield violation(10, text, event, prompt)
    begun: dict[tuple[str, str], Line] = {}
    for operation in e.operations:
        if operation.what == "answer":
            key = operation.begun["p"], operation.begun["id"]
            known = begun.setdefault(key, operation.begun)
            if operation.begun["t"] < known["t"]:
                begun[key] = operation.begun
    for (prompt_id, answer_id), line in begun.items():
        stored, prompt = e.answers.get((prompt_id, answer_id)), e.prompts.get(prompt_id)
        if stored is None or prompt is None or stored["status"] != "ACCEPTED":
            continue
        due = prompt.get("timeout_at")
        if due is not None and line["t"] > due + bounds.clock:
            yield violation(10, f"answer {answer_id} was accepted after the deadline", line, stored, prompt)


def _check_resets(e: Evidence) -> Iterator[Violation]:
    """Resume tokens of this run are never too old or unknown. Only deleted jobs may invalidate one."""
    deleted = any(e.is_deleted(job_id) for job_id in e.log)
    lines = [line for lines in e.consoles.values() for line in lines if line["e"] == "reset"]
    lines += [line for line in e.clients if line["e"] == "jobs_reset"]
    for line in lines:
        if "older than the log" in line["why"]:
            yield violation(12, "a token of this run was refused as too old", line)
        elif "too much changed" in line["why"] or (deleted and "jobs were deleted" in line["why"]):
            continue
        else:
            yield violation(8, f"a valid token was refused: {line['why']}", line)
