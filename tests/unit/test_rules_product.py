"""Every command in every situation of a job, against a table written from docs/design.md and the contract.

`JobWorld.do` checks all invariants on the way, so a cell only names the outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain import vote_commands as v
from askback_server.domain.apply import RULES
from askback_server.domain.approvals import Approval
from askback_server.domain.content import EscalationStep, FinalAction, PromptContent, Reminders
from askback_server.domain.decisions import Decision
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.errors import (
    AskbackError,
    IdReused,
    IllegalState,
    JobNotFound,
    LeaseLost,
    PromptClosed,
    PromptNotFound,
)
from askback_server.domain.jobs import JobState, Progress
from askback_server.domain.voting_rules import AnswerNotFound
from tests.support.aggregates import BOB, CLIENT, HOUR, S1, S2, WORKER, JobWorld, deadline, question

A = deadline(FinalAction.EXPIRE)
"""The prompt `a` of all situations. It blocks unless a situation says otherwise, for at most an hour."""
ASIDE = deadline(FinalAction.EXPIRE, blocking=False)
HALF = HOUR / 2
PRESSED = deadline(
    FinalAction.EXPIRE,
    escalation=(EscalationStep(HALF, raise_priority=1),),
    reminders=Reminders(every=HOUR, after=HOUR * 2 / 3),
)
"""Like `A`, with a step and a reminder before its deadline."""


def none(world: JobWorld) -> None:
    """No job at all."""


def pending(world: JobWorld) -> None:
    world.create(request_id="r")


def backoff(world: JobWorld) -> None:
    held(world)
    world.fail()
    world.answer("earlier", decision=Decision.REJECT)
    world.lease()
    world.fail()


def aside(world: JobWorld) -> None:
    """PENDING, with an open prompt that does not block."""
    run_aside(world)
    world.release()


def run(world: JobWorld) -> None:
    pending(world)
    world.lease()


def run_aside(world: JobWorld) -> None:
    run(world)
    world.ask("a", ASIDE)


def wish(world: JobWorld) -> None:
    """RUNNING, with a requested cancel."""
    run(world)
    world.cancel()


def held(world: JobWorld) -> None:
    """Waits for people and has a holder."""
    run(world)
    world.ask("a", A)


def three(world: JobWorld) -> None:
    """Waits for two blocking prompts; a third does not block."""
    held(world)
    world.ask("b", A)
    world.ask("c", ASIDE)


def voted(world: JobWorld) -> None:
    """Waits for the second of two votes."""
    run(world)
    world.ask("a", deadline(FinalAction.EXPIRE, approval=Approval(2)))
    world.answer("vote", principal=BOB)


def held_wish(world: JobWorld) -> None:
    held(world)
    world.cancel()


def parked(world: JobWorld) -> None:
    """Waits for people without a holder."""
    held(world)
    world.release()


def dead(world: JobWorld) -> None:
    """Waits for people; its holder's session has expired and is not reaped yet."""
    held(world)
    world.dead.add(S1.session_id)


def dead_wish(world: JobWorld) -> None:
    held_wish(world)
    world.dead.add(S1.session_id)


def alone(world: JobWorld) -> None:
    """It has no worker: the prompt's resolution will be its result."""
    world.create(A, request_id="r")


def completed(world: JobWorld) -> None:
    held(world)
    world.complete()


def failed(world: JobWorld) -> None:
    held(world)
    world.fail(retryable=False)


def cancelled(world: JobWorld) -> None:
    parked(world)
    world.cancel()


def settled(world: JobWorld) -> None:
    """It had no worker; its prompt was answered."""
    alone(world)
    world.answer("first", key="prompt")


def stepping(world: JobWorld) -> None:
    """Like `held`; more people are asked after half an hour, and reminded after forty minutes."""
    run(world)
    world.ask("a", PRESSED)


def timed(world: JobWorld) -> None:
    """Like `run`; an attempt may take three quarters of an hour, and the job two hours."""
    world.create(request_id="r", timeout=2 * HOUR, run_timeout=HALF * 1.5)
    world.lease()


SITUATIONS: list[Callable[[JobWorld], None]] = [
    none,
    pending,
    backoff,
    aside,
    run,
    run_aside,
    wish,
    held,
    three,
    voted,
    held_wish,
    parked,
    dead,
    dead_wish,
    alone,
    completed,
    failed,
    cancelled,
    settled,
    stepping,
    timed,
]


def without_consoles(world: JobWorld) -> None:
    world.present = ()
    world.on_job(c.ReviewPresence)


def key_of_a(world: JobWorld) -> str:
    return "prompt" if world.aggregate.job and world.job.workerless else "a"


def later(by: timedelta, kind: type[c.OnJob]) -> Callable[[JobWorld], Any]:
    return lambda w: w.tick(by).on_job(kind)


def person(kind: type[c.OnPrompt], **fields: Any) -> Callable[[JobWorld], Any]:
    return lambda w: w.on_prompt(kind, key_of_a(w), **fields)


def answer(**fields: Any) -> Callable[[JobWorld], Any]:
    return lambda w: w.answer("new", key_of_a(w), **fields)


def create(world: JobWorld) -> Any:
    workerless = world.aggregate.job is not None and world.job.workerless
    return world.create(A if workerless else None, request_id="r")


def lease(world: JobWorld) -> Any:
    return world.on_job(c.LeaseJob, principal=WORKER, session=S2, worker_id="w")


def ask(key: str, content: PromptContent, **fields: Any) -> Callable[[JobWorld], Any]:
    return lambda w: w.ask(key, content, **fields)


def acknowledge(world: JobWorld) -> Any:
    done = tuple(p.prompt_id for p in world.aggregate.prompts.values() if not p.is_open)
    return world.on_job(c.AcknowledgePrompts, prompt_ids=done)


def understand(**fields: Any) -> Callable[[JobWorld], Any]:
    fields = {"values": {"complete": True}, **fields}
    return lambda w: w.on_job(c.UpdateUnderstanding, **fields)


def understand_as_worker(world: JobWorld) -> Any:
    token = world.aggregate.job.token if world.aggregate.job else 1
    return understand(principal=WORKER, token=token)(world)


def drop(received: bool) -> Callable[[JobWorld], Any]:
    def act(world: JobWorld) -> Any:
        token = world.aggregate.job.token if world.aggregate.job else 1
        return world.on_job(c.DropLease, token=token, session=S1, received=received)

    return act


def wrong_token(world: JobWorld) -> Any:
    return world.on_job(c.ReleaseJob, token=world.job.token + 1 if world.aggregate.job else 1)


COMMANDS: dict[str, tuple[type[c.Command], Callable[[JobWorld], Any]]] = {
    "create": (c.CreateJob, create),
    "create_other": (c.CreateJob, lambda w: w.create(request_id="r", priority=1)),
    "update": (c.UpdateJob, lambda w: w.on_job(c.UpdateJob, values={"priority": 5})),
    "cancel": (c.CancelJob, lambda w: w.on_job(c.CancelJob, reason="again")),
    "delete": (c.DeleteJob, lambda w: w.on_job(c.DeleteJob)),
    "purge_early": (c.PurgeJob, lambda w: w.on_job(c.PurgeJob)),
    "purge": (c.PurgeJob, later(timedelta(days=31), c.PurgeJob)),
    "understand": (c.UpdateUnderstanding, understand()),
    "und_worker": (c.UpdateUnderstanding, understand_as_worker),
    "expire_early": (c.RunDue, lambda w: w.on_job(c.RunDue)),
    "expire": (c.RunDue, later(HOUR, c.RunDue)),
    "nudge": (c.RunDue, later(HALF, c.RunDue)),
    "overrun": (c.RunDue, later(HALF * 1.5, c.RunDue)),
    "too_late": (c.RunDue, later(2 * HOUR, c.RunDue)),
    "grace_early": (c.EndGrace, lambda w: w.on_job(c.EndGrace)),
    "grace": (c.EndGrace, later(timedelta(seconds=30), c.EndGrace)),
    "lose": (c.LoseSession, lambda w: w.on_job(c.LoseSession, session_id=S1.session_id)),
    "lose_other": (c.LoseSession, lambda w: w.on_job(c.LoseSession, session_id=S2.session_id)),
    "drop": (c.DropLease, drop(received=True)),
    "drop_unreceived": (c.DropLease, drop(received=False)),
    "attended": (c.ReviewPresence, lambda w: w.on_job(c.ReviewPresence)),
    "unattended": (c.ReviewPresence, without_consoles),
    "lease": (c.LeaseJob, lease),
    "progress": (c.ReportProgress, lambda w: w.on_job(c.ReportProgress, progress=Progress(1, 2))),
    "ask": (c.AskPrompt, ask("new", question())),
    "ask_aside": (c.AskPrompt, ask("new", question(blocking=False))),
    "ask_again": (c.AskPrompt, ask("a", A)),
    "ask_amend": (c.AskPrompt, ask("a", deadline(FinalAction.EXPIRE, title="Now?"))),
    "amend_aside": (c.AskPrompt, ask("a", question("Now?", blocking=False))),
    "supersede": (c.AskPrompt, ask("new", question(), supersedes=("a",))),
    "ack": (c.AcknowledgePrompts, acknowledge),
    "checkpoint": (c.SaveCheckpoint, lambda w: w.on_job(c.SaveCheckpoint, key="k", value_json="1")),
    "complete": (c.CompleteJob, lambda w: w.complete()),
    "fail": (c.FailJob, lambda w: w.fail(retryable=False)),
    "retry": (c.FailJob, lambda w: w.fail()),
    "release": (c.ReleaseJob, lambda w: w.on_job(c.ReleaseJob)),
    "wrong_token": (c.ReleaseJob, wrong_token),
    "answer": (c.AnswerPrompt, answer()),
    "step_answer": (c.AnswerPrompt, lambda w: answer()(w.tick(HALF))),
    "stale": (c.AnswerPrompt, answer(revision=7)),
    "invalid": (c.AnswerPrompt, answer(decision=Decision.DISMISS)),
    "claim": (c.ClaimPrompt, person(c.ClaimPrompt)),
    "unclaim": (c.ReleasePrompt, person(c.ReleasePrompt)),
    "override": (v.OverridePrompt, lambda w: w.override(key=key_of_a(w))),
    "unvote": (v.WithdrawAnswer, person(v.WithdrawAnswer, answer_id="vote")),
    "withdraw": (c.CancelPrompt, person(c.CancelPrompt, principal=CLIENT)),
    "delegate": (r.DelegatePrompt, person(r.DelegatePrompt, user="dan", mode=DelegationMode.TRANSFER)),
    "return": (r.ReturnPrompt, person(r.ReturnPrompt)),
    "reroute": (r.ReroutePrompt, person(r.ReroutePrompt, principal=CLIENT, priority=5)),
    "absences": (r.ReviewAbsences, lambda w: w.on_job(r.ReviewAbsences)),
}

ERRORS: dict[str, type[AskbackError]] = {
    "nj": JobNotFound,
    "np": PromptNotFound,
    "il": IllegalState,
    "ll": LeaseLost,
    "pc": PromptClosed,
    "id": IdReused,
    "an": AnswerNotFound,
}
STATES = {
    "P": JobState.PENDING,
    "R": JobState.RUNNING,
    "H": JobState.PENDING_HITL,
    "C": JobState.COMPLETED,
    "F": JobState.FAILED,
    "X": JobState.CANCELLED,
}

# A capital letter: the job changes to this state (D: deleted). `=`: OK, and nothing changes.
# Lower-case letters: an error (see ERRORS), and nothing changes.
TABLE = """
command          none  pending  backoff  aside  run  run_aside  wish  held  three  voted  held_wish  parked  dead  dead_wish  alone  completed  failed  cancelled  settled  stepping  timed
create           P     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        =         id
create_other     P     id       id       id     id   id         id    id    id     id     id         id      id    id         id     id         id      id         id       id        id
update           nj    P        P        P      R    R          R     H     H      H      H          H       H     H          H      C          F       X          C        H         R
cancel           nj    X        X        X      R    R          =     H     H      H      =          X       H     =          X      il         il      =          il       H         R
delete           nj    il       il       il     il   il         il    il    il     il     il         il      il    il         il     D          D       D          D        il        il
purge_early      =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        =         =
purge            =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      D          D       D          D        =         =
understand       nj    P        P        P      R    R          R     H     H      H      H          H       H     H          H      il         il      il         il       H         R
und_worker       nj    ll       ll       ll     R    R          R     H     H      H      H          ll      ll    ll         ll     ll         ll      ll         ll       H         R
expire_early     =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        =         =
expire           =     =        =        P      =    R          =     R     R      R      R          P       P     X          C      =          =       =          =        R         P
nudge            =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        H         =
overrun          =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        H         P
too_late         =     =        =        P      =    R          =     R     R      R      R          P       P     X          C      =          =       =          =        R         F
grace_early      =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        =         =
grace            =     =        =        =      =    =          X     =     =      =      X          =       =     X          =      =          =       =          =        =         =
lose             =     =        =        =      P    P          X     H     H      H      X          =       H     X          =      =          =       =          =        H         P
lose_other       =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        =         =
drop             =     =        =        =      P    P          X     H     H      H      X          =       =     =          =      =          =       =          =        H         P
drop_unreceived  =     =        =        =      P    P          X     H     H      H      X          =       =     =          =      =          =       =          =        H         P
lease            nj    R        il       R      il   il         il    il    il     il     il         il      il    il         il     il         il      il         il       il        il
progress         nj    ll       ll       ll     R    R          R     H     H      H      H          ll      ll    ll         ll     ll         ll      ll         ll       H         R
ask              nj    ll       ll       ll     H    H          H     H     H      H      H          ll      ll    ll         ll     ll         ll      ll         ll       H         H
ask_aside        nj    ll       ll       ll     R    R          R     H     H      H      H          ll      ll    ll         ll     ll         ll      ll         ll       H         R
ask_again        nj    ll       ll       ll     H    =          H     =     =      H      =          ll      ll    ll         ll     ll         ll      ll         ll       =         H
ask_amend        nj    ll       ll       ll     H    H          H     H     H      H      H          ll      ll    ll         ll     ll         ll      ll         ll       H         H
amend_aside      nj    ll       ll       ll     R    R          R     R     H      R      R          ll      ll    ll         ll     ll         ll      ll         ll       R         R
supersede        nj    ll       ll       ll     np   H          np    H     H      H      H          ll      ll    ll         ll     ll         ll      ll         ll       H         np
ack              nj    ll       ll       ll     =    =          =     =     =      =      =          ll      ll    ll         ll     ll         ll      ll         ll       =         =
checkpoint       nj    ll       ll       ll     R    R          R     H     H      H      H          ll      ll    ll         ll     ll         ll      ll         ll       H         R
complete         nj    ll       ll       ll     C    C          C     C     C      C      C          ll      ll    ll         ll     =          ll      ll         ll       C         C
fail             nj    ll       ll       ll     F    F          X     F     F      F      X          ll      ll    ll         ll     ll         ll      ll         ll       F         F
retry            nj    ll       ll       ll     P    P          X     H     H      H      X          ll      ll    ll         ll     ll         ll      ll         ll       H         P
release          nj    ll       ll       ll     P    P          X     H     H      H      X          ll      ll    ll         ll     ll         ll      ll         ll       H         P
wrong_token      nj    ll       ll       ll     ll   ll         ll    ll    ll     ll     ll         ll      ll    ll         ll     ll         ll      ll         ll       ll        ll
answer           np    np       P        P      np   R          np    R     H      R      R          P       P     X          C      C          F       X          C        R         np
step_answer      np    np       P        P      np   R          np    R     H      R      R          P       P     X          C      C          F       X          C        R         np
stale            np    np       P        P      np   R          np    H     H      H      H          H       H     H          H      C          F       X          C        H         np
invalid          np    np       P        P      np   R          np    H     H      H      H          H       H     H          H      C          F       X          C        H         np
claim            np    np       pc       P      np   R          np    H     H      H      H          H       H     H          H      pc         pc      pc         pc       H         np
unclaim          np    np       =        =      np   =          np    =     =      =      =          =       =     =          =      =          =       =          =        =         np
attended         =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        =         =
unattended           =     =        =        P      =    R          =     H     H      H      H          H       H     H          H      =          =       =          =        H         =
override         np    np       P        P      np   R          np    R     H      R      R          P       P     X          C      C          F       X          C        R         np
unvote           np    np       an       an     np   an         np    an    an     an     an         an      an    an         an     an         an      an         an       an        np
withdraw         np    np       pc       P      np   R          np    R     H      R      R          P       P     X          X      =          =       =          pc       R         np
delegate         np    np       pc       P      np   R          np    H     H      H      H          H       H     H          H      pc         pc      pc         pc       H         np
return           np    np       pc       =      np   =          np    =     =      =      =          =       =     =          =      pc         pc      pc         pc       =         np
reroute          np    np       pc       P      np   R          np    H     H      H      H          H       H     H          H      pc         pc      pc         pc       H         np
absences         =     =        =        =      =    =          =     =     =      =      =          =       =     =          =      =          =       =          =        =         =
"""  # noqa: E501

ROWS = {row.split()[0]: row.split()[1:] for row in TABLE.strip().splitlines()}


def test_the_table_covers_every_command_and_situation() -> None:
    assert ROWS["command"] == [s.__name__ for s in SITUATIONS]
    assert set(ROWS) - {"command"} == set(COMMANDS)
    assert {kind for kind, _ in COMMANDS.values()} == set(RULES)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_outcome_in_every_situation(name: str) -> None:
    found = {situation.__name__: outcome(name, situation) for situation in SITUATIONS}
    assert found == dict(zip(ROWS["command"], ROWS[name], strict=True))


def outcome(name: str, situation: Callable[[JobWorld], None]) -> str:
    """What the table says of a command in a situation."""
    world = JobWorld()
    situation(world)
    _, act = COMMANDS[name]
    try:
        act(world)
    except AskbackError as error:
        return next((word for word, kind in ERRORS.items() if kind is type(error)), repr(error))
    if world.change is None:
        return "="
    if world.aggregate.job is None:
        return "D"
    return next(word for word, state in STATES.items() if state is world.state)
