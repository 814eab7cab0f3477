"""The invariants of every change of a job, and of every stored job (docs/design.md 10)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise, permutations

from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain import vote_commands as v
from askback_server.domain.aggregate import Aggregate, Change
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.approvals import Approval
from askback_server.domain.decisions import AUTHORISING, Decision
from askback_server.domain.delegations import MAX_CHAIN, Delegations
from askback_server.domain.documents import (
    answer_from_json,
    answer_to_json,
    content_to_json,
    parse_content,
    resolution_from_json,
    resolution_to_json,
)
from askback_server.domain.events import Event, EventType, fold
from askback_server.domain.jobs import Job, JobState, Wake
from askback_server.domain.principals import Role
from askback_server.domain.prompts import AnswerStatus, Prompt, PromptState
from askback_server.domain.shown_form import shown_digest
from askback_server.domain.transitions import JOB_TRANSITIONS, Actor
from askback_server.domain.vote_documents import votes_from_json, votes_to_json
from askback_server.domain.votes import outcome_of
from scripts.gen_states import EVENTS

_BY: dict[type[c.Command[object]], Actor] = {
    c.CreateJob: Actor.CLIENT,
    c.UpdateJob: Actor.CLIENT,
    c.CancelJob: Actor.CLIENT,
    c.DeleteJob: Actor.CLIENT,
    c.UpdateUnderstanding: Actor.CLIENT,
    c.AnswerPrompt: Actor.PERSON,
    v.OverridePrompt: Actor.PERSON,
    v.WithdrawAnswer: Actor.PERSON,
    r.DelegatePrompt: Actor.PERSON,
    r.ReturnPrompt: Actor.PERSON,
    r.ReroutePrompt: Actor.CLIENT,
    c.ClaimPrompt: Actor.PERSON,
    c.ReleasePrompt: Actor.PERSON,
    c.LeaseJob: Actor.WORKER,
}


def check_change(before: Aggregate, command: c.Command[object], change: Change, after: Aggregate) -> None:
    """Check a change by itself, and against the aggregates before and after it."""
    version = before.job.version if before.job else 0
    assert change.events, "nothing changes a job without an event"
    assert [e.seq for e in change.events] == list(range(version + 1, version + 1 + len(change.events)))
    assert change.job.version == change.events[-1].seq
    facts = change.facts
    for event in change.events:
        assert (event.job_id, event.namespace) == (change.job.job_id, change.job.namespace)
        assert (event.command_id, event.at) == (facts.command_id, facts.now)
        _check_data(event)
    _check_steps(before, command, change)
    assert after.size == replace(after).size, "the size that the change carried on is the measured one"
    _check_fence(before, command, change)
    _check_prompts(before, change)
    if before.job is not None:
        _check_job(before.job, change.job)
    assert (after.job is None) == change.deleted


def _check_data(event: Event) -> None:
    required, optional = EVENTS[event.type].required, EVENTS[event.type].optional
    keys = set(event.data or {})
    assert set(required) <= keys <= {*required, *optional}, (event.type, keys)
    assert json.loads(json.dumps(event.data)) == event.data


def _check_steps(before: Aggregate, command: c.Command[object], change: Change) -> None:
    """Each change of state in the log is a transition of the table, made by an actor who may make it."""
    state = before.job.state if before.job else change.events[0].state
    for event in change.events:
        if event.state is not state:
            by = _party(command, event)
            steps = [
                s
                for (at, _), s in JOB_TRANSITIONS.items()
                if at is state and s.to is event.state and by in s.by
            ]
            assert steps, f"{state} -> {event.state} by {by} is in no table"
        state = event.state


def _party(command: c.Command[object], event: Event) -> Actor:
    if event.actor == "system":
        return Actor.SYSTEM
    if (event.data or {}).get("source") == AnswerSource.RULE:
        return Actor.PERSON
    if isinstance(command, c.HolderCommand):
        return Actor.WORKER
    if isinstance(command, c.CancelPrompt):
        return Actor.CLIENT if command.principal.has(Role.CLIENT) else Actor.WORKER
    return _BY[type(command)]


_BEFORE_THE_DEADLINE = (
    EventType.PROMPT_ANSWERED,
    EventType.PROMPT_VOTED,
    EventType.VOTE_WITHDRAWN,
    EventType.PROMPT_DELEGATED,
    EventType.DELEGATION_ENDED,
    EventType.PROMPT_REROUTED,
)


def _check_fence(before: Aggregate, command: c.Command[object], change: Change) -> None:
    """Only the holder writes, and the guard lets the database check the decision's conditions again."""
    guard, facts = change.guard, change.facts
    if isinstance(command, c.HolderCommand):
        assert before.job is not None
        assert command.token == before.job.token
        assert command.principal.subject == before.job.holder
        assert not facts.is_dead(c.SessionRef(before.job.session_id or "", 0))
        assert guard.session is not None
        assert guard.session.session_id == before.job.session_id
        assert guard.session == (command.session or replace(guard.session, epoch=0))
    if isinstance(command, c.LeaseJob):
        assert guard.session == command.session
    timed = {e.prompt_id for e in change.events if e.type is EventType.PROMPT_EXPIRED}
    timed |= {e.prompt_id for e in change.events if (e.data or {}).get("source") == "TIMEOUT_DEFAULT"}
    deadlines = [p.expires_at for p in before.prompts.values() if p.prompt_id in timed]
    deadlines += _nudge_times(before, change)
    deadlines += _job_ends(before, command, change)
    assert all(d is not None and d <= facts.now for d in deadlines)
    if isinstance(command, c.LeaseJob):
        assert before.job is not None
        # What the last change made ready at once waits for no time.
        is_delayed = before.job.ready_at != before.job.updated_at
        assert guard.not_before == (before.job.ready_at if is_delayed else None)
    elif not isinstance(command, c.EndGrace | c.PurgeJob):
        assert guard.not_before == max((d for d in deadlines if d), default=None)
    of_people = [e for e in change.events if e.type in _BEFORE_THE_DEADLINE and e.actor != "system"]
    answered = {e.prompt_id for e in of_people} - timed
    ruled = {e.prompt_id for e in change.events if e.type is EventType.PROMPT_RULED}
    # What a rule answers has the deadline of this change.
    ends = [p.expires_at for p in before.prompts.values() if p.prompt_id in answered - ruled]
    ends += [p.expires_at for p in change.prompts.values() if p.prompt_id in answered & ruled]
    if isinstance(command, c.UpdateJob) and "retention" in command.values and before.job is not None:
        ends = [before.job.purge_at]
    if before.job is not None and any(e.type is EventType.ANSWER_LATE for e in change.events):
        ends = [before.job.purge_at]
        assert before.job.purge_at is None or facts.now < before.job.purge_at
    if isinstance(command, c.AnswerPrompt | c.ClaimPrompt) and not getattr(command, "OVERRIDES", False):
        ends += _right_ends(command, change)
    assert guard.not_after == min((end for end in ends if end), default=None)
    states = [before.job.state if before.job else None, *(e.state for e in change.events)]
    if (JobState.PENDING_HITL, JobState.RUNNING) in pairwise(states):
        assert guard.session is not None, "resuming at the holder depends on its session"


def _right_ends(command: c.AnswerPrompt | c.ClaimPrompt, change: Change) -> list[datetime]:
    """When the absences end by which the caller has answered or claimed."""
    acted = EventType.PROMPT_CLAIMED, EventType.PROMPT_ANSWERED, EventType.PROMPT_VOTED
    found: list[datetime] = []
    for prompt_id in {e.prompt_id for e in change.events if e.type in acted and e.actor != "system"}:
        content = change.prompts[prompt_id or ""].content
        right = content.right_of(command.principal.subject, command.principal.groups)
        if right is not None and right.delegation is not None and content.delegations is not None:
            chain = content.delegations.chain(right.delegation.number)
            by = chain[:1] if isinstance(command, c.ClaimPrompt) else chain
            found += [each.until for each in by if each.until is not None]
    return found


def _nudge_times(before: Aggregate, change: Change) -> list[datetime]:
    """The due times of the escalation steps and reminders of this change, in the order of the log."""
    times, nudges = [], {p.prompt_id: p.nudges for p in before.prompts.values()}
    for event in change.events:
        if event.type is EventType.PROMPT_AMENDED or "escalation" in (event.data or {}):
            nudges.pop(event.prompt_id or "", None)  # its steps begin again
        if event.type not in (EventType.PROMPT_ESCALATED, EventType.PROMPT_REMINDED):
            continue
        prompt_id, data = event.prompt_id or "", event.data or {}
        if prompt_id not in nudges:  # asked or amended by this change, while all who are named are away
            assert change.facts.absences
            continue
        now, content = nudges[prompt_id], before.prompts[prompt_id].content
        assert now is not None
        assert event.actor == "system"
        if event.type is EventType.PROMPT_ESCALATED:
            at, now = now.step_at, now.after_step(content)
            assert data["step"] == now.steps
        else:
            at, now = now.remind_at, now.after_reminder(content, change.facts.now, change.facts.limits)
            assert data["count"] == now.reminded
        assert at is not None
        nudges[prompt_id] = now
        if at > change.facts.now:
            assert change.facts.absences, "a step is taken early only if all who are asked are away"
        else:
            times.append(at)
    assert sorted(times) == times, "events are in the order of their due times"
    return times + _ends_of_delegations(before, change)


def _ends_of_delegations(before: Aggregate, change: Change) -> list[datetime]:
    """The times at which delegations ended in this change, or should have but for a claim."""
    times: list[datetime] = []
    for event in change.events:
        old = before.prompts.get(event.prompt_id or "")
        given = old.content.delegations if old is not None else None
        if given is None or event.actor != "system":
            continue
        data = event.data or {}
        numbers = data.get("numbers", []) if event.type is EventType.DELEGATION_ENDED else []
        numbers += [data["number"]] if event.type is EventType.PROMPT_DELEGATED else []
        ends = [each.until for each in given.active if each.number in numbers]
        times += [at for at in ends if at is not None and at <= change.facts.now]
    return times


def _job_ends(before: Aggregate, command: c.Command[object], change: Change) -> list[datetime | None]:
    """The deadlines of the job and of its attempt that ended one of them in this change."""
    times: list[datetime | None] = []
    for event in change.events:
        code = (event.data or {}).get("code", "")
        if before.job is None or event.actor != "system":
            continue
        if event.type is EventType.JOB_RETRIED or code == "RUN_TIMEOUT":
            assert code == "RUN_TIMEOUT"
            times.append(before.job.run_until)
        elif code == "DEADLINE_EXCEEDED":
            times.append(before.job.expires_at)
        elif (
            event.type is EventType.JOB_CANCELLED
            and before.job.due_at
            and isinstance(command, c.RunDue | c.AnswerPrompt | c.CancelPrompt | c.AskPrompt)
        ):
            times += [before.job.due_at] if before.job.due_at <= change.facts.now else []
    return times


def _check_prompts(before: Aggregate, change: Change) -> None:
    now = change.facts.now
    for prompt in change.prompts.values():
        own = [e.seq for e in change.events if e.prompt_id == prompt.prompt_id]
        assert prompt.version == own[-1]
        assert prompt.updated_at == now
        stored = parse_content(content_to_json(prompt.content))
        assert stored == prompt.content
        assert prompt.digest == prompt.content.digest
        assert prompt.shown_digest == shown_digest(stored)
        if prompt.resolution is not None:
            assert resolution_from_json(resolution_to_json(prompt.resolution)) == prompt.resolution
        assert prompt.votes is None or votes_from_json(votes_to_json(prompt.votes)) == prompt.votes
        old = before.prompts.get(prompt.prompt_id)
        if prompt.is_open:
            _check_delegations(prompt)
        if old is not None:
            _check_prompt_step(
                old, prompt, {e.type for e in change.events if e.prompt_id == prompt.prompt_id}
            )
    for submission in change.submissions:
        assert answer_from_json(answer_to_json(submission.answer))[0] == submission.answer
        key = (submission.prompt_id, submission.answer.answer_id)
        assert key not in before.submissions, "a verdict is final"


def _check_delegations(prompt: Prompt) -> None:
    content, given = prompt.content, prompt.content.delegations or Delegations()
    numbers = [each.number for each in given.active]
    assert numbers == sorted(set(numbers))
    assert all(1 <= number <= given.last for number in numbers)
    named = [each.user for each in given.active if each.user]
    assert len(set(named)) == len(named), "a person acts for one other"
    for each in given.active:
        chain = given.chain(each.number)
        assert len(chain) <= MAX_CHAIN
        assert chain[-1].parent == 0, "what a delegation follows from is active too"
        people = [each.holder, *(d.user for d in chain if d.user)]
        assert len(set(people)) == len(people), "a right never returns to a person who had it, but by its end"
        assert not any(content.excludes_author(name) for name in (each.holder, each.giver, each.user))
    reach, audience = content.reach, content.audience
    if audience.users and not reach.groups and any(not content.excludes_author(u) for u in audience.users):
        assert any(not content.excludes_author(u) for u in reach.users), "there is a person who can answer"


def _check_prompt_step(old: Prompt, new: Prompt, events: set[EventType]) -> None:
    assert new.version > old.version
    assert (new.round, new.key, new.created_at) == (old.round, old.key, old.created_at)
    assert new.submissions in (old.submissions, old.submissions + 1)
    if not old.is_open:
        unchanged = replace(
            new,
            version=old.version,
            updated_at=old.updated_at,
            submissions=old.submissions,
            consumed_at=old.consumed_at,
            same_digest=old.same_digest,
        )
        assert unchanged == old, "a closed prompt keeps its resolution"
        assert old.consumed_at in (None, new.consumed_at)
    same = EventType.PROMPT_AMENDED not in events
    # What a job asks differently may be the same question after the rules that route it.
    routed_by_rules = old.asked_digest or new.asked_digest
    assert (new.digest == old.digest) == same or routed_by_rules
    assert new.digest == old.digest or not same
    assert (new.shown_digest == old.shown_digest) == (new.digest == old.digest)
    assert new.revision == old.revision + (0 if same else 1)
    rerouted = EventType.PROMPT_REROUTED in events
    assert new.expires_at == old.expires_at or not same or rerouted
    moved = new.nudges is not None and old.nudges is not None and new.nudges.steps > old.nudges.steps
    routed = (new.content.audience, new.content.priority) == (old.content.audience, old.content.priority)
    moved = moved or rerouted
    assert routed or moved or not same, "only a step, a rerouting or an amendment changes who is asked"
    exclusion, delegations = new.content.exclusion, new.content.delegations or Delegations()
    if delegations != (old.content.delegations or Delegations()):
        assert events & _DELEGATING or moved or not same
    excluding = (old.content if exclusion is None else old.content.exclude(exclusion.users)).delegate(
        delegations
    )
    assert moved or not same or new.content == excluding


_DELEGATING = {
    EventType.PROMPT_DELEGATED,
    EventType.DELEGATION_ENDED,
    EventType.SUBSTITUTE_SKIPPED,
    EventType.PROMPT_EXCLUDED,
}


def _check_job(old: Job, new: Job) -> None:
    if old.is_terminal:
        kept = replace(
            new,
            version=old.version,
            updated_at=old.updated_at,
            labels=old.labels,
            priority=old.priority,
            promoted=old.promoted,
            retention=old.retention,
            purge_at=old.purge_at,
        )
        assert kept == old, "a terminal job never changes"
    assert new.token - old.token in (0, 1)
    assert (new.token > old.token) == (new.session_id is not None and old.session_id is None)
    assert new.attempt - old.attempt in (0, 1)
    assert new.rounds - old.rounds in (0, 1)
    assert (new.timeout, new.expires_at, new.run_timeout) == (old.timeout, old.expires_at, old.run_timeout)
    if new.attempt == old.attempt and JobState.RUNNING in (old.state, new.state) and not new.is_terminal:
        assert _time_left(new) <= _time_left(old), "the time left to an attempt never grows"
    assert new.understanding_version >= old.understanding_version
    assert (new.job_id, new.created_at, new.input_json) == (old.job_id, old.created_at, old.input_json)


def _time_left(job: Job) -> timedelta:
    """The time that the attempt had left when the job last changed."""
    if job.run_until is not None:
        return max(job.run_until - job.updated_at, timedelta(0))
    return job.run_left if job.run_left is not None else job.run_timeout or timedelta(0)


def check_aggregate(after: Aggregate, log: Sequence[Event]) -> None:
    """Check a complete aggregate (all prompts, all submissions) against its complete log."""
    folded, job = fold(log), after.job
    if job is None:
        assert (log[-1].type, after) == (EventType.JOB_DELETED, Aggregate())
        return
    prompts = sorted(after.prompts.values(), key=lambda p: p.round)
    assert (folded.state, folded.version) == (job.state, job.version)
    assert (folded.attempt, folded.token) == (job.attempt, job.token)
    assert folded.prompts == tuple((p.prompt_id, p.state) for p in prompts)
    nudges = [(p.prompt_id, n.steps, n.reminded) for p in prompts if (n := p.nudges) is not None]
    assert folded.nudges == tuple(n for n in nudges if n[1:] != (0, 0))
    assert [p.round for p in prompts] == list(range(1, job.rounds + 1))
    assert len({p.key for p in prompts}) == job.rounds
    still = [p for p in prompts if p.is_open]
    assert job.open_prompts == len(still)
    blocking = len([p for p in still if p.content.blocking])
    runs_on = job.wake is not Wake.ALL and job.open_blocking == 0
    assert job.open_blocking == blocking or runs_on, (
        "every open blocking prompt blocks, or none after the first answer"
    )
    _check_state(job)
    for prompt in prompts:
        _check_prompt(after, prompt)
    _check_understanding(after, job, prompts)


def _check_state(job: Job) -> None:
    state, ended = job.state, job.is_terminal
    assert (state is JobState.PENDING_HITL) == (job.open_blocking > 0)
    assert (state is JobState.PENDING) == (job.ready_at is not None)
    if state is not JobState.PENDING_HITL:
        assert (state is JobState.RUNNING) == (job.session_id is not None)
    assert bool(job.session_id) == bool(job.holder) == bool(job.worker_id)
    assert (job.completed_at is not None) == (job.purge_at is not None) == ended
    assert not (ended and job.open_prompts)
    assert job.session_id is not None or job.cancel_at is None, (
        "a cancellation request needs a holder to confirm it"
    )
    assert job.cancel_at is None or job.cancel_requested_at is not None
    assert 1 <= job.attempt <= job.max_attempts
    assert (job.run_until is not None) == (state is JobState.RUNNING and job.run_timeout is not None)
    assert job.run_left is None or (
        job.run_timeout is not None and timedelta(0) <= job.run_left <= job.run_timeout
    )
    assert job.run_left is None or not (ended or state is JobState.RUNNING)
    assert (job.timeout is None) == (job.expires_at is None)
    assert state is not JobState.FAILED or job.failure is not None
    if job.workerless:
        assert (job.token, job.session_id, job.rounds) == (0, None, 1)


def _check_prompt(aggregate: Aggregate, prompt: Prompt) -> None:
    resolution = prompt.resolution
    _check_votes(aggregate, prompt)
    assert (resolution is None) == prompt.is_open
    assert prompt.is_open or prompt.nudges is None or prompt.nudges.next_at is None
    assert prompt.consumed_at is None or not prompt.is_open
    mine = [s for (of, _), s in aggregate.submissions.items() if of == prompt.prompt_id]
    assert prompt.submissions == len(mine)
    won = [s.answer for s in mine if s.status is AnswerStatus.ACCEPTED]
    if resolution is None:
        assert not won
        return
    assert resolution.state is prompt.state
    assert (resolution.answer is not None) == (prompt.state is PromptState.ANSWERED)
    assert (prompt.claimed_by, prompt.claimed_until) == ("", None)
    answer = resolution.answer
    by_person = answer is not None and answer.source is not AnswerSource.TIMEOUT_DEFAULT
    assert won == ([answer] if by_person else []) or prompt.votes is not None
    assert answer is None or answer.revision == prompt.revision
    if answer is not None and answer.source is AnswerSource.HUMAN:
        assert not any(map(prompt.content.excludes_author, answer.people)), "no excluded person decides"
        if prompt.content.approval is not None:
            _check_approval(prompt, prompt.content.approval, answer)


def _check_approval(prompt: Prompt, approval: Approval, answer: Answer) -> None:
    """A prompt is never resolved with fewer people than it needs."""
    assert prompt.votes is not None
    alike = [vote for vote in prompt.votes.live if vote.outcome == outcome_of(answer)]
    assert len({vote.user_id for vote in alike}) == len(alike)
    assert alike[-1].answer == answer
    if answer.decision in AUTHORISING:
        assert len(alike) >= approval.required
        for place in approval.per_group:
            assert sum(place.group in vote.groups for vote in alike) >= place.required
        if not approval.shared and approval.per_group:
            places = [p.group for p in approval.per_group for _ in range(p.required)]
            assert any(
                all(group in vote.groups for group, vote in zip(places, chosen, strict=True))
                for chosen in permutations(alike, len(places))
            )
    elif answer.decision is Decision.REJECT:
        assert len(alike) >= approval.reject_at


def _check_votes(aggregate: Aggregate, prompt: Prompt) -> None:
    votes = prompt.votes
    assert votes is not None or prompt.content.approval is None
    assert votes is None or prompt.content.approval is not None or (votes.earlier and not votes.live)
    people = [vote.user_id for vote in votes.live] if votes is not None else []
    assert len(set(people)) == len(people), "a person has one vote"
    live = votes.live if votes is not None else ()
    slots = [vote.answer.on_behalf_of or vote.user_id for vote in live]
    assert len(set(slots)) == len(slots), "of all who act for a person one vote counts"
    assert votes is None or not votes.earlier & set(people)
    for vote in votes.live if votes is not None else ():
        stored = aggregate.submissions[prompt.prompt_id, vote.answer.answer_id]
        assert stored.answer == vote.answer
        assert stored.status in (AnswerStatus.RECORDED, AnswerStatus.ACCEPTED)
        assert vote.answer.revision == prompt.revision
        assert not prompt.is_open or not any(map(prompt.content.excludes_author, vote.answer.people))


def _check_understanding(aggregate: Aggregate, job: Job, prompts: Sequence[Prompt]) -> None:
    state = aggregate.understanding
    assert job.understanding_version == (state.version if state else 0)
    if state is not None:
        for text in (state.questions_asked_json, state.answers_json, state.research_performed_json):
            assert isinstance(json.loads(text), list)
