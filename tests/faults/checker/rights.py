"""Invariant 14: people decide who may, together as many as are needed; and rules as often as they may.

What a prompt needs is read from the plan in its job's input, not from what the server stores of the prompt.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.faults.checker.evidence import GROUPS, Evidence
from tests.faults.checker.violation import Violation, violation
from tests.faults.history import Line

_COUNT = ("ACCEPTED", "RECORDED")
_TRANSFER = 1


def check(e: Evidence) -> Iterator[Violation]:
    """Check quorums, exclusions, transferred rights and uses of rules."""
    ended = {
        event["prompt_id"] for log in e.log.values() for event in log if event["type"] == "DELEGATION_ENDED"
    }
    withdrawn = {op.begun["id"]: op.reply for op in e.operations if op.what == "withdraw" and op.ok}
    for log in e.log.values():
        for event in log:
            if event["type"] == "PROMPT_ANSWERED":
                yield from _check_quorum(e, event, withdrawn)
    yield from _check_exclusions(e)
    yield from _check_transfers(e, ended)
    yield from _check_uses(e)


def _check_quorum(e: Evidence, event: Line, withdrawn: dict[str, Line | None]) -> Iterator[Violation]:
    prompt_id, data = event["prompt_id"], event.get("data") or {}
    needed = e.question_of(prompt_id).get("approve")
    if needed is None or data.get("decision") != "ACCEPT":
        return
    votes = data.get("votes") or [data.get("answer_id")]
    rows = [e.answers.get((prompt_id, answer_id)) for answer_id in votes]
    given = [row for row in rows if row is not None and row["status"] in _COUNT]
    voters = {row["answer"].get("user_id", "") for row in given}
    holders = {row["answer"].get("on_behalf_of") or row["answer"].get("user_id", "") for row in given}
    count = min(len(voters), len(holders))
    if count < needed["required"]:
        text = (
            f"prompt {prompt_id} needs {needed['required']} people, and {count} decided it: {sorted(voters)}"
        )
        yield violation(14, text, event, *given)
    for group, required in needed["groups"].items():
        members = sum(group in GROUPS.get(voter, ()) for voter in voters)
        if members < required:
            text = (
                f"prompt {prompt_id} needs {required} of {group}, and {members} decided it: {sorted(voters)}"
            )
            yield violation(14, text, event, *given)
    for answer_id in votes:
        if answer_id in withdrawn:
            yield violation(14, f"vote {answer_id} counted, and was withdrawn", withdrawn[answer_id], event)


def _check_exclusions(e: Evidence) -> Iterator[Violation]:
    """No answer of an excluded person, or in its place, counts."""
    for (prompt_id, answer_id), row in e.answers.items():
        excluded = e.question_of(prompt_id).get("exclude", ())
        answer = row["answer"]
        if row["status"] in _COUNT and not {answer.get("user_id", ""), answer.get("on_behalf_of")}.isdisjoint(
            excluded
        ):
            yield violation(14, f"answer {answer_id} counts, and its author is excluded", row)
    for operation in e.operations:
        if operation.what == "answer" and operation.ok and operation.reply is not None:
            excluded = e.question_of(operation.begun["p"]).get("exclude", ())
            if operation.reply["st"] in (1, 2) and operation.begun["who"] in excluded:
                text = f"an answer of {operation.begun['who']} was taken, who is excluded"
                yield violation(14, text, operation.begun, operation.reply)


def _check_transfers(e: Evidence, ended: set[str]) -> Iterator[Violation]:
    """A person that has given its right away answers no more by it."""
    gave: dict[tuple[str, str], Line] = {}
    first: dict[tuple[str, str], float] = {}
    for operation in e.operations:
        begun, reply = operation.begun, operation.reply
        if operation.what == "delegate" and operation.ok and reply is not None and begun["mode"] == _TRANSFER:
            gave.setdefault((begun["who"], begun["p"]), reply)
        elif operation.what == "answer":
            key = begun["p"], begun["id"]
            first[key] = min(first.get(key, begun["t"]), begun["t"])
    for (prompt_id, answer_id), row in e.answers.items():
        answer = row["answer"]
        given = gave.get((answer.get("user_id", ""), prompt_id))
        if given is None or prompt_id in ended or answer.get("on_behalf_of") or row["status"] not in _COUNT:
            continue
        if first.get((prompt_id, answer_id), 0.0) > given["t"]:
            text = f"answer {answer_id} counts, and its author had transferred the right"
            yield violation(14, text, given, row)


def _check_uses(e: Evidence) -> Iterator[Violation]:
    limits = {
        op.reply["rule"]: op.begun["n"] for op in e.operations if op.what == "rule" and op.ok and op.reply
    }
    uses: Counter[str] = Counter()
    lines: dict[str, list[Line]] = defaultdict(list)
    for row in e.answers.values():
        rule = row["answer"].get("rule", "").partition("@")[0]
        if rule and row["status"] in _COUNT:
            uses[rule] += 1
            lines[rule].append(row)
    for rule, number in uses.items():
        if number > limits.get(rule, number):
            yield violation(14, f"rule {rule} was used {number} times of {limits[rule]}", *lines[rule][-3:])
