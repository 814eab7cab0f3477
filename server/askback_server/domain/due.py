"""Actions at a time: the deadlines of a job, and the escalation, reminders and deadlines of its prompts.

They never happen early: each guards the write by the database's clock.
"""

from __future__ import annotations

import heapq
from datetime import datetime, timedelta

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.content import Audience, FinalAction
from askback_server.domain.ended_delegations import end_delegations, end_votes, outside
from askback_server.domain.errors import PromptClosed
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.jobs import Failure
from askback_server.domain.json_text import JsonObject
from askback_server.domain.life import cancel_now, close_prompt, fail_now, retry_attempt
from askback_server.domain.prompts import Prompt
from askback_server.domain.routing_commands import ReviewAbsences
from askback_server.domain.routing_documents import audience_to_doc
from askback_server.domain.substitutes import follow_absences, is_deserted
from askback_server.domain.transitions import JobTrigger, PromptTrigger, next_prompt_state


def run_overdue(change: Change) -> None:
    """Run all actions that are due, in the order of their times.

    Several are due after a timer was late, or while no replica was running. Commands that depend on times run
    them first, so that an answer cannot overtake a deadline that has passed.
    """
    now = change.facts.now
    due = [(at, p.round, p.prompt_id) for p in change.open if (at := p.due_at) is not None and at <= now]
    if (at := change.job.due_at) is not None and at <= now:
        due.append((at, _AFTER_PROMPTS, ""))
    if not due:
        return
    heapq.heapify(due)
    actor, change.actor = change.actor, "system"
    while due and not change.job.is_terminal:
        at, place, prompt_id = heapq.heappop(due)
        if prompt_id:
            following = _run_prompt_action(change, change.prompt(prompt_id), at)
        else:
            following = _run_job_deadline(change, at)
        if following is not None and following <= now:
            heapq.heappush(due, (following, place, prompt_id))
    change.actor = actor


def refuse_closed(change: Change, prompt: Prompt) -> RuleResult[Prompt]:
    """The reply to a command that needs an open prompt, after `run_overdue`: what that did is committed.

    Raises PromptClosed if it did nothing.
    """
    closed = PromptClosed(prompt.prompt_id, prompt.state)
    if not change.events:
        raise closed
    return RuleResult(closed, change)


_AFTER_PROMPTS = 1 << 31
"""In place of a prompt's round: sorts the job after its prompts if their times are equal."""


def next_due(change: Change) -> datetime | None:
    """The time of the next action on the job or its open prompts; None if there is none."""
    times = [at for p in change.open if (at := p.due_at) is not None]
    if (at := change.job.due_at) is not None:
        times.append(at)
    return min(times, default=None)


def _run_job_deadline(change: Change, at: datetime) -> datetime | None:
    job = change.job
    if job.due_at != at:
        return job.due_at  # an earlier action has changed the deadline
    change.require(not_before=at)
    if job.cancel_requested_at is not None:
        cancel_now(change)
    elif job.expires_at == at:
        assert job.timeout is not None
        failure = Failure("DEADLINE_EXCEEDED", f"the job did not end within {_seconds(job.timeout)}")
        fail_now(change, JobTrigger.FAIL, failure)
    else:
        assert job.run_timeout is not None
        failure = Failure("RUN_TIMEOUT", f"the attempt ran for more than {_seconds(job.run_timeout)}")
        if job.attempt >= job.max_attempts:
            fail_now(change, JobTrigger.FAIL, failure)
        else:
            retry_attempt(change, JobTrigger.OVERRUN, EventType.JOB_RETRIED, failure, None)
    return change.job.due_at


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"


def _run_prompt_action(change: Change, prompt: Prompt, at: datetime) -> datetime | None:
    """Run the action that is due on an open prompt. Returns the time of its next one."""
    nudges, given = prompt.nudges, prompt.content.delegations
    change.require(not_before=at)
    if prompt.expires_at == at:
        _take_final_action(change, prompt)
    elif given is not None and given.next_end == at:
        route_around_absences(change, prompt)
    elif nudges is None or nudges.next_at != at:
        return prompt.due_at  # an earlier action has changed the time
    elif nudges.step_at == at:
        route_around_absences(change, _escalate(change, prompt))
    else:
        _remind(change, prompt)
    after = change.prompt(prompt.prompt_id)
    return after.due_at if after.is_open else None


def _escalate(change: Change, prompt: Prompt) -> Prompt:
    """Take the next escalation step. It ends a claim, so that all of the new audience may answer."""
    nudges, content = prompt.nudges, prompt.content
    assert nudges is not None
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.ESCALATE)
    step = content.escalation[nudges.steps]
    audience = step.to if step.replace else content.audience.union(step.to)
    priority = min(content.priority + step.raise_priority, change.facts.limits.priority)
    nudges = nudges.after_step(content)
    data: dict[str, object] = {
        "round": prompt.round,
        "key": prompt.key,
        "step": nudges.steps,
        **audience_to_doc(step.to),
        "replace": step.replace,
        "priority": priority,
    }
    prompt = leave_audience(prompt, audience, data)
    change.record(EventType.PROMPT_ESCALATED, prompt.prompt_id, data)
    content = prompt.content.route_to(audience, priority)
    return change.put(evolve(prompt, content=content, nudges=nudges, claimed_by="", claimed_until=None))


def leave_audience(prompt: Prompt, audience: Audience, data: JsonObject) -> Prompt:
    """The prompt without the votes and delegations of people whom another audience does not include. Adds to
    the data of the event what has ended."""
    prompt = end_delegations(prompt, outside(prompt.content.delegations, audience), data)
    away = prompt.votes.outside(audience) if prompt.votes is not None else []
    return end_votes(prompt, away, data)


def route_around_absences(change: Change, prompt: Prompt) -> Prompt:
    """The open prompt with the substitutes of people who are away. If none who may answer is there, the next
    step of its escalation is taken at once."""
    prompt = follow_absences(change, prompt)
    while prompt.nudges is not None and prompt.nudges.step_at is not None and is_deserted(change, prompt):
        actor, change.actor = change.actor, "system"
        prompt = follow_absences(change, _escalate(change, prompt))
        change.actor = actor
    return prompt


def review_absences(aggregate: Aggregate, command: ReviewAbsences, facts: Facts) -> RuleResult[None]:
    """Apply the absences that are known now to the open prompts of a job."""
    if aggregate.job is None:
        return RuleResult(None)
    change = Change(aggregate, facts, command.principal.subject)
    run_overdue(change)
    for prompt in change.open:
        route_around_absences(change, prompt)
    return RuleResult(None, change if change.events else None)


def _remind(change: Change, prompt: Prompt) -> None:
    assert prompt.nudges is not None
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.REMIND)
    nudges = prompt.nudges.after_reminder(prompt.content, change.facts.now, change.facts.limits)
    change.record(
        EventType.PROMPT_REMINDED,
        prompt.prompt_id,
        {"round": prompt.round, "key": prompt.key, "count": nudges.reminded},
    )
    change.put(evolve(prompt, nudges=nudges))


def _take_final_action(change: Change, prompt: Prompt) -> None:
    """Close the prompt by its final action (docs/design.md 3)."""
    default = prompt.content.default_answer
    if prompt.content.final_action is FinalAction.DEFAULT and default is not None:
        answer = Answer(
            answer_id=f"default:{prompt.prompt_id}",
            decision=default.decision,
            values_json=default.values_json,
            edits=(),
            comment=default.comment,
            source=AnswerSource.TIMEOUT_DEFAULT,
            user_id="",
            revision=prompt.revision,
            created_at=change.facts.now,
        )
        close_prompt(change, prompt, PromptTrigger.DEFAULT, reason="the deadline passed", answer=answer)
    elif prompt.content.final_action is FinalAction.FAIL_JOB:
        close_prompt(change, prompt, PromptTrigger.EXPIRE, reason=_EXPIRED, resume_job=False)
        failure = Failure("PROMPT_EXPIRED", f"no answer to {prompt.key or prompt.prompt_id!r} in time")
        fail_now(change, JobTrigger.FAIL, failure)
    else:
        close_prompt(change, prompt, PromptTrigger.EXPIRE, reason=_EXPIRED)


_EXPIRED = "no answer in time"
