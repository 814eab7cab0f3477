"""Rules of votes: cast one, withdraw one, and resolve the prompt by the last one that is needed."""

from __future__ import annotations

from dataclasses import asdict

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.answers import Answer
from askback_server.domain.checks import Checker
from askback_server.domain.commands import AnswerPrompt
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import AUTHORISING
from askback_server.domain.due import run_overdue
from askback_server.domain.electorate import NO_DEPARTURES, shortages
from askback_server.domain.errors import (
    InvalidField,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PromptClosed,
    PromptNotFound,
)
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.exclusions import exclude_answerers
from askback_server.domain.json_text import Violation
from askback_server.domain.life import close_prompt
from askback_server.domain.principals import Role
from askback_server.domain.prompts import AnswerResult, AnswerStatus, Prompt, Submission
from askback_server.domain.transitions import PromptTrigger, next_prompt_state
from askback_server.domain.vote_commands import WithdrawAnswer
from askback_server.domain.votes import Shortfall, Vote, Votes, decided, outcome_of


class AnswerNotFound(NotFound):
    """The caller has no such vote on the prompt."""

    reason = "ANSWER_NOT_FOUND"

    def __init__(self, prompt_id: str, answer_id: str) -> None:
        super().__init__(
            f"you have no vote with the answer_id {answer_id!r} on this prompt",
            prompt_id=prompt_id,
            answer_id=answer_id,
        )


def first_votes(change: Change, content: PromptContent, before: Votes | None = None) -> Votes | None:
    """The votes of a prompt that is asked, or amended after the votes `before`; None without an approval.

    Raises InvalidField if it is certain that not enough people exist.
    """
    if content.approval is None:
        return None
    found = shortages(change.job.namespace, content, change.facts.electorate)
    wrong = [
        Violation(
            "content.approval" + (".per_group" if each.group else ".required"),
            f"needs {each.required}"
            + (f" of the group {each.group!r}" if each.group else " people")
            + f", and {each.known} may approve: the directory has all members of the groups",
        )
        for each in found
        if each.certain
    ]
    if wrong:
        raise InvalidField(wrong)
    shortfalls = tuple(Shortfall(each.group, each.required, each.known) for each in found)
    return (before or Votes()).end_all(shortfalls)


def cast_vote(
    change: Change, command: AnswerPrompt, prompt: Prompt, answer: Answer, digest: str
) -> RuleResult[AnswerResult]:
    """Add a valid answer to the votes of an open prompt, and close it if no further one is needed.

    Raises PermissionDenied for people who cannot be one of those that are needed.
    """
    approval = prompt.content.approval
    assert approval is not None
    vote = _vote_of(command, prompt, answer)
    before = prompt.votes or Votes()
    votes = before.cast(vote)
    limit = change.facts.limits.votes_bytes
    if votes.size > limit:
        message = "the votes of this prompt are too large together; send a smaller answer"
        raise LimitExceeded(message, limit="votes_bytes", value=limit)
    departures = change.facts.electorate.departures.get(prompt.namespace, NO_DEPARTURES)
    winner = decided(votes.counts(approval, departures))
    # The last one needed; unless other votes count again, which then decide by their precedence.
    decides = winner is not None and winner.votes[-1] is vote
    status = AnswerStatus.ACCEPTED if decides else AnswerStatus.RECORDED
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.VOTE)
    data: dict[str, object] = {"round": prompt.round, "key": prompt.key, "answer_id": answer.answer_id}
    data |= {"decision": str(answer.decision), "outcome": vote.outcome, "groups": sorted(vote.groups)}
    data |= {"by_group": vote.by_group, "status": str(status)}
    if (replaced := before.of(vote.user_id)) is not None:
        data["replaces"] = replaced.answer.answer_id
    if lapsed := votes.lapsed(departures):
        data["lapsed"] = lapsed
    seq = change.record(EventType.PROMPT_VOTED, prompt.prompt_id, data)
    prompt = evolve(prompt, submissions=prompt.submissions + 1, votes=votes)
    if prompt.claimed_by == vote.user_id:  # others must be able to vote now
        prompt = evolve(prompt, claimed_by="", claimed_until=None)
    if winner is None:
        prompt = change.put(prompt)
        exclude_answerers(change, prompt)
    else:
        counted = tuple(each.answer.answer_id for each in winner.votes)
        last = winner.votes[-1].answer
        prompt = close_prompt(change, prompt, PromptTrigger.ANSWER, answer=last, votes=counted)
    change.submissions.append(Submission(prompt.prompt_id, prompt.job_id, answer, status, digest, seq))
    return RuleResult(AnswerResult(status, command.answer_id, prompt), change)


def _vote_of(command: AnswerPrompt, prompt: Prompt, answer: Answer) -> Vote:
    approval, audience, caller = prompt.content.approval, prompt.content.audience, command.principal
    assert approval is not None
    if not audience.includes(caller.subject, caller.groups):
        raise PermissionDenied(
            "you see this prompt as an admin, and only its audience may vote; OverridePrompt is for admins",
            needs="audience",
        )
    groups = caller.groups & (approval.groups | audience.groups)
    authorises = command.decision in AUTHORISING
    if authorises and not approval.has_free_places and groups.isdisjoint(approval.groups):
        names = ", ".join(sorted(approval.groups))
        raise PermissionDenied(f"your vote would not count: members of {names} must approve", needs=names)
    is_open = not audience.users and not audience.groups
    return Vote(answer, outcome_of(answer), groups, not is_open and caller.subject not in audience.users)


def withdraw_answer(aggregate: Aggregate, command: WithdrawAnswer, facts: Facts) -> RuleResult[Prompt]:
    """Withdraw the caller's vote on an open prompt. A vote that is withdrawn already changes nothing.

    Raises PromptNotFound, AnswerNotFound, PromptClosed.
    """
    caller = command.principal
    caller.require(Role.CONSOLE)
    check = Checker(facts.limits)
    check.key("answer_id", command.answer_id)
    check.done()
    prompt = aggregate.find(command.ref)
    known = aggregate.submissions.get((prompt.prompt_id, command.answer_id)) if prompt is not None else None
    own = known is not None and known.answer.user_id == caller.subject
    if prompt is None or not caller.may_use(prompt.namespace) or not (own or prompt.is_for(caller)):
        raise PromptNotFound(**{k: v for k, v in asdict(command.ref).items() if v})
    if not own or known is None or known.status not in (AnswerStatus.RECORDED, AnswerStatus.ACCEPTED):
        raise AnswerNotFound(prompt.prompt_id, command.answer_id)
    change = Change(aggregate, facts, caller.subject)
    run_overdue(change)
    prompt = change.prompt(prompt.prompt_id)
    if not prompt.is_open:
        if change.events:
            return RuleResult(PromptClosed(prompt.prompt_id, prompt.state), change)
        raise PromptClosed(prompt.prompt_id, prompt.state)
    vote = prompt.votes.of(caller.subject) if prompt.votes is not None else None
    if vote is None or vote.answer.answer_id != command.answer_id:
        return RuleResult(prompt, change if change.events else None)
    assert prompt.votes is not None
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.WITHDRAW)
    change.require(not_after=prompt.expires_at)
    data = {"round": prompt.round, "key": prompt.key, "answer_id": command.answer_id}
    change.record(EventType.VOTE_WITHDRAWN, prompt.prompt_id, data)
    return RuleResult(change.put(evolve(prompt, votes=prompt.votes.end([caller.subject]))), change)
