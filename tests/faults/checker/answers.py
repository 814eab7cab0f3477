"""Invariants 1 to 3: the results of answers are durable, and the same for all observers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.checker.evidence import ANSWERED, PENDING, Evidence, Operation
from tests.faults.checker.violation import Violation, violation

ACCEPTED, RECORDED, CLOSED, STALE, INVALID = range(1, 6)
_NO_RIGHT = {"EXCLUDED", "PERMISSION_DENIED", "PROMPT_NOT_FOUND"}
"""Why a person may not answer any more, or never could."""
_RIGHTS = {"exclude", "pass"}
"""What a question has for which that can be so."""
_STATUS = {"ACCEPTED": 1, "RECORDED": 2, "CLOSED": 3, "STALE": 4, "INVALID": 5}


def check(e: Evidence) -> Iterator[Violation]:
    """Check all three invariants."""
    by_prompt: dict[str, list[Operation]] = defaultdict(list)
    for operation in e.operations:
        if operation.what == "answer":
            by_prompt[operation.begun["p"]].append(operation)
    for prompt_id, operations in by_prompt.items():
        if prompt_id not in e.prompts:
            yield from _check_missing_prompt(e, prompt_id, operations)
            continue
        yield from _check_stored_answers(e, prompt_id, operations)
        yield from _check_single_resolution(e, prompt_id, operations)
        yield from _check_equal_results(e, prompt_id, operations)
    yield from _check_observers(e)
    yield from _check_reads(e)


def _check_missing_prompt(e: Evidence, prompt_id: str, operations: list[Operation]) -> Iterator[Violation]:
    if any(any(x.get("prompt_id") == prompt_id for x in log) for log in _logs_of_deleted_jobs(e)):
        return
    for operation in operations:
        if operation.ok:
            yield violation(1, f"prompt {prompt_id} was answered, but is not stored", operation.reply)


def _logs_of_deleted_jobs(e: Evidence) -> list[list[dict[str, object]]]:
    cached = e.__dict__.get("_deleted")
    if cached is None:
        cached = e.__dict__["_deleted"] = [log for job_id, log in e.log.items() if e.is_deleted(job_id)]
    return cached  # type: ignore[no-any-return]


def _check_stored_answers(e: Evidence, prompt_id: str, operations: list[Operation]) -> Iterator[Violation]:
    row = e.prompts[prompt_id]
    won = row.get("response_data") or {}
    for operation in operations:
        if not operation.ok or operation.reply is None or operation.reply["st"] not in (ACCEPTED, RECORDED):
            continue
        request, answer_id = operation.begun, operation.begun["id"]
        stored = e.answers.get((prompt_id, answer_id))
        if stored is None:
            yield violation(
                1, f"answer {answer_id} was accepted, but is not stored", request, operation.reply
            )
        elif stored["answer"]["comment"] != request["c"]:
            yield violation(1, f"answer {answer_id} is stored with another content", request, stored)
        elif operation.reply["st"] == ACCEPTED and won.get("answer_id") != answer_id:
            yield violation(1, f"answer {answer_id} was ACCEPTED, but another one won", request, row)


def _check_single_resolution(e: Evidence, prompt_id: str, operations: list[Operation]) -> Iterator[Violation]:
    end = e.end_of(prompt_id)
    accepted: dict[str, Operation] = {}
    for operation in operations:
        reply = operation.reply
        if not operation.ok or reply is None:
            continue
        if reply["st"] == ACCEPTED:
            accepted[operation.begun["id"]] = operation
        if reply["end"] != PENDING and (reply["end"], reply["won"]) != end:
            text = f"prompt {prompt_id} was reported as {reply['end']} by {reply['won']!r}, but is {end}"
            yield violation(2, text, reply, e.prompts[prompt_id])
        elif reply["st"] == CLOSED and reply["end"] == PENDING:
            yield violation(2, f"a losing answer to prompt {prompt_id} did not get the winner", reply)
    if len(accepted) > 1:
        lines = [operation.reply for operation in accepted.values()]
        yield violation(2, f"prompt {prompt_id}: {len(accepted)} answers were ACCEPTED", *lines)


def _check_equal_results(e: Evidence, prompt_id: str, operations: list[Operation]) -> Iterator[Violation]:
    by_answer: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_answer[operation.begun["id"]].append(operation)
    for answer_id, same in by_answer.items():
        stored = e.answers.get((prompt_id, answer_id))
        by_content: dict[str, Operation] = {}
        for operation in same:
            reply = operation.reply
            if reply is None:
                continue
            begun = operation.begun
            content = f"{begun['c']}|{begun['f']}|{begun['r']}"
            if operation.ok:
                first = by_content.setdefault(content, operation)
                assert first.reply is not None
                if first.reply["st"] != reply["st"]:
                    text = f"answer {answer_id} was {first.reply['st']}, and then {reply['st']}"
                    yield violation(3, text, first.reply, reply)
                if stored is not None and stored["answer"]["comment"] != begun["c"]:
                    yield violation(3, f"answer {answer_id} was accepted with another content", begun, reply)
                elif stored is not None and _STATUS[stored["status"]] != reply["st"]:
                    text = (
                        f"answer {answer_id} was reported as {reply['st']}, but stored as {stored['status']}"
                    )
                    yield violation(3, text, reply, stored)
            elif reply["why"] == "ID_REUSED":
                if stored is not None and stored["answer"]["comment"] == begun["c"]:
                    yield violation(3, f"answer {answer_id} was refused as a reused id", begun, reply)
            elif reply["why"] not in _NO_RIGHT or not _RIGHTS & e.question_of(prompt_id).keys():
                yield violation(0, f"an answer got {reply['code']} {reply['why']}", begun, reply)
        if len(by_content) > 1:
            lines = [operation.reply for operation in by_content.values()]
            yield violation(3, f"answer {answer_id} was accepted with {len(by_content)} contents", *lines)


def _check_observers(e: Evidence) -> Iterator[Violation]:
    """All observers of a prompt saw the same end."""
    seen = [(line, "consoles") for lines in e.consoles.values() for line in lines if line["e"] == "closed"]
    seen += [(line, "workers") for line in e.workers if line["e"] == "got"]
    for line, who in seen:
        end = e.end_of(line["p"])
        if end is not None and (line["st"], line["a"]) != end:
            text = f"{who} saw prompt {line['p']} end as {(line['st'], line['a'])}, but it is {end}"
            yield violation(2, text, line, e.prompts[line["p"]])
        elif end is not None and end[0] == ANSWERED and "c" in line:
            stored = (e.prompts[line["p"]].get("response_data") or {}).get("comment")
            if stored != line["c"]:
                yield violation(1, f"the worker got another answer to {line['p']} than is stored", line)


def _check_reads(e: Evidence) -> Iterator[Violation]:
    """Reads after the end of a prompt show that end: on every replica, once the run has settled."""
    for operation in e.operations:
        reply = operation.reply
        if reply is None or not operation.ok:
            continue
        if operation.what == "prompt":
            end = e.end_of(operation.begun["p"])
            if end is not None and (reply["st"], reply["won"]) != end:
                text = (
                    f"replica {operation.begun['last']} shows prompt {operation.begun['p']} as {reply['st']}"
                )
                yield violation(
                    1, f"{text}, long after it ended as {end}", reply, e.prompts[operation.begun["p"]]
                )
