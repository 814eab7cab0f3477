"""The checker on hand-written histories: reports violations, and only those."""

from typing import Any

import pytest

from tests.faults.checker import Bounds, Evidence, Verdict, judge_evidence

P, J = "prompt", "job"
LOG = (
    {"type": "JOB_CREATED", "state": "PENDING", "actor": "client", "data": {"attempt": 1, "token": 0}},
    {
        "type": "JOB_LEASED",
        "state": "RUNNING",
        "actor": "w1",
        "data": {"attempt": 1, "token": 1, "worker_id": "w1"},
    },
    {"type": "PROMPT_ASKED", "state": "PENDING_HITL", "actor": "w1", "prompt_id": P},
    {
        "type": "PROMPT_ANSWERED",
        "state": "RUNNING",
        "actor": "ana",
        "prompt_id": P,
        "data": {"answer_id": "a"},
    },
    {"type": "JOB_COMPLETED", "state": "COMPLETED", "actor": "w1"},
)
ROWS = (
    {
        "e": "job",
        "job_id": J,
        "job_type": "chaos",
        "status": "COMPLETED",
        "attempt": 1,
        "max_attempts": 3,
        "version": 5,
        "token": 1,
        "request_id": "r",
        "created_at": 1.0,
        "rounds": 1,
        "open_prompts": 0,
        "open_blocking": 0,
    },
    {
        "e": "prompt",
        "interaction_id": P,
        "job_id": J,
        "key": "q",
        "status": "ANSWERED",
        "revision": 1,
        "version": 4,
        "response_data": {"answer_id": "a", "comment": "yes", "state": "ANSWERED"},
    },
    {
        "e": "answer",
        "interaction_id": P,
        "answer_id": "a",
        "job_id": J,
        "seq": 4,
        "status": "ACCEPTED",
        "answer": {"comment": "yes"},
    },
)


def stored_rows(log: Any = LOG) -> list[dict[str, Any]]:
    """The rows of one job that was asked, answered and completed."""
    events = [{"e": "log", "id": i, "at": float(i), "job_id": J, "seq": i, **e} for i, e in enumerate(log, 1)]
    return [{"who": "stored", **row} for row in (*ROWS, *events)]


def answer(
    op: int, t: float, *, reply: dict[str, Any] | None, who: str = "ana", **fields: Any
) -> list[dict[str, Any]]:
    """The lines of an answer and its reply."""
    fields = {"id": "a", "p": P, "r": 1, "c": "yes", "f": "", **fields}
    lines = [{"who": who, "t": t, "e": "invoke", "what": "answer", "op": op, **fields}]
    if reply is not None:
        lines.append({"who": who, "t": t + 0.1, "op": op, **reply})
    return lines


OK = {"e": "ok", "st": 1, "again": False, "v": 4, "end": 2, "won": "a"}
LOST = {**OK, "st": 3}


def check_lines(*lines: dict[str, Any]) -> Verdict:
    """Run the checker on these lines."""
    whole = [{"_at": ("file", n), "start": "1", "t": 0.0, **line} for n, line in enumerate(lines, 1)]
    return judge_evidence(Evidence.of(whole, Bounds()))


def test_a_correct_history_has_no_violations() -> None:
    verdict = check_lines(
        *stored_rows(), *answer(1, 3.0, reply=OK), *answer(2, 3.2, reply=LOST, who="bob", id="b", c="no")
    )
    assert [v.text for v in verdict.violations] == []
    assert (verdict.prompts, verdict.answers, verdict.unknown) == (1, 2, 0)


@pytest.mark.parametrize("known", ["stored", "not stored"])
def test_an_answer_without_a_reply_counts_as_unknown_and_violates_nothing(known: str) -> None:
    identity = "a" if known == "stored" else "z"
    verdict = check_lines(*stored_rows(), *answer(1, 3.0, reply=None, id=identity))
    assert not verdict.violations
    assert verdict.unknown == 1


@pytest.mark.parametrize(
    ("invariant", "lines"),
    [
        (1, answer(1, 3.0, reply=OK, id="gone", c="?")),
        (1, answer(1, 3.0, reply=OK, c="another content")),
        (2, answer(1, 3.0, reply={**LOST, "won": "somebody else"}, who="bob", id="b")),
        (2, answer(1, 3.0, reply={**LOST, "end": 1, "won": ""}, who="bob", id="b")),
        (3, answer(1, 3.0, reply=OK) + answer(2, 4.0, reply=LOST)),
        (3, answer(1, 3.0, reply={"e": "no", "code": "ALREADY_EXISTS", "why": "ID_REUSED"})),
        (0, answer(1, 3.0, reply={"e": "no", "code": "INTERNAL", "why": "INTERNAL"})),
    ],
)
def test_wrong_replies_to_answers_are_violations(invariant: int, lines: list[dict[str, Any]]) -> None:
    verdict = check_lines(*stored_rows(), *lines)
    assert invariant in verdict.invariants, verdict.violations
    assert all(v.lines for v in verdict.violations)


def log_with(place: int, **fields: Any) -> list[dict[str, Any]]:
    """The log with one event changed."""
    return [{**event, **fields} if n == place else event for n, event in enumerate(LOG)]


@pytest.mark.parametrize(
    ("invariant", "log"),
    [
        (4, log_with(2, actor="w2")),
        (4, [*LOG[:2], LOG[1], *LOG[2:]]),
        (9, log_with(3, type="PROMPT_EXPIRED")),
        (9, log_with(4, state="RUNNING")),
        (9, LOG[:-1]),
        (10, [*LOG, {"type": "JOB_CANCELLED", "state": "CANCELLED", "actor": "client"}]),
    ],
)
def test_events_out_of_order_or_by_the_wrong_actor_are_violations(invariant: int, log: Any) -> None:
    assert invariant in check_lines(*stored_rows(log)).invariants


def test_unknown_event_types_are_ignored() -> None:
    reminded = {"type": "PROMPT_REMINDED", "state": "PENDING_HITL", "actor": "system", "prompt_id": P}
    rows = stored_rows([*LOG[:3], reminded, *LOG[3:]])
    rows[0] = {**rows[0], "version": 6}
    assert not check_lines(*rows).violations


@pytest.mark.parametrize(
    ("numbers", "invariant"), [((1, 2, 4, 5, 6), 9), ((2, 3, 4, 5, 6), 12), ((1, 2, 2, 3, 4), 9)]
)
def test_gaps_and_repeats_in_sequence_numbers_are_violations(
    numbers: tuple[int, ...], invariant: int
) -> None:
    rows = stored_rows()
    for row, number in zip(rows[3:], numbers, strict=True):
        row["seq"] = number
    assert invariant in check_lines(*rows).invariants


HELLO = {"who": "ana", "e": "hello", "s": 1, "resumes": False, "t": 5.0}
CAUGHT = {"who": "ana", "e": "caught", "s": 1, "n": 0, "t": 6.0}


def up(t: float, **more: Any) -> dict[str, Any]:
    """The line of an upserted prompt."""
    return {"who": "ana", "e": "up", "s": 1, "p": P, "j": J, "v": 3, "r": 1, "st": 1, "t": t, **more}


ASKED = [
    {"who": "worker1", "t": 2.5, "e": "invoke", "what": "ask", "op": 9, "j": J, "k": 1, "key": "q"},
    {"who": "worker1", "t": 2.6, "e": "ok", "op": 9, "p": P, "again": False, "v": 3},
]


@pytest.mark.parametrize(
    ("invariant", "lines"),
    [
        (6, [*ASKED, {**HELLO, "t": 3.0}, {**CAUGHT, "t": 3.5}]),
        (7, [HELLO, up(5.5, st=2)]),
        (7, [*answer(1, 3.0, reply=OK, who="bob"), HELLO, up(5.5)]),
        (7, [HELLO, up(5.5, v=4), up(5.6)]),
        (7, [HELLO, {**up(5.5), "e": "closed", "st": 2, "a": "a", "v": 4}, up(5.6, v=5)]),
        (2, [HELLO, {**up(5.5), "e": "closed", "st": 3, "a": "", "v": 4}]),
    ],
)
def test_wrong_console_events_are_violations(invariant: int, lines: list[dict[str, Any]]) -> None:
    rows = stored_rows()
    assert not check_lines(*rows, HELLO, CAUGHT).violations
    for row in rows:
        if row["e"] == "log" and row["type"] == "PROMPT_ANSWERED":
            row["at"] = 4.0
    assert invariant in check_lines(*rows, *lines).invariants


def decided(
    question: dict[str, Any], *voters: str, who: str = "ana", **answer_fields: Any
) -> list[dict[str, Any]]:
    """The rows of one prompt that these people and `who` decided by the votes a0, a1, …, and `a`."""
    rows = stored_rows()
    rows[0]["input"] = {"ask": [{"key": "q", **question}]}
    ids = [*(f"a{n}" for n, _ in enumerate(voters)), "a"]
    rows[2] = {**rows[2], "answer": {"comment": "yes", "user_id": who, **answer_fields}}
    for answer_id, voter in zip(ids, voters, strict=False):
        vote = {"comment": "yes", "user_id": voter}
        rows.append({**rows[2], "answer_id": answer_id, "status": "RECORDED", "answer": vote})
    for row in rows:
        if row["e"] == "log" and row["type"] == "PROMPT_ANSWERED":
            row["data"] = {"answer_id": "a", "decision": "ACCEPT", "votes": ids}
    return rows


BOTH = {"approve": {"required": 2, "groups": {"red": 1, "blue": 1}}}
DELEGATED = [
    {"who": "ana", "t": 1.0, "e": "invoke", "what": "delegate", "op": 7, "p": P, "to": "bob", "mode": 1},
    {"who": "ana", "t": 1.1, "e": "ok", "op": 7},
]
WITHDRAWN = [
    {"who": "cleo", "t": 1.0, "e": "invoke", "what": "withdraw", "op": 8, "p": P, "id": "a0"},
    {"who": "cleo", "t": 1.1, "e": "ok", "op": 8},
]
RULE = [
    {"who": "cleo", "t": 1.0, "e": "invoke", "what": "rule", "op": 9, "n": 1},
    {"who": "cleo", "t": 1.1, "e": "ok", "op": 9, "rule": "r"},
]


@pytest.mark.parametrize(
    "lines",
    [
        decided(BOTH, "cleo"),
        decided({"approve": {"required": 2, "groups": {}}}, "bob"),
        [*decided({"exclude": ["bob"]}), *answer(1, 3.0, reply=OK)],
        [*decided({"pass": True}, who="ana", on_behalf_of="bob"), *DELEGATED, *answer(1, 3.0, reply=OK)],
        [*decided({"errand": True}, who="cleo", rule="r@1"), *RULE],
    ],
)
def test_decisions_of_people_who_may_have_no_violations(lines: list[dict[str, Any]]) -> None:
    assert [v.text for v in check_lines(*lines).violations] == []


@pytest.mark.parametrize(
    ("says", "lines"),
    [
        ("needs 2 people", decided(BOTH)),
        ("needs 2 people", decided(BOTH, "ana")),
        ("needs 1 of blue", decided(BOTH, "bob")),
        ("was withdrawn", [*decided(BOTH, "cleo"), *WITHDRAWN]),
        ("is excluded", decided({"exclude": ["ana"]})),
        ("is excluded", decided({"exclude": ["bob"]}, on_behalf_of="bob")),
        (
            "was taken, who is excluded",
            [*decided({"exclude": ["bob"]}), *answer(1, 3.0, reply=OK, who="bob")],
        ),
        ("had transferred", [*decided({"pass": True}), *DELEGATED, *answer(1, 3.0, reply=OK)]),
        (
            "was used 2 times of 1",
            [
                *decided({"errand": True}, who="cleo", rule="r@1"),
                *RULE,
                {
                    "who": "stored",
                    "e": "answer",
                    "interaction_id": "another",
                    "answer_id": "b",
                    "job_id": J,
                    "seq": 4,
                    "status": "ACCEPTED",
                    "answer": {"comment": "", "user_id": "cleo", "rule": "r@1"},
                },
            ],
        ),
        ("hash chain", [*stored_rows(), {"who": "stored", "e": "wrong", "row": "event 3"}]),
    ],
)
def test_decisions_against_the_rights_of_people_are_violations(
    says: str, lines: list[dict[str, Any]]
) -> None:
    found = check_lines(*lines).violations
    assert any(says in v.text for v in found), found
