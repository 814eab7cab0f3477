"""What time does to a job: escalation steps, reminders and deadlines of its prompts, each in its order.

Never early: whatever is done here depends on the database's clock.
"""

from __future__ import annotations

import heapq
from datetime import datetime

from askback_server.domain.aggregate import Change
from askback_server.domain.content import FinalAction, names_of
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.jobs import Failure
from askback_server.domain.life import close_prompt, fail_now
from askback_server.domain.prompts import Answer, AnswerSource, Prompt
from askback_server.domain.transitions import JobTrigger, PromptTrigger, next_prompt_state


def take_due(change: Change) -> None:
    """Do what is due, in the order of the times: it counts when a timer was late, or nobody was up."""
    now = change.facts.now
    due = [(at, p.round, p.prompt_id) for p in change.open if (at := p.due_at) is not None and at <= now]
    if not due:
        return
    heapq.heapify(due)
    actor, change.actor = change.actor, "system"
    while due and not change.job.is_terminal:
        at, place, prompt_id = heapq.heappop(due)
        prompt = change.prompt(prompt_id)
        change.require(not_before=at)
        _take(change, prompt, at)
        after = change.prompt(prompt_id)
        if after.is_open and after.due_at is not None and after.due_at <= now:
            heapq.heappush(due, (after.due_at, place, prompt_id))
    change.actor = actor


def next_due(change: Change) -> datetime | None:
    """When time next does something to the job."""
    return min((at for p in change.open if (at := p.due_at) is not None), default=None)


def _take(change: Change, prompt: Prompt, at: datetime) -> None:
    nudges = prompt.nudges
    if prompt.expires_at == at or nudges is None:
        _end(change, prompt)
    elif nudges.step_at == at:
        _escalate(change, prompt)
    else:
        _remind(change, prompt)


def _escalate(change: Change, prompt: Prompt) -> None:
    """The next step. It ends a claim: who had taken the prompt on may still answer, and others too."""
    nudges, content = prompt.nudges, prompt.content
    assert nudges is not None
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.ESCALATE)
    step = content.escalation[nudges.steps]
    audience = step.to if step.replace else content.audience.joined(step.to)
    priority = min(content.priority + step.raise_priority, change.facts.limits.priority)
    nudges = nudges.stepped(content)
    change.event(
        EventType.PROMPT_ESCALATED, prompt.prompt_id,
        {
            "round": prompt.round, "key": prompt.key, "step": nudges.steps, **names_of(step.to),
            "replace": step.replace, "priority": priority,
        },
    )  # fmt: skip
    content = content.turned_to(audience, priority)
    change.put(evolve(prompt, content=content, nudges=nudges, claimed_by="", claimed_until=None))


def _remind(change: Change, prompt: Prompt) -> None:
    assert prompt.nudges is not None
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.REMIND)
    nudges = prompt.nudges.after_reminder(prompt.content, change.facts.now, change.facts.limits)
    change.event(
        EventType.PROMPT_REMINDED, prompt.prompt_id,
        {"round": prompt.round, "key": prompt.key, "count": nudges.reminded},
    )  # fmt: skip
    change.put(evolve(prompt, nudges=nudges))


def _end(change: Change, prompt: Prompt) -> None:
    """The final action (DESIGN 3)."""
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
        close_prompt(change, prompt, PromptTrigger.EXPIRE, reason=_NOBODY, go_on=False)
        failure = Failure("PROMPT_EXPIRED", f"nobody answered {prompt.key or prompt.prompt_id!r} in time")
        fail_now(change, JobTrigger.FAIL, failure)
    else:
        close_prompt(change, prompt, PromptTrigger.EXPIRE, reason=_NOBODY)


_NOBODY = "nobody answered in time"
