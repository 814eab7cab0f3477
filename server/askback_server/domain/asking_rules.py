"""AskPrompt: open a prompt, return the existing one, amend it, or reuse the answer of an earlier job."""

from __future__ import annotations

from dataclasses import replace

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.checks import Checker, normalise
from askback_server.domain.commands import AskPrompt, PromptRef
from askback_server.domain.content import PromptContent
from askback_server.domain.due import run_overdue
from askback_server.domain.errors import InvalidField, LeaseLost, LimitExceeded, PromptNotFound
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.exclusions import exclude_people
from askback_server.domain.jobs import JobState, Wake
from askback_server.domain.life import UNDERSTANDING, close_prompt, move, note_question
from askback_server.domain.nudges import first_nudges
from askback_server.domain.prompts import AnswerStatus, Prompt, PromptState, Submission
from askback_server.domain.replies import PromptAsked
from askback_server.domain.retries import CarriedAnswer
from askback_server.domain.rewording import accept_rewording, amend, note_rewording
from askback_server.domain.rule_answers import consult_rules, name_routes, settle_asked
from askback_server.domain.shown_form import shown_digest
from askback_server.domain.transitions import JobTrigger, PromptTrigger
from askback_server.domain.vote_documents import shortfalls_to_doc
from askback_server.domain.voting_rules import first_votes
from askback_server.domain.waiting import open_blocking, wait_again
from askback_server.domain.worker_rules import begin_holder_change

_SUPERSEDED = "another prompt of the job took its place"


def ask_prompt(aggregate: Aggregate, command: AskPrompt, facts: Facts) -> RuleResult[PromptAsked]:
    """Open a prompt under a key.

    If the key has a prompt: an equal digest returns it unchanged; other content amends it while it is open,
    and is refused (or accepted as a rewording, with `same`) once it is closed.
    """
    change = begin_holder_change(aggregate, command, facts)
    check = Checker(facts.limits)
    check.key("key", command.key)
    check.done()
    known = aggregate.find(PromptRef(job_id=command.job_id, key=command.key))
    carried = _carried_answer(change, command) if known is None else None
    is_new = known is None and carried is None
    content = normalise(command.content, facts.limits, facts.now if is_new else None)
    run_overdue(change)
    if known is not None:
        known = change.prompt(known.prompt_id)
        if content.digest in (known.digest, known.asked_digest):
            if known.is_open and content.blocking and change.job.session_id is not None:
                wait_again(change)
            return RuleResult(PromptAsked(known, replayed=True), change if change.events else None)
    if change.job.session_id is None:
        # `run_overdue` has just ended the job or its attempt: a deadline had passed.
        return RuleResult(LeaseLost(command.job_id, command.token), change)
    if known is not None:
        if not known.is_open:
            return RuleResult(*accept_rewording(change, known, command, content))
        content = normalise(content, facts.limits, facts.now).resolve_deadline(facts.now)
        return RuleResult(PromptAsked(amend(change, known, content)), change)
    if carried is not None and (command.same or carried.digest == content.digest):
        _supersede(change, command)
        return RuleResult(PromptAsked(_reuse_answer(change, content, carried)), change)
    if carried is not None:
        content = normalise(content, facts.limits, facts.now)
    _supersede(change, command)
    if command.wakes and change.job.wake is Wake.ALL:
        change.set(wake=Wake.ANY)
    prompt = open_prompt(change, command.key, content.resolve_deadline(facts.now))
    return RuleResult(PromptAsked(prompt), change)


def _carried_answer(change: Change, command: AskPrompt) -> CarriedAnswer | None:
    """The answer of an earlier job of the chain that may count here; else people are asked again.

    Several people approve one job. The author must not be excluded from this one; the author's groups are not
    known.
    """
    carried, content = change.aggregate.carried.get(command.key), command.content
    if carried is None or content.approval is not None:
        return None
    exclusion = exclude_people(change, command.key, content).exclusion
    if exclusion is not None and (exclusion.groups or carried.answer.people & exclusion.users):
        return None
    return carried


def _reuse_answer(change: Change, content: PromptContent, carried: CarriedAnswer) -> Prompt:
    """Open a prompt and close it with the answer that a person gave in an earlier job of the chain.

    Its times are not checked and people are not notified, because it is closed in the same commit.
    """
    prompt = _create_prompt(change, carried.key, content.without_times())
    answer = replace(carried.answer, revision=prompt.revision)
    prompt = close_prompt(
        change,
        evolve(prompt, submissions=1),
        PromptTrigger.ANSWER,
        answer=answer,
        carried_from=carried.job_id,
        reason=f"answered in job {carried.job_id}",
    )
    status, seq = AnswerStatus.ACCEPTED, prompt.version
    change.submissions.append(Submission(prompt.prompt_id, prompt.job_id, answer, status, answer.digest, seq))
    if carried.digest == content.digest:
        return prompt
    note_rewording(change, prompt, carried.digest, content.digest)
    return change.put(prompt)


def _supersede(change: Change, command: AskPrompt) -> None:
    for key in command.supersedes:
        old = change.aggregate.find(PromptRef(job_id=command.job_id, key=key))
        if old is None:
            raise PromptNotFound(job_id=command.job_id, key=key)
        old = change.prompt(old.prompt_id)
        if old.is_open:
            # The reason does not name the new prompt: the audience of the old one may not see it.
            close_prompt(change, old, PromptTrigger.SUPERSEDE, reason=_SUPERSEDED, resume_job=False)


def open_prompt(change: Change, key: str, content: PromptContent) -> Prompt:
    """Open the job's next prompt. `content` is normalised and has no `deadline`. Raises LimitExceeded."""
    job, limits = change.job, change.facts.limits
    if job.open_prompts >= limits.open_prompts_per_job:
        raise LimitExceeded(
            f"the job has {job.open_prompts} open prompts; wait for answers or cancel some",
            limit="open_prompts_per_job",
            value=limits.open_prompts_per_job,
        )
    consulted = consult_rules(change, key, content)
    try:
        prompt = _create_prompt(change, key, consulted.content)
    except InvalidField as error:
        raise name_routes(error, consulted) from None
    return settle_asked(change, prompt, consulted)


def _create_prompt(change: Change, key: str, content: PromptContent) -> Prompt:
    """Make the next prompt and record its event. The caller puts or closes it. Raises LimitExceeded."""
    job, facts, limits = change.job, change.facts, change.facts.limits
    if job.rounds >= limits.prompts_per_job:
        raise LimitExceeded(
            "the job has asked too often; create another job",
            limit="prompts_per_job",
            value=limits.prompts_per_job,
        )
    content = exclude_people(change, key, content)
    change.set(
        rounds=job.rounds + 1,
        open_prompts=job.open_prompts + 1,
        open_blocking=open_blocking(change) + 1 if content.blocking else job.open_blocking,
        stalled_at=None,
    )
    if not job.workerless:
        move(change, _after_asking(change))
    prompt = Prompt(
        prompt_id=facts.new_id(),
        job_id=job.job_id,
        namespace=job.namespace,
        job_type=job.job_type,
        requested_by=job.user_id,
        key=key,
        round=job.rounds + 1,
        revision=1,
        version=0,
        state=PromptState.PENDING,
        content=content,
        digest=content.digest,
        shown_digest=shown_digest(content),
        created_at=facts.now,
        updated_at=facts.now,
        expires_at=facts.now + content.timeout if content.timeout else None,
        nudges=first_nudges(content, facts.now),
        votes=first_votes(change, content),
    )
    if content.kind == UNDERSTANDING:
        note_question(change, prompt)
    data: dict[str, object] = {
        "round": prompt.round,
        "key": key,
        "kind": content.kind,
        "title": content.title,
        "blocking": content.blocking,
        "revision": 1,
        "digest": prompt.digest,
    }
    if prompt.votes is not None:
        data["shortfalls"] = shortfalls_to_doc(prompt.votes)
    change.record(EventType.PROMPT_ASKED, prompt.prompt_id, data)
    return prompt


def _after_asking(change: Change) -> JobTrigger:
    if change.job.open_blocking:
        return JobTrigger.WAIT
    # The new prompt does not block, and may have superseded the last one that did.
    return JobTrigger.RESUME if change.job.state is JobState.PENDING_HITL else JobTrigger.WRITE
