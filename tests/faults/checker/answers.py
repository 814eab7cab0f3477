"""Invariants 1 to 3: what people were told about their answers is true, for ever and for everybody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.checker.evidence import ANSWERED, PENDING, Evidence, Operation
from tests.faults.checker.violation import Violation, violated

ACCEPTED, RECORDED, CLOSED, STALE, INVALID = range(1, 6)
_STATUS = {"ACCEPTED": 1, "RECORDED": 2, "CLOSED": 3, "STALE": 4, "INVALID": 5}


def check(e: Evidence) -> Iterator[Violation]:
    """All three."""
    by_prompt: dict[str, list[Operation]] = defaultdict(list)
    for operation in e.operations:
        if operation.what == "answer":
            by_prompt[operation.begun["p"]].append(operation)
    for prompt_id, operations in by_prompt.items():
        if prompt_id not in e.prompts:
            yield from _gone(e, prompt_id, operations)
            continue
        yield from _accepted(e, prompt_id, operations)
        yield from _one_resolution(e, prompt_id, operations)
        yield from _equal_results(e, prompt_id, operations)
    yield from _observers(e)
    yield from _reads(e)


def _gone(e: Evidence, prompt_id: str, operations: list[Operation]) -> Iterator[Violation]:
    if any(any(x.get("prompt_id") == prompt_id for x in log) for log in _deleted(e)):
        return
    for operation in operations:
        if operation.ok:
            yield violated(1, f"prompt {prompt_id} was answered, and is not stored", operation.reply)


def _deleted(e: Evidence) -> list[list[dict[str, object]]]:
    cached = e.__dict__.get("_deleted")
    if cached is None:
        cached = e.__dict__["_deleted"] = [log for job_id, log in e.log.items() if e.is_deleted(job_id)]
    return cached  # type: ignore[no-any-return]


def _accepted(e: Evidence, prompt_id: str, operations: list[Operation]) -> Iterator[Violation]:
    row = e.prompts[prompt_id]
    won = row.get("response_data") or {}
    for operation in operations:
        if not operation.ok or operation.reply is None or operation.reply["st"] not in (ACCEPTED, RECORDED):
            continue
        said, answer_id = operation.begun, operation.begun["id"]
        stored = e.answers.get((prompt_id, answer_id))
        if stored is None:
            yield violated(1, f"answer {answer_id} was taken, and is not stored", said, operation.reply)
        elif stored["answer"]["comment"] != said["c"]:
            yield violated(1, f"answer {answer_id} is stored with another content", said, stored)
        elif operation.reply["st"] == ACCEPTED and won.get("answer_id") != answer_id:
            yield violated(1, f"answer {answer_id} was ACCEPTED, and another one resolved", said, row)


def _one_resolution(e: Evidence, prompt_id: str, operations: list[Operation]) -> Iterator[Violation]:
    end = e.end_of(prompt_id)
    accepted: dict[str, Operation] = {}
    for operation in operations:
        reply = operation.reply
        if not operation.ok or reply is None:
            continue
        if reply["st"] == ACCEPTED:
            accepted[operation.begun["id"]] = operation
        if reply["end"] != PENDING and (reply["end"], reply["won"]) != end:
            text = f"prompt {prompt_id} was said to be {reply['end']} by {reply['won']!r}, and is {end}"
            yield violated(2, text, reply, e.prompts[prompt_id])
        elif reply["st"] == CLOSED and reply["end"] == PENDING:
            yield violated(2, f"a loser of prompt {prompt_id} was not told the winner", reply)
    if len(accepted) > 1:
        lines = [operation.reply for operation in accepted.values()]
        yield violated(2, f"prompt {prompt_id}: {len(accepted)} answers were ACCEPTED", *lines)


def _equal_results(e: Evidence, prompt_id: str, operations: list[Operation]) -> Iterator[Violation]:
    by_answer: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_answer[operation.begun["id"]].append(operation)
    for answer_id, same in by_answer.items():
        stored = e.answers.get((prompt_id, answer_id))
        told: dict[str, Operation] = {}
        for operation in same:
            reply = operation.reply
            if reply is None:
                continue
            begun = operation.begun
            content = f"{begun['c']}|{begun['f']}|{begun['r']}"
            if operation.ok:
                first = told.setdefault(content, operation)
                assert first.reply is not None
                if first.reply["st"] != reply["st"]:
                    text = f"answer {answer_id} was {first.reply['st']}, and then {reply['st']}"
                    yield violated(3, text, first.reply, reply)
                if stored is not None and stored["answer"]["comment"] != begun["c"]:
                    yield violated(3, f"answer {answer_id} was taken with another content", begun, reply)
                elif stored is not None and _STATUS[stored["status"]] != reply["st"]:
                    text = f"answer {answer_id} was told {reply['st']}, and is stored as {stored['status']}"
                    yield violated(3, text, reply, stored)
            elif reply["why"] == "ID_REUSED":
                if stored is not None and stored["answer"]["comment"] == begun["c"]:
                    yield violated(3, f"answer {answer_id} was refused as another one's", begun, reply)
            else:
                yield violated(0, f"an answer met {reply['code']} {reply['why']}", begun, reply)
        if len(told) > 1:
            lines = [operation.reply for operation in told.values()]
            yield violated(3, f"answer {answer_id} was taken with {len(told)} contents", *lines)


def _observers(e: Evidence) -> Iterator[Violation]:
    """Whoever saw a prompt end saw the same end."""
    seen = [(line, "consoles") for lines in e.consoles.values() for line in lines if line["e"] == "closed"]
    seen += [(line, "workers") for line in e.workers if line["e"] == "got"]
    for line, who in seen:
        end = e.end_of(line["p"])
        if end is not None and (line["st"], line["a"]) != end:
            text = f"{who} saw prompt {line['p']} end as {(line['st'], line['a'])}, and it is {end}"
            yield violated(2, text, line, e.prompts[line["p"]])
        elif end is not None and end[0] == ANSWERED and "c" in line:
            stored = (e.prompts[line["p"]].get("response_data") or {}).get("comment")
            if stored != line["c"]:
                yield violated(1, f"the worker got another answer to {line['p']} than is stored", line)


def _reads(e: Evidence) -> Iterator[Violation]:
    """In every later read: on every replica when all is quiet, and at any time by STRONG reads."""
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
                yield violated(
                    1, f"{text}, long after it ended as {end}", reply, e.prompts[operation.begun["p"]]
                )
