"""Invariants between the stored jobs and the verdicts and events that programs received (docs/design.md 10).

A history has the JSON lines of all programs, each with `who`; tests/e2e/programs defines the events. Every
function raises AssertionError at the first violation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from askback import AnswerStatus, JobState, PromptState
from tests.e2e.stored import Stored
from tests.support.processes import Process

History = Sequence[Mapping[str, Any]]

_ENDS = {
    "PROMPT_ANSWERED": PromptState.ANSWERED,
    "PROMPT_EXPIRED": PromptState.EXPIRED,
    "PROMPT_CANCELLED": PromptState.CANCELLED,
    "PROMPT_SUPERSEDED": PromptState.SUPERSEDED,
}
_ENDS_LEASE = {
    "JOB_RELEASED",
    "JOB_LEASE_LOST",
    "JOB_RETRIED",
    "JOB_COMPLETED",
    "JOB_FAILED",
    "JOB_CANCELLED",
}
_SUBMITTED = {"PROMPT_ANSWERED", "ANSWER_REFUSED", "ANSWER_LATE"}


def history_of(processes: Iterable[Process]) -> list[dict[str, Any]]:
    """The output lines of all processes."""
    return [{**line, "who": process.name} for process in processes for line in process.output_lines]


def check_all(jobs: Iterable[Stored], history: History) -> None:
    """Run all checks of this module."""
    for stored in jobs:
        mine = [line for line in history if line.get("job_id") == stored.job.job_id]
        check_log(stored)
        check_fold(stored)
        check_one_resolution(stored)
        check_observers(stored, mine)
        check_accepted(stored, mine)
        check_losers(stored, mine)
        check_worker(stored, mine)
    check_replays(history)
    check_no_errors(history)


def check_log(stored: Stored) -> None:
    """`seq` is 1..n, tokens rise, no held job is leased; only updates and late answers follow the end."""
    events, job_id = stored.events, stored.job.job_id
    assert [e.seq for e in events] == list(range(1, len(events) + 1)), f"{job_id}: seq has a gap"
    assert events[0].type == "JOB_CREATED"
    tokens = [e.data["token"] for e in events if e.type == "JOB_LEASED"]
    assert all(a < b for a, b in pairwise(tokens)), f"{job_id}: tokens do not rise: {tokens}"
    holder = ended = None
    for event in events:
        assert ended is None or event.type in ("JOB_UPDATED", "ANSWER_LATE"), f"{event} after {ended}"
        if event.type == "JOB_LEASED":
            assert holder is None, f"{job_id}: leased at {event.seq} while {holder} held it"
            holder = event.data["worker_id"]
        elif event.type in _ENDS_LEASE or event.state is JobState.PENDING:
            # An answer makes a job leasable if its holder has expired.
            holder = None
        if event.is_last:
            ended = event


def check_fold(stored: Stored) -> None:
    """The rows of the job and its prompts equal the fold of its log."""
    job, events = stored.job, stored.events
    assert (job.state, job.version) == (events[-1].state, events[-1].seq), job.job_id
    attempt = token = 0
    states: dict[str, PromptState] = {}
    consumed: set[str] = set()
    submissions: Counter[str] = Counter()
    for event in events:
        attempt, token = event.data.get("attempt", attempt), event.data.get("token", token)
        if event.type == "PROMPT_ASKED":
            states[event.prompt_id] = PromptState.PENDING
        elif event.type in _ENDS:
            assert states[event.prompt_id] is PromptState.PENDING, f"{event.prompt_id} has ended twice"
            states[event.prompt_id] = _ENDS[event.type]
        elif event.type == "PROMPT_CONSUMED":
            consumed.add(event.prompt_id)
        if event.type in _SUBMITTED and event.data.get("source") != "TIMEOUT_DEFAULT":
            submissions[event.prompt_id] += 1
    assert (job.attempt, job.proto.token) == (attempt, token), job.job_id
    assert states == {p.prompt_id: p.state for p in stored.prompts.values()}, job.job_id
    still_open = [p for p, state in states.items() if state is PromptState.PENDING]
    assert (job.proto.rounds, job.open_prompts) == (len(states), len(still_open)), job.job_id
    assert not (still_open and job.state.is_terminal), f"{job.job_id} ended with open prompts"
    for prompt_id, prompt in stored.prompts.items():
        assert prompt.proto.HasField("consume_time") == (prompt_id in consumed), prompt_id
        counted = prompt.proto.submissions, len(stored.answers[prompt_id])
        assert counted == (submissions[prompt_id],) * 2, f"{prompt_id}: {counted} submissions"
    assert len({p.key for p in stored.prompts.values()}) == len(stored.prompts), "a key twice"
    rounds = sorted(p.proto.round for p in stored.prompts.values())
    assert rounds == list(range(1, len(rounds) + 1)), f"{job.job_id}: rounds {rounds}"


def check_one_resolution(stored: Stored) -> None:
    """Row, submissions and log agree on the one answer that won."""
    winners = {e.prompt_id: e.data["answer_id"] for e in stored.events if e.type == "PROMPT_ANSWERED"}
    for prompt_id, prompt in stored.prompts.items():
        accepted = [a for a, s in stored.answers[prompt_id] if s is AnswerStatus.ACCEPTED]
        won = prompt.answered
        assert (won is not None) == (prompt.state is PromptState.ANSWERED), prompt_id
        if won is None or won.by_default:
            assert not accepted, f"{prompt_id}: accepted, and not resolved by it: {accepted}"
        else:
            assert accepted == [won], f"{prompt_id}: {len(accepted)} were accepted"
        if won is not None:
            assert winners[prompt_id] == won.answer_id, f"{prompt_id}: the log names another winner"


def check_observers(stored: Stored, history: History) -> None:
    """Consoles saw each prompt close as it is stored, and were never shown a closed one."""
    for line in history:
        if line["event"] == "closing" and line["why"] == "closed":
            prompt = stored.prompts[line["prompt_id"]]
            won = prompt.answered.answer_id if prompt.answered else ""
            assert (line["state"], line["answer_id"]) == (prompt.state, won), line
        elif line["event"] == "shown":
            assert line["state"] == PromptState.PENDING, line
    closed: set[tuple[str, str]] = set()
    versions: dict[tuple[str, str], int] = {}
    for line in history:
        view = line["who"], line.get("prompt_id", "")
        if line["event"] == "closing":
            closed.add(view)
        elif line["event"] == "shown":
            assert view not in closed, f"shown again after its end: {line}"
            assert line["version"] >= versions.get(view, 0), f"shown older than before: {line}"
            versions[view] = line["version"]


def check_accepted(stored: Stored, history: History) -> None:
    """An answer with the verdict ACCEPTED is stored as it was sent and resolved the prompt."""
    for line in history:
        if line["event"] == "verdict" and line["status"] in ("ACCEPTED", "RECORDED"):
            submissions = {a.answer_id: (a, s) for a, s in stored.answers[line["prompt_id"]]}
            assert line["answer_id"] in submissions, f"told {line['status']}, and not stored: {line}"
            answer, status = submissions[line["answer_id"]]
            assert (status, answer.values) == (line["status"], {"value": line["value"]}), line
            if status is AnswerStatus.ACCEPTED:
                won = stored.prompts[line["prompt_id"]].answered
                assert won == answer, f"told ACCEPTED, and another answer won: {line}"


def check_losers(stored: Stored, history: History) -> None:
    """The verdict CLOSED names how the prompt ended, and the answer that won."""
    for line in history:
        if line["event"] == "verdict" and line["status"] == "CLOSED":
            prompt = stored.prompts[line["prompt_id"]]
            won = prompt.answered.answer_id if prompt.answered else ""
            assert (line["state"], line["winner"]) == (prompt.state, won), line
            values = prompt.answered.values if prompt.answered else None
            assert values != {"value": line["value"]}, f"the winner was told that it lost: {line}"


def check_worker(stored: Stored, history: History) -> None:
    """Workers received the stored answers, under their own tokens; the result has the same answers."""
    leased = {e.data["token"]: e.data["worker_id"] for e in stored.events if e.type == "JOB_LEASED"}
    values = {p.key: p.answered.values["value"] for p in stored.prompts.values() if p.answered}
    for line in history:
        if "token" in line:
            assert leased.get(line["token"]) == line["who"], f"not this worker's token: {line}"
        if line["event"] == "answered":
            assert values.get(line["key"]) == line["value"], (
                f"the job received an answer that is not stored: {line}"
            )
    if stored.job.state is JobState.COMPLETED and any(line["event"] == "runs" for line in history):
        assert stored.job.result == values, f"{stored.job.job_id}: the result has other answers"


def check_replays(history: History) -> None:
    """All verdicts on one `answer_id` are equal."""
    received: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in history:
        if line["event"] == "verdict" and "answer_id" in line:
            received[line["answer_id"]].add((line["status"], line["value"]))
    for answer_id, verdicts in received.items():
        assert len(verdicts) == 1, f"{answer_id} had several verdicts: {verdicts}"


def check_no_errors(history: History) -> None:
    """No error reached the code of a user, in a console or a worker."""
    for line in history:
        assert line["event"] != "error", line
        if line["event"] == "stopped":
            assert line["why"] in ("CancelledError", "LeaseLost"), line


def check_steps(jobs: Iterable[Stored], effects: Sequence[str], steps: Iterable[str]) -> None:
    """Each step of each job was done exactly once."""
    done = Counter(tuple(line.rsplit(" ", 2)[0].split(" ", 1)) for line in effects)
    wanted = {(stored.job.job_id, step): 1 for stored in jobs for step in steps}
    assert dict(done) == wanted, "steps were repeated or left out"
