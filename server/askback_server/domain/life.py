"""Steps that several rules share: fencing, closing prompts, resuming, retrying and ending jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from askback_server.domain.aggregate import ANY_EPOCH, Change, Facts
from askback_server.domain.answers import Answer
from askback_server.domain.commands import SessionRef
from askback_server.domain.documents import append_to_array, resolution_to_json
from askback_server.domain.errors import LeaseLost
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.exclusions import exclude_answerers
from askback_server.domain.jobs import DeepUnderstanding, Failure, Job, JobState, Wake
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import Prompt, PromptState, Resolution
from askback_server.domain.transitions import (
    JobTrigger,
    PromptTrigger,
    next_job_state,
    next_prompt_state,
)

UNDERSTANDING = "deep_understanding"

_CLOSING = {
    PromptTrigger.ANSWER: EventType.PROMPT_ANSWERED,
    PromptTrigger.DEFAULT: EventType.PROMPT_ANSWERED,
    PromptTrigger.EXPIRE: EventType.PROMPT_EXPIRED,
    PromptTrigger.CANCEL: EventType.PROMPT_CANCELLED,
    PromptTrigger.SUPERSEDE: EventType.PROMPT_SUPERSEDED,
}


def fence(job: Job, principal: Principal, token: int, session: SessionRef | None, facts: Facts) -> SessionRef:
    """The session by which a holder's write must be guarded. Raises LeaseLost for all other callers."""
    asked = session or SessionRef(job.session_id or "", ANY_EPOCH)
    if (
        job.session_id is None
        or token != job.token
        or job.holder != principal.subject
        or facts.is_dead(asked)
        or (session is not None and session.session_id != job.session_id)
    ):
        raise LeaseLost(job.job_id, token)
    return asked


def move(change: Change, trigger: JobTrigger) -> JobState:
    """Change the job's state by its transition table. Raises IllegalState."""
    before = change.job.state
    state = next_job_state(change.job.job_id, before, trigger)
    if state is not before:
        change.set(state=state)
        if change.job.run_timeout is not None:
            _turn_run_clock(change, before)
    return state


def _turn_run_clock(change: Change, before: JobState) -> None:
    """Start or stop the clock of `run_timeout`, which runs only while the job is RUNNING."""
    job, now = change.job, change.facts.now
    if job.state is JobState.RUNNING:
        left = job.run_timeout if job.run_left is None else job.run_left
        assert left is not None
        change.set(run_until=now + left, run_left=None)
    elif before is JobState.RUNNING and job.run_until is not None:
        change.set(run_until=None, run_left=max(job.run_until - now, timedelta(0)))


def close_prompt(
    change: Change,
    prompt: Prompt,
    trigger: PromptTrigger,
    *,
    reason: str = "",
    answer: Answer | None = None,
    carried_from: str = "",
    votes: tuple[str, ...] = (),
    resume_job: bool = True,
) -> Prompt:
    """Close an open prompt and record its event.

    With `resume_job` the job continues if this resolution allows it; its new state is in the same event.
    `carried_from` is the earlier job in which the answer was given: then the resolution's actor is the author
    of the answer and not the sender of the command. `votes`: the ids of the answers that decided together.
    """
    state = next_prompt_state(prompt.prompt_id, prompt.state, trigger)
    job = change.job
    change.set(
        open_prompts=job.open_prompts - 1,
        # It may be 0 already: the job runs again after the first answer and waits for no prompt.
        open_blocking=max(0, job.open_blocking - (1 if prompt.content.blocking else 0)),
    )
    actor = answer.user_id if carried_from and answer is not None else change.actor
    resolution = Resolution(state, actor, change.facts.now, reason, answer)
    closed = evolve(
        prompt, state=state, resolution=resolution, claimed_by="", claimed_until=None, unattended_since=None
    )
    if prompt.nudges is not None:
        closed = evolve(closed, nudges=prompt.nudges.after_end())
    if resume_job:
        _resume_job(change, closed)
    data: dict[str, object] = {"round": prompt.round, "key": prompt.key}
    if answer is not None:
        data |= {"answer_id": answer.answer_id}
        data |= {"decision": str(answer.decision), "source": str(answer.source)}
        if answer.on_behalf_of:
            data["on_behalf_of"] = answer.on_behalf_of
        if votes:
            data["votes"] = list(votes)
        if carried_from:
            data |= {"carried_from": carried_from, "by": answer.user_id}
        if prompt.content.kind == UNDERSTANDING:
            _note_answer(change, prompt, answer)
    change.record(_CLOSING[trigger], prompt.prompt_id, data)
    closed = change.put(closed)
    exclude_answerers(change, closed)
    if resume_job and change.job.workerless and change.job.is_terminal:
        ended = change.job.state is JobState.COMPLETED
        change.record(EventType.JOB_COMPLETED if ended else EventType.JOB_CANCELLED)
    elif resume_job and change.job.state is JobState.PENDING_HITL and not change.job.open_blocking:
        # A cancel was requested, and the holder that should confirm it has lost its session.
        cancel_now(change)
    return closed


def _resume_job(change: Change, closed: Prompt) -> None:
    """Move the job out of PENDING_HITL if no blocking prompt is open.

    It becomes RUNNING if its holder's session is alive, else PENDING. The write finds out: it is guarded by
    the session, and if that guard fails the command is decided again with the session in
    `Facts.dead_sessions`.
    """
    job = change.job
    if job.state is not JobState.PENDING_HITL:
        return
    if job.open_blocking:
        _resume_after_first(change, closed)
    elif job.workerless:
        _complete_by_resolution(change, closed)
    elif job.session_id is not None and not change.facts.is_dead(SessionRef(job.session_id, ANY_EPOCH)):
        move(change, JobTrigger.RESUME)
        change.require(session=SessionRef(job.session_id, ANY_EPOCH))
        if job.wake is Wake.DUE:
            change.set(wake=Wake.ANY)
    elif job.cancel_requested_at is None:
        requeue(change)


def _resume_after_first(change: Change, closed: Prompt) -> None:
    """Make the job run again if it may continue with the first of several resolutions."""
    job = change.job
    if job.wake is Wake.ALL or not closed.content.blocking:
        return
    if job.session_id is not None:
        change.set(wake=Wake.DUE)
    elif job.cancel_requested_at is None:
        requeue(change)


def requeue(change: Change) -> None:
    """Move the job from PENDING_HITL to PENDING. Its open prompts stay open, and block it again when its
    function asks for them again."""
    move(change, JobTrigger.REQUEUE)
    drop_holder(change)
    if change.job.open_blocking:
        change.set(open_blocking=0)
    if change.job.wake is Wake.DUE:
        change.set(wake=Wake.ANY)
    change.set(ready_at=max(change.facts.now, change.job.ready_at or change.facts.now))


def _complete_by_resolution(change: Change, closed: Prompt) -> None:
    """End a job without a worker: the resolution of its prompt is its result."""
    assert closed.resolution is not None
    if closed.state is PromptState.CANCELLED:
        _finish(change, JobTrigger.CANCEL)
    else:
        _finish(change, JobTrigger.SETTLE)
        change.set(result_json=resolution_to_json(closed.resolution))


def drop_holder(change: Change) -> None:
    """Clear the holder of the job."""
    change.set(session_id=None, worker_id="", holder="")


def _finish(change: Change, trigger: JobTrigger) -> None:
    move(change, trigger)
    drop_holder(change)
    now, job = change.facts.now, change.job
    keep = (
        change.facts.limits.retention_of(job.namespace, job.state) if job.retention is None else job.retention
    )
    change.set(completed_at=now, purge_at=now + keep, ready_at=None, cancel_at=None, run_left=None)


_ENDS = {
    EventType.JOB_COMPLETED: "the job completed",
    EventType.JOB_FAILED: "the job failed",
    EventType.JOB_CANCELLED: "the job was cancelled",
}


def end_job(change: Change, trigger: JobTrigger, event: EventType, data: Mapping[str, object]) -> None:
    """Move the job to a terminal state. Its open prompts are cancelled first; its own event is the last."""
    still_open = change.open
    _finish(change, trigger)
    for prompt in still_open:
        close_prompt(change, prompt, PromptTrigger.CANCEL, reason=_ENDS[event], resume_job=False)
    change.record(event, None, data)


def cancel_now(change: Change) -> None:
    """End the job as CANCELLED."""
    reason = {"reason": change.job.cancel_reason} if change.job.cancel_reason else {}
    end_job(change, JobTrigger.CANCEL, EventType.JOB_CANCELLED, reason)


def fail_now(change: Change, trigger: JobTrigger, failure: Failure) -> None:
    """End the job as FAILED."""
    change.set(failure=failure)
    end_job(change, trigger, EventType.JOB_FAILED, {"code": failure.code, "message": failure.message[:500]})


def retry_attempt(
    change: Change, trigger: JobTrigger, event: EventType, failure: Failure, delay: timedelta | None
) -> None:
    """Start the next attempt: PENDING after a backoff, or PENDING_HITL while blocking prompts are open.

    Open prompts stay open: people may be working on them, and the next attempt asks with the same keys.
    `delay` replaces the backoff.
    """
    limits, failed = change.facts.limits, change.job.attempt
    if delay is None:
        delay = min(limits.backoff_base * 2 ** min(failed - 1, 30), limits.backoff_max)
    _schedule_run(change, trigger, failure, delay)
    change.set(attempt=failed + 1, run_left=None)
    change.record(
        event, None, {"attempt": failed + 1, "code": failure.code, "message": failure.message[:500]}
    )


def stall(change: Change, failure: Failure) -> None:
    """Repeat the attempt without counting it, or fail the job after `Limits.stall_max`.

    The delay equals the time since the first such failure, so it doubles. The time of the first failure is
    stored with the job: a restart of the worker or of the service does not reset the delay.
    """
    limits, now = change.facts.limits, change.facts.now
    since = change.job.stalled_at or now
    if now - since >= limits.stall_max:
        tried = f"{limits.stall_max.total_seconds() / 3600:g} hours"
        message = f"{failure.message} (tried again for {tried} without success)"
        fail_now(change, JobTrigger.FAIL, replace(failure, message=message))
        return
    delay = min(max(now - since, limits.backoff_base), limits.backoff_max)
    _schedule_run(change, JobTrigger.RETRY, failure, delay)
    change.set(stalled_at=since)
    data = {"attempt": change.job.attempt, "code": failure.code, "message": failure.message[:500]}
    change.record(EventType.JOB_RETRIED, None, {**data, "counted": False})


def _schedule_run(change: Change, trigger: JobTrigger, failure: Failure, delay: timedelta) -> None:
    if change.job.state is JobState.PENDING_HITL and change.job.wake is Wake.DUE:
        requeue(change)  # the holder may have been working and not only waiting
    else:
        move(change, trigger)
        drop_holder(change)
    pending = change.job.state is JobState.PENDING
    change.set(failure=failure, ready_at=change.facts.now + delay if pending else None)


def note_question(change: Change, prompt: Prompt) -> None:
    """Add a question to the deep-understanding state."""
    state = _understanding(change)
    item = {"prompt_id": prompt.prompt_id, "round": prompt.round, "title": prompt.content.title}
    write_understanding(
        change, replace(state, questions_asked_json=append_to_array(state.questions_asked_json, item))
    )


def _note_answer(change: Change, prompt: Prompt, answer: Answer) -> None:
    state = _understanding(change)
    item = {
        "prompt_id": prompt.prompt_id,
        "round": prompt.round,
        "decision": answer.decision,
        "values": answer.values_json or "null",
        "comment": answer.comment,
    }
    array = append_to_array(state.answers_json, item, raw=("values",))
    write_understanding(change, replace(state, answers_json=array))


def _understanding(change: Change) -> DeepUnderstanding:
    known = change.understanding or change.aggregate.understanding
    return known or DeepUnderstanding(change.job.job_id)


def write_understanding(change: Change, state: DeepUnderstanding) -> DeepUnderstanding:
    """Add a new image of the deep-understanding state, with the next version."""
    state = replace(state, version=state.version + 1, updated_at=change.facts.now)
    change.understanding = state
    change.set(understanding_version=state.version)
    return state
