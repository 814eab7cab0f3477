"""Generate docs/states.md from the transition tables, or check that it is up to date.

In: `askback_server.domain.transitions` and the events' meanings below; with --check also the committed
page. Out: docs/states.md; with --check nothing is written, and exit status 1 says that it is stale.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from askback_server.domain.events import EventType
from askback_server.domain.jobs import TERMINAL, JobState
from askback_server.domain.prompts import PromptState
from askback_server.domain.transitions import JOB_TRANSITIONS, PROMPT_TRANSITIONS, Transition

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "states.md"


@dataclass(frozen=True)
class Meaning:
    """The meaning of an event, and the keys of its `data`."""

    text: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_E = EventType

EVENTS: Mapping[EventType, Meaning] = {
    _E.JOB_CREATED: Meaning(
        "A client created the job.",
        ("job_type", "user_id", "attempt", "token"),
        ("requesters", "retried_from", "keep"),
    ),
    _E.JOB_CARRIED_OVER: Meaning(
        "The answers and checkpoints that a retry takes over. Follows JOB_CREATED, in pages if it is long.",
        ("retried_from", "page", "pages", "answers", "checkpoints"),
    ),
    _E.JOB_LEASED: Meaning("A worker took the job.", ("token", "attempt", "worker_id")),
    _E.JOB_PROGRESSED: Meaning(
        "The holder reported progress.", ("done", "total", "percent", "message", "milestone")
    ),
    _E.JOB_RELEASED: Meaning("The holder gave the job up without a failure.", ("parked",)),
    _E.JOB_LEASE_LOST: Meaning(
        "The holder's session expired, or its worker does not run the job. While RUNNING this ends the "
        "attempt, unless `received` is false: no worker received it. While PENDING_HITL it does not.",
        (),
        ("attempt", "code", "message", "received", "worker_id"),
    ),
    _E.JOB_RETRIED: Meaning(
        "An attempt failed; another follows. If `counted` is false, the worker's version was at fault, and "
        "the same attempt is repeated.",
        ("attempt", "code", "message"),
        ("counted",),
    ),
    _E.JOB_WAITS: Meaning(
        "The job continued after one of several answers, and waits for open prompts again."
    ),
    _E.JOB_COMPLETED: Meaning("The job ended with a result."),
    _E.JOB_FAILED: Meaning("The job ended with a failure.", ("code", "message")),
    _E.JOB_CANCEL_REQUESTED: Meaning("A client asked the holder to stop.", ("reason",)),
    _E.JOB_CANCELLED: Meaning("The job was cancelled.", (), ("reason",)),
    _E.JOB_UPDATED: Meaning("Labels, priority, promoted or retention changed.", ("fields",)),
    _E.JOB_DELETED: Meaning("The job was deleted, or its retention ended."),
    _E.CHECKPOINT_SAVED: Meaning("The holder saved a step's result.", ("key",)),
    _E.UNDERSTANDING_UPDATED: Meaning("The deep-understanding state was written.", ("version",)),
    _E.PROMPT_ASKED: Meaning(
        "The job asked people.",
        ("round", "key", "kind", "title", "blocking", "revision", "digest"),
        ("shortfalls",),
    ),
    _E.PROMPT_AMENDED: Meaning(
        "The content of an open prompt changed; answers to older revisions are STALE.",
        ("round", "key", "revision", "digest"),
        ("shortfalls", "votes", "delegations"),
    ),
    _E.PROMPT_CLAIMED: Meaning("A person claimed the prompt, or extended the claim.", ("round",)),
    _E.PROMPT_RELEASED: Meaning("The claim was released.", ("round",)),
    _E.PROMPT_ANSWERED: Meaning(
        "A person, or the default of a passed deadline, answered; with `votes`, by these answers together.",
        ("round", "key", "answer_id", "decision", "source"),
        ("carried_from", "by", "votes", "on_behalf_of"),
    ),
    _E.PROMPT_EXPIRED: Meaning("No answer in time.", ("round", "key")),
    _E.PROMPT_CANCELLED: Meaning("The prompt was withdrawn, or its job ended.", ("round", "key")),
    _E.PROMPT_SUPERSEDED: Meaning("Another prompt replaced it.", ("round", "key")),
    _E.PROMPT_UNATTENDED: Meaning(
        "No person who may answer the open prompt has a console connected.", ("round", "key")
    ),
    _E.PROMPT_ATTENDED: Meaning(
        "A person who may answer the prompt has a console connected again.", ("round", "key")
    ),
    _E.PROMPT_REWORDED: Meaning(
        "The job asked a closed prompt's question in other words and kept its resolution.",
        ("round", "key", "digest", "asked_digest"),
    ),
    _E.PROMPT_CONSUMED: Meaning("The holder confirmed that it has the resolution.", ("round",)),
    _E.PROMPT_ESCALATED: Meaning(
        "A step of the escalation was due without an answer: `users` and `groups` are asked as well, or with "
        "`replace` instead of the previous audience.",
        ("round", "key", "step", "users", "groups", "replace", "priority"),
        ("votes", "delegations"),
    ),
    _E.PROMPT_VOTED: Meaning(
        "A person voted on a prompt with an approval. `outcome` is what the vote is for, `replaces` the "
        "person's vote before. `votes` have ended, because their authors have left; those in "
        "`lapsed` keep these groups.",
        ("round", "key", "answer_id", "decision", "outcome", "groups", "entry", "status"),
        ("replaces", "votes", "lapsed", "on_behalf_of", "delegation", "via"),
    ),
    _E.PROMPT_RULED: Meaning(
        "Rules match the prompt that was asked or amended, or could not be evaluated. With the `outcome` ASK "
        "people are asked.",
        ("round", "key", "outcome", "matched", "inputs", "rules_version"),
        ("evaluator", "errors", "routed", "hindered", "conflict", "asked_digest"),
    ),
    _E.VOTE_WITHDRAWN: Meaning("A person withdrew its vote.", ("round", "key", "answer_id")),
    _E.PROMPT_EXCLUDED: Meaning(
        "The people (`users`) who answered another prompt (`answered`, its key) may not answer this one; "
        "some votes (`votes`, their answer ids) have ended with it.",
        ("round", "key", "users", "answered"),
        ("votes", "delegations"),
    ),
    _E.PROMPT_DELEGATED: Meaning(
        "The right of a person (`holder`) to answer was delegated by `giver` to a `user` or a `group`, or "
        "the absence that is the `cause` ends at another time.",
        ("round", "key", "number", "holder", "giver", "mode", "cause", "at"),
        ("user", "group", "until", "parent", "comment", "entry"),
    ),
    _E.DELEGATION_ENDED: Meaning(
        "Delegations (`numbers`) have ended before the prompt; so have some votes (`votes`).",
        ("round", "key", "numbers", "why"),
        ("votes", "comment"),
    ),
    _E.PROMPT_REROUTED: Meaning(
        "The asker or an admin changed who is asked (`users`, `groups`), the priority, the deadline "
        "(`timeout_s` from now) or the escalation (its number of steps).",
        ("round", "key"),
        (
            "users",
            "groups",
            "priority",
            "timeout_s",
            "escalation",
            "reason",
            "votes",
            "delegations",
            "shortfalls",
        ),
    ),
    _E.SUBSTITUTE_SKIPPED: Meaning(
        "The substitute (`user`) of an absent person (`giver`) may not answer this prompt.",
        ("round", "key", "giver", "user", "why"),
    ),
    _E.PROMPT_REMINDED: Meaning("Consoles were sent the prompt again.", ("round", "key", "count")),
    _E.ANSWER_REFUSED: Meaning(
        "An INVALID or STALE answer was kept for the audit; the prompt stays open.",
        ("round", "answer_id", "status"),
    ),
    _E.ANSWER_LATE: Meaning(
        "An answer came after the prompt was closed; it is kept and resolves nothing.",
        ("round", "answer_id", "status"),
    ),
}

KEYS: Mapping[str, str] = {
    "answer_id": "the client's name of the answer; `default:` and the prompt's id for a default",
    "answers": "a list of `key`, `decision`, `by` (its author), `at`, `from` (the job in which it was given)",
    "asked_digest": "the digest of the new wording; of PROMPT_RULED, of the content as the job asked it",
    "conflict": "why rules that match do not answer",
    "errors": "rules whose expression could not be evaluated",
    "evaluator": "the library that evaluated expressions, with its version",
    "hindered": "by rule, why its author could not give its answer alone",
    "inputs": "the digest of the values that expressions may read; empty if they could not be read",
    "matched": "rules that match, each as id@revision",
    "routed": "rules that changed audience, approval, priority or timeout",
    "rules_version": "the version of the namespace's rules",
    "attempt": "the number of the attempt that this event starts or continues",
    "blocking": "whether the job waits for the prompt",
    "entry": "the groups by which the person, or the holder, was asked; null: by name, or as everyone",
    "by": "the author of an answer that was carried over",
    "carried_from": "the earlier job of the chain in which the answer was given",
    "checkpoints": "a list of `key` and `at`",
    "code": "the failure's code",
    "count": "how many reminders there have been with this one",
    "counted": "false: the attempt was not counted",
    "decision": "what was decided",
    "digest": "the digest of what people see; equal digests are the same question",
    "answered": "the key of the prompt that was answered",
    "done": "steps done",
    "fields": "names of the fields that were set",
    "groups": "the groups that the step names; of a vote, the person's groups that count",
    "job_type": "the job's type",
    "keep": "ALL or NOTHING: what a retried job takes over from the job that it repeats",
    "lapsed": "the `groups` and `entry` that are left to votes, by answer_id",
    "outcome": "of a vote, a digest of what it decides: equal ones count together; of rules, ANSWER, REFUSE "
    "or ASK",
    "replaces": "the answer_id of the person's vote before",
    "votes": "the answer_ids of votes",
    "at": "when",
    "cause": "PERSON: the giver has delegated it; ABSENCE: the giver is away",
    "comment": "what the person said",
    "delegation": "the number of the delegation by which the vote was given; 0: by a right of its own",
    "delegations": "the numbers of delegations that ended with it",
    "escalation": "the number of steps of the new escalation, which counts from now",
    "giver": "the person who delegated, or who is away",
    "group": "the group that got the right",
    "holder": "the person whose right it is",
    "mode": "TRANSFER: the giver has the right no more; ADD: the giver keeps it",
    "number": "the number of the delegation in its prompt",
    "numbers": "the numbers of delegations",
    "on_behalf_of": "the person in whose place the answer was given",
    "parent": "the number of the delegation by which the giver had the right",
    "timeout_s": "seconds until the new deadline",
    "until": "when the delegation ends by itself",
    "user": "the person who got the right, or would have",
    "via": "the group to which the right was delegated",
    "why": "RETURNED, ABSENCE; of a substitute SELF_REVIEW, EXCLUDED, VOTED, POLICY, CYCLE, CHAIN",
    "requesters": "who else asked for the job",
    "key": "the asker's name of the prompt, or the checkpoint's name",
    "kind": "the prompt's kind",
    "message": "for people; a failure's is cut to 500 characters",
    "milestone": "whether the worker wants this report stored as its own event",
    "page": "the number of this event among those that list what was carried over",
    "pages": "how many such events there are",
    "received": "false: no worker had received the job, so no attempt is counted",
    "parked": "true: the job waits for people without a worker; false: it is PENDING again",
    "percent": "0 to 100",
    "priority": "the prompt's priority after the event",
    "reason": "the client's reason for the cancel, or for the new routing",
    "replace": "true: the step's users and groups (everyone, if it names none) replace the previous audience",
    "retried_from": "the job that this one repeats",
    "revision": "the prompt's revision after the event",
    "round": "the prompt's number in its job",
    "shortfalls": "lists of a group (empty: in all), how many are needed, and how many the directory knows",
    "source": "HUMAN, TEST, OVERRIDE, RULE or TIMEOUT_DEFAULT",
    "status": "the verdict on the answer: INVALID, STALE or CLOSED",
    "step": "the number of the step of the escalation, from 1",
    "title": "the prompt's title",
    "token": "the newest fencing token",
    "total": "steps in all; 0 when not known",
    "user_id": "the user for whom the job was created",
    "users": "the users that the step, or the new routing, names",
    "version": "the version of the deep-understanding state",
    "worker_id": "the worker that took, or lost, the job",
}

_HEAD = """\
# States and events

<!-- Generated by scripts/gen_states.py from domain/transitions.py. Do not edit. -->

A job and a prompt are two small state machines. Every change is one of the steps below. Any other change is
refused with `ILLEGAL_STATE`, or with `PROMPT_CLOSED` for a prompt. A step is caused by a **client** (the
program that created the job), the **worker** that holds the job (its lease), a **person** at a console, or
the **system** (timers, clean-up and expired leases).
"""

_JOB = """\
## Jobs

COMPLETED, FAILED and CANCELLED are final. A job is in PENDING_HITL exactly while a blocking prompt is
open; it needs no worker then. If a job that no worker holds asked to continue with the first answer
(`wakes`), that answer makes it PENDING. Its other prompts stay open, and it waits again when its worker asks
for them again. A job that is created with its prompt and without a worker starts in PENDING_HITL.
"""

_PROMPT = """\
## Prompts

Only PENDING is open; every other state is final. A claim does not change the state of a prompt. A prompt
that does not block never changes its job's state, unless its deadline has the final action FAIL_JOB.
"""

_EVENTS = """\
## Events

Each committed change writes at least one event. `seq` counts 1, 2, 3 … in each job without a gap. The job's
`version` is the `seq` of its newest event, and `state` is the job's state after the event. `data` has the
keys listed here and never the content of an answer. Keys in brackets may be absent.

A command may write several events. Prompts that end together with their job come first; the event that ends
the job is the last.
"""


def _diagram(steps: Mapping[tuple[StrEnum, StrEnum], Transition], starts: Mapping[str, str]) -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    for state, label in starts.items():
        yield f"    [*] --> {state}: {label}"
    labels: dict[tuple[str, str], list[str]] = {}
    for (state, trigger), step in steps.items():
        labels.setdefault((state.value, step.to.value), []).append(trigger.value)
    for (state, to), triggers in labels.items():
        yield f"    {state} --> {to}: {', '.join(triggers)}"
    left = {state for state, _ in labels}
    for to in dict.fromkeys(to for _, to in labels if to not in left):
        yield f"    {to} --> [*]"
    yield "```"
    yield ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _steps(steps: Mapping[tuple[StrEnum, StrEnum], Transition]) -> Iterator[str]:
    rows = [
        (state.value, trigger.value, step.to.value, ", ".join(step.by), step.meaning)
        for (state, trigger), step in steps.items()
    ]
    yield from _table(("from", "trigger", "to", "by", "meaning"), rows)


def _keys(meaning: Meaning) -> str:
    return ", ".join([*(f"`{k}`" for k in meaning.required), *(f"[`{k}`]" for k in meaning.optional)])


def page() -> str:
    """The whole page."""
    job: dict[tuple[StrEnum, StrEnum], Transition] = dict(JOB_TRANSITIONS.items())
    prompt: dict[tuple[StrEnum, StrEnum], Transition] = dict(PROMPT_TRANSITIONS.items())
    starts = {JobState.PENDING.value: "created", JobState.PENDING_HITL.value: "created with its prompt"}
    events = [(e.value, EVENTS[e].text, _keys(EVENTS[e])) for e in EventType]
    lines = [
        _HEAD,
        _JOB,
        *_diagram(job, starts),
        *_steps(job),
        _PROMPT,
        *_diagram(prompt, {PromptState.PENDING.value: "asked"}),
        *_steps(prompt),
        _EVENTS,
        *_table(("event", "meaning", "data"), events),
        *_table(("key", "meaning"), [(f"`{key}`", text) for key, text in KEYS.items()]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _check_words() -> None:
    """Exit if an event or a key has no meaning, or a meaning belongs to none."""
    used = {key for m in EVENTS.values() for key in (*m.required, *m.optional)}
    if missing := [e.value for e in EventType if e not in EVENTS] or sorted(used ^ set(KEYS)):
        sys.exit(f"scripts/gen_states.py has no words, or needless ones, for: {', '.join(missing)}")
    if open_ends := [s for s in TERMINAL if any(at is s for at, _ in JOB_TRANSITIONS)]:
        sys.exit(f"a terminal state must have no way out: {', '.join(open_ends)}")


def main() -> None:
    """Generate the page; with --check compare instead of writing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is stale")
    check = parser.parse_args().check
    _check_words()
    fresh = page()
    present = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if fresh == present:
        return
    if check:
        sys.exit("docs/states.md is stale, run scripts/gen_states.py")
    PAGE.write_text(fresh, encoding="utf-8")
    print("docs/states.md written")


if __name__ == "__main__":
    main()
