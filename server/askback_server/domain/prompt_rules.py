"""Rules of the commands that people send for a prompt, and of its cancellation by clients and workers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.answers import Answer
from askback_server.domain.checks import Checker
from askback_server.domain.commands import (
    AnswerPrompt,
    CancelPrompt,
    ClaimPrompt,
    ReleasePrompt,
)
from askback_server.domain.due import refuse_closed, route_around_absences, run_overdue
from askback_server.domain.errors import (
    IdReused,
    IllegalState,
    LimitExceeded,
    PermissionDenied,
    PromptClaimed,
)
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.exclusions import Excluded
from askback_server.domain.json_text import Violation
from askback_server.domain.life import close_prompt
from askback_server.domain.principals import Role
from askback_server.domain.prompts import AnswerResult, AnswerStatus, Prompt, PromptState, Submission
from askback_server.domain.reserved_jobs import require_own
from askback_server.domain.rights import find_right, right_to_answer
from askback_server.domain.transitions import PromptTrigger, next_prompt_state
from askback_server.domain.visible_prompts import find_for_person, not_found
from askback_server.domain.vote_commands import OverridePrompt
from askback_server.domain.voting_rules import cast_vote

_SHOWN_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def answer_prompt(aggregate: Aggregate, command: AnswerPrompt, facts: Facts) -> RuleResult[AnswerResult]:
    """Judge an answer. The verdict is final: a repeated `answer_id` gets it again. Raises Unjudged."""
    prompt = find_for_person(aggregate, command)
    check = _check_answer(command, facts)
    check.done()
    return _take_answer(aggregate, command, facts, prompt)


def override_prompt(aggregate: Aggregate, command: OverridePrompt, facts: Facts) -> RuleResult[AnswerResult]:
    """Resolve a prompt as an admin. Exclusions, approvals and claims do not apply. Raises Unjudged."""
    command.principal.require(Role.ADMIN)
    prompt = find_for_person(aggregate, command)
    if not facts.limits.allows_override(prompt.namespace):
        message = "this namespace is not one of the server's setting allow_override: overrides are refused"
        raise PermissionDenied(message, namespace=prompt.namespace, needs="allow_override")
    check = _check_answer(command, facts)
    if not command.comment.strip():
        check.bad("comment", "is required: say why the rules of the prompt are overridden")
    check.done()
    return _take_answer(aggregate, command, facts, prompt)


def _check_answer(command: AnswerPrompt, facts: Facts) -> Checker:
    check = Checker(facts.limits)
    check.key("answer_id", command.answer_id)
    if command.revision < 0:
        check.bad("revision", "must be at least 1: send the revision of the prompt that was shown")
    elif command.revision == 0:
        check.bad("revision", "is required: send the revision of the prompt that was shown")
    if command.shown_digest and not _SHOWN_DIGEST.match(command.shown_digest):
        check.bad("shown_digest", "must be 64 hexadecimal digits in lower case, as the prompt has it")
    check.text("comment", command.comment, facts.limits.content_bytes)
    # A text that the audit cannot store is refused without a verdict.
    check.text("values_json", command.values_json, facts.limits.json_bytes)
    if command.edits:
        if sum(len(e.text) + len(e.content_id) for e in command.edits) > facts.limits.content_bytes:
            check.bad("edits", f"must have {facts.limits.content_bytes} characters at most in all")
        check.edits("edits", command.edits)
    return check


def _take_answer(
    aggregate: Aggregate, command: AnswerPrompt, facts: Facts, prompt: Prompt
) -> RuleResult[AnswerResult]:
    digest = _build_answer(command, facts.now).digest
    before = aggregate.submissions.get((prompt.prompt_id, command.answer_id))
    if before is not None:
        if before.digest != digest:
            raise IdReused("answer_id", command.answer_id, prompt_id=prompt.prompt_id)
        return RuleResult(AnswerResult(before.status, command.answer_id, prompt, True, before.violations))
    if not command.OVERRIDES and prompt.submissions >= facts.limits.submissions_per_prompt:
        raise LimitExceeded(
            "too many answers were submitted to this prompt",
            limit="submissions_per_prompt",
            value=facts.limits.submissions_per_prompt,
        )
    if not command.OVERRIDES and prompt.excludes(command.principal):
        raise Excluded(prompt.prompt_id)
    change = Change(aggregate, facts, command.principal.subject)
    run_overdue(change)
    prompt = change.prompt(prompt.prompt_id)
    if change.events and not prompt.is_for(command.principal):
        # `run_overdue` has just taken an escalation step or ended a delegation, by which this person was
        # asked.
        return RuleResult(not_found(command), change)
    return judge_answer(change, command, prompt, digest)


def judge_answer(
    change: Change, command: AnswerPrompt, prompt: Prompt, digest: str
) -> RuleResult[AnswerResult]:
    """Judge an answer of a principal that may answer. Raises PromptClaimed, PermissionDenied, Unjudged."""
    if not prompt.is_open:
        before = change.aggregate.job
        if before is not None and before.purge_at is not None:
            if before.purge_at <= change.facts.now:
                raise not_found(command)  # this answer may have had another verdict, which is deleted
            change.require(not_after=before.purge_at)
        return _record_refusal(change, command, prompt, AnswerStatus.CLOSED, digest)
    if prompt.digest != prompt.content.digest:
        # An older replica has written the content without the fields that it does not know.
        message = "the rules of this prompt were lost by a server of an older version; it must be asked again"
        raise IllegalState(message, state=prompt.state, event="ANSWER", prompt_id=prompt.prompt_id)
    alone = prompt.content.approval is None and not command.OVERRIDES
    claimant = prompt.claimant(change.facts.now) if alone else ""
    if claimant and claimant != command.principal.subject:
        raise PromptClaimed(prompt.prompt_id, claimant)
    if not _is_about(command, prompt):
        return _record_refusal(change, command, prompt, AnswerStatus.STALE, digest)
    wrong = prompt.content.judge(
        command.decision,
        command.values_json,
        command.edits,
        command.comment,
        change.facts.limits,
        command.judgement,
    )
    if wrong:
        return _record_refusal(change, command, prompt, AnswerStatus.INVALID, digest, wrong)
    # If the deadline has passed by the database's clock, the guard fails and the prompt expires instead.
    change.require(not_after=prompt.expires_at)
    right = None
    if not command.OVERRIDES:
        right = right_to_answer(prompt, command.principal, change.facts.electorate)
    if right is not None and (given := prompt.content.delegations) is not None:
        change.require(not_after=given.end_of(right))  # a substitute's right ends like a prompt, at its time
    answer = _build_answer(command, change.facts.now, right.on_behalf_of if right is not None else "")
    if right is not None and prompt.content.approval is not None:
        return cast_vote(change, command, prompt, answer, digest, right)
    prompt = evolve(prompt, submissions=prompt.submissions + 1)
    prompt = close_prompt(change, prompt, PromptTrigger.ANSWER, answer=answer)
    status = AnswerStatus.ACCEPTED
    change.submissions.append(
        Submission(prompt.prompt_id, prompt.job_id, answer, status, digest, prompt.version)
    )
    return RuleResult(AnswerResult(status, command.answer_id, prompt), change)


def _is_about(command: AnswerPrompt, prompt: Prompt) -> bool:
    """Whether the answer is about the content that the prompt has now."""
    return command.revision == prompt.revision and command.shown_digest in ("", prompt.shown_digest)


def _record_refusal(
    change: Change,
    command: AnswerPrompt,
    prompt: Prompt,
    status: AnswerStatus,
    digest: str,
    violations: tuple[Violation, ...] = (),
) -> RuleResult[AnswerResult]:
    """Store an answer that does not resolve the prompt (late, stale or invalid) for the audit."""
    late = status is AnswerStatus.CLOSED
    if not late:
        next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.REFUSE)
    seq = change.record(
        EventType.ANSWER_LATE if late else EventType.ANSWER_REFUSED,
        prompt.prompt_id,
        {"round": prompt.round, "answer_id": command.answer_id, "status": status},
    )
    prompt = change.put(evolve(prompt, submissions=prompt.submissions + 1))
    change.submissions.append(
        Submission(
            prompt.prompt_id,
            prompt.job_id,
            _build_answer(command, change.facts.now),
            status,
            digest,
            seq,
            violations,
        )
    )
    return RuleResult(AnswerResult(status, command.answer_id, prompt, False, violations), change)


def _build_answer(command: AnswerPrompt, now: datetime, on_behalf_of: str = "") -> Answer:
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
        batch_id=command.batch_id,
        rule=command.rule,
        on_behalf_of=on_behalf_of,
    )


def claim_prompt(aggregate: Aggregate, command: ClaimPrompt, facts: Facts) -> RuleResult[Prompt]:
    """Claim an open prompt, or extend the claim. Raises PromptClaimed, PromptClosed."""
    prompt = find_for_person(aggregate, command)
    check = Checker(facts.limits)
    check.span("duration", command.duration, facts.limits.claim_max, timedelta(seconds=1))
    check.done()
    if prompt.excludes(command.principal):
        raise Excluded(prompt.prompt_id)
    right = find_right(prompt, command.principal)
    claimant = prompt.claimant(facts.now)
    if claimant and claimant != command.principal.subject:
        raise PromptClaimed(prompt.prompt_id, claimant)
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.CLAIM)
    change = Change(aggregate, facts, command.principal.subject)
    until = facts.now + (command.duration or facts.limits.claim_default)
    if right is not None and (end := right.until) is not None:
        if end <= facts.now:
            raise not_found(command)  # its timer is late
        change.require(not_after=end)
        if claimant and end == prompt.claimed_until:
            until = min(until, end)  # the absence is over: only the claim holds the right
    change.record(EventType.PROMPT_CLAIMED, prompt.prompt_id, {"round": prompt.round})
    prompt = change.put(evolve(prompt, claimed_by=command.principal.subject, claimed_until=until))
    return RuleResult(prompt, change)


def release_prompt(aggregate: Aggregate, command: ReleasePrompt, facts: Facts) -> RuleResult[Prompt]:
    """Release a claim. Raises PromptClaimed unless the principal has the claim or is an admin."""
    prompt = find_for_person(aggregate, command)
    claimant = prompt.claimant(facts.now)
    if not claimant:
        return RuleResult(prompt)
    if claimant != command.principal.subject and not command.principal.is_admin:
        raise PromptClaimed(prompt.prompt_id, claimant)
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.UNCLAIM)
    change = Change(aggregate, facts, command.principal.subject)
    change.record(EventType.PROMPT_RELEASED, prompt.prompt_id, {"round": prompt.round})
    prompt = change.put(evolve(prompt, claimed_by="", claimed_until=None))
    return RuleResult(route_around_absences(change, prompt), change)


def cancel_prompt(aggregate: Aggregate, command: CancelPrompt, facts: Facts) -> RuleResult[Prompt]:
    """Withdraw an open prompt; its job continues. Raises PromptClosed, and PermissionDenied for the approval
    of a rule."""
    command.principal.require(Role.CLIENT, Role.WORKER)
    prompt = aggregate.find(command.ref)
    if prompt is None or not command.principal.may_use(prompt.namespace):
        raise not_found(command)
    require_own(prompt.job_type, command.principal)
    check = Checker(facts.limits)
    check.text("reason", command.reason, facts.limits.reason_chars)
    check.done()
    if prompt.state is PromptState.CANCELLED:
        return RuleResult(prompt)
    change = Change(aggregate, facts, command.principal.subject)
    run_overdue(change)
    prompt = change.prompt(prompt.prompt_id)
    if not prompt.is_open:
        return refuse_closed(change, prompt)
    reason = command.reason or f"withdrawn by {command.principal.subject}"
    prompt = close_prompt(change, prompt, PromptTrigger.CANCEL, reason=reason)
    return RuleResult(prompt, change)
