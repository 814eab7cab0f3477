"""What people, and the asker's side, may do to a prompt."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

from askback_server.domain.aggregate import Aggregate, Change, Decided, Facts
from askback_server.domain.checks import Checker
from askback_server.domain.commands import (
    AnswerPrompt,
    CancelPrompt,
    ClaimPrompt,
    OnPrompt,
    ReleasePrompt,
)
from askback_server.domain.due import take_due
from askback_server.domain.errors import (
    IdReused,
    LimitExceeded,
    PromptClaimed,
    PromptClosed,
    PromptNotFound,
)
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.json_text import Violation
from askback_server.domain.life import close_prompt
from askback_server.domain.principals import Role
from askback_server.domain.prompts import (
    Answer,
    AnswerResult,
    AnswerStatus,
    Prompt,
    PromptState,
    Submission,
)
from askback_server.domain.transitions import PromptTrigger, next_prompt_state


def _as_person(aggregate: Aggregate, command: OnPrompt[object]) -> Prompt:
    """The prompt, if the principal is one of those asked. Raises PromptNotFound."""
    command.principal.require(Role.CONSOLE)
    prompt = aggregate.find(command.ref)
    if prompt is None or not prompt.is_for(command.principal):
        raise _unknown(command)
    return prompt


def _unknown(command: OnPrompt[object]) -> PromptNotFound:
    ref = command.ref
    return PromptNotFound(**{k: v for k, v in asdict(ref).items() if v})


def answer_prompt(aggregate: Aggregate, command: AnswerPrompt, facts: Facts) -> Decided[AnswerResult]:
    """Judge a submission. The verdict is final and kept under its answer_id. Raises Unjudged."""
    prompt = _as_person(aggregate, command)
    check = Checker(facts.limits)
    check.key("answer_id", command.answer_id)
    if command.revision < 0:
        check.bad("revision", "must be at least 1: send the revision of the prompt that was shown")
    elif command.revision == 0:
        check.bad("revision", "is required: send the revision of the prompt that was shown")
    check.text("comment", command.comment, facts.limits.content_bytes)
    # What cannot be kept for the audit is refused at the door, and not judged.
    check.text("values_json", command.values_json, facts.limits.json_bytes)
    if sum(len(e.text) + len(e.content_id) for e in command.edits) > facts.limits.content_bytes:
        check.bad("edits", f"must have {facts.limits.content_bytes} characters at most in all")
    check.edits("edits", command.edits)
    check.done()
    digest = _answer(command, facts.now).digest
    before = aggregate.submissions.get((prompt.prompt_id, command.answer_id))
    if before is not None:
        if before.digest != digest:
            raise IdReused("answer_id", command.answer_id, prompt_id=prompt.prompt_id)
        return Decided(AnswerResult(before.status, command.answer_id, prompt, True, before.violations))
    if prompt.submissions >= facts.limits.submissions_per_prompt:
        raise LimitExceeded(
            "too many answers were submitted to this prompt",
            limit="submissions_per_prompt",
            value=facts.limits.submissions_per_prompt,
        )
    change = Change(aggregate, facts, command.principal.subject)
    take_due(change)
    prompt = change.prompt(prompt.prompt_id)
    if prompt.nudges is not None and not prompt.is_for(command.principal):
        # A step that was due has just put others in this person's place.
        return Decided(_unknown(command), change)
    return _judged(change, command, prompt, digest)


def _judged(change: Change, command: AnswerPrompt, prompt: Prompt, digest: str) -> Decided[AnswerResult]:
    if not prompt.is_open:
        return _kept(change, command, prompt, AnswerStatus.CLOSED, digest)
    claimant = prompt.claimant(change.facts.now)
    if claimant and claimant != command.principal.subject:
        raise PromptClaimed(prompt.prompt_id, claimant)
    if command.revision != prompt.revision:
        return _kept(change, command, prompt, AnswerStatus.STALE, digest)
    wrong = prompt.content.judge(
        command.decision,
        command.values_json,
        command.edits,
        command.comment,
        change.facts.limits,
        command.judgement,
    )
    if wrong:
        return _kept(change, command, prompt, AnswerStatus.INVALID, digest, wrong)
    # The first commit wins: once the deadline has passed by the database's clock, this one lost.
    change.require(not_after=prompt.expires_at)
    answer = _answer(command, change.facts.now)
    prompt = evolve(prompt, submissions=prompt.submissions + 1)
    prompt = close_prompt(change, prompt, PromptTrigger.ANSWER, answer=answer)
    status = AnswerStatus.ACCEPTED
    change.submissions.append(
        Submission(prompt.prompt_id, prompt.job_id, answer, status, digest, prompt.version)
    )
    return Decided(AnswerResult(status, command.answer_id, prompt), change)


def _kept(
    change: Change,
    command: AnswerPrompt,
    prompt: Prompt,
    status: AnswerStatus,
    digest: str,
    violations: tuple[Violation, ...] = (),
) -> Decided[AnswerResult]:
    """A submission that resolves nothing, kept for the audit: late, stale or invalid."""
    late = status is AnswerStatus.CLOSED
    if not late:
        next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.REFUSE)
    seq = change.event(
        EventType.ANSWER_LATE if late else EventType.ANSWER_REFUSED,
        prompt.prompt_id,
        {"round": prompt.round, "answer_id": command.answer_id, "status": status},
    )
    prompt = change.put(evolve(prompt, submissions=prompt.submissions + 1))
    change.submissions.append(
        Submission(
            prompt.prompt_id,
            prompt.job_id,
            _answer(command, change.facts.now),
            status,
            digest,
            seq,
            violations,
        )
    )
    return Decided(AnswerResult(status, command.answer_id, prompt, False, violations), change)


def _answer(command: AnswerPrompt, now: datetime) -> Answer:
    return Answer(
        answer_id=command.answer_id,
        decision=command.decision,
        values_json=command.values_json,
        edits=command.edits,
        comment=command.comment,
        source=command.source,
        user_id=command.principal.subject,
        revision=command.revision,
        created_at=now,
    )


def claim_prompt(aggregate: Aggregate, command: ClaimPrompt, facts: Facts) -> Decided[Prompt]:
    """Take an open prompt on, or keep it longer."""
    prompt = _as_person(aggregate, command)
    check = Checker(facts.limits)
    check.span("duration", command.duration, facts.limits.claim_max, timedelta(seconds=1))
    check.done()
    claimant = prompt.claimant(facts.now)
    if claimant and claimant != command.principal.subject:
        raise PromptClaimed(prompt.prompt_id, claimant)
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.CLAIM)
    change = Change(aggregate, facts, command.principal.subject)
    until = facts.now + (command.duration or facts.limits.claim_default)
    change.event(EventType.PROMPT_CLAIMED, prompt.prompt_id, {"round": prompt.round})
    prompt = change.put(evolve(prompt, claimed_by=command.principal.subject, claimed_until=until))
    return Decided(prompt, change)


def release_prompt(aggregate: Aggregate, command: ReleasePrompt, facts: Facts) -> Decided[Prompt]:
    """Give a claim back; the holder's or an admin's to do."""
    prompt = _as_person(aggregate, command)
    claimant = prompt.claimant(facts.now)
    if not claimant:
        return Decided(prompt)
    if claimant != command.principal.subject and not command.principal.is_admin:
        raise PromptClaimed(prompt.prompt_id, claimant)
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.UNCLAIM)
    change = Change(aggregate, facts, command.principal.subject)
    change.event(EventType.PROMPT_RELEASED, prompt.prompt_id, {"round": prompt.round})
    prompt = change.put(evolve(prompt, claimed_by="", claimed_until=None))
    return Decided(prompt, change)


def cancel_prompt(aggregate: Aggregate, command: CancelPrompt, facts: Facts) -> Decided[Prompt]:
    """The asker's side withdraws an open prompt; the job goes on."""
    command.principal.require(Role.CLIENT, Role.WORKER)
    prompt = aggregate.find(command.ref)
    if prompt is None or not command.principal.may_use(prompt.namespace):
        raise _unknown(command)
    check = Checker(facts.limits)
    check.text("reason", command.reason, facts.limits.reason_chars)
    check.done()
    if prompt.state is PromptState.CANCELLED:
        return Decided(prompt)
    change = Change(aggregate, facts, command.principal.subject)
    take_due(change)
    prompt = change.prompt(prompt.prompt_id)
    if not prompt.is_open:
        if change.events:
            return Decided(PromptClosed(prompt.prompt_id, prompt.state), change)
        raise PromptClosed(prompt.prompt_id, prompt.state)
    reason = command.reason or f"withdrawn by {command.principal.subject}"
    prompt = close_prompt(change, prompt, PromptTrigger.CANCEL, reason=reason)
    return Decided(prompt, change)
