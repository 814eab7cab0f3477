"""Rules of votes: cast one, withdraw one, and resolve the prompt by the last one that is needed."""

from __future__ import annotations

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.answers import Answer
from askback_server.domain.checks import Checker
from askback_server.domain.commands import AnswerPrompt
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import AUTHORISING
from askback_server.domain.delegations import Delegation
from askback_server.domain.due import refuse_closed, run_overdue
from askback_server.domain.electorate import NO_DEPARTURES, Departures, Shortage, shortages
from askback_server.domain.errors import (
    InvalidField,
    LimitExceeded,
    NotFound,
    PermissionDenied,
)
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.exclusions import exclude_answerers
from askback_server.domain.json_text import Violation
from askback_server.domain.life import close_prompt
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import AnswerResult, AnswerStatus, Prompt, Submission
from askback_server.domain.transitions import PromptTrigger, next_prompt_state
from askback_server.domain.visible_prompts import find_for_person
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
    """The votes of a prompt that is asked, or amended after the votes `before`; None if there are none.

    Raises InvalidField if it is certain that not enough people may decide it.
    """
    shortfalls = find_shortfalls(change, content)
    if content.approval is None:
        return before.end_all() if before is not None and before.people else None
    return (before or Votes()).end_all(shortfalls)


def find_shortfalls(change: Change, content: PromptContent) -> tuple[Shortfall, ...]:
    """What the directory does not know of the people whom a content needs.

    Raises InvalidField if it is certain that not enough people may decide it.
    """
    if content.approval is None and content.exclusion is None:
        return ()
    found = shortages(change.job.namespace, content, change.facts.electorate)
    if wrong := [_violation(each, content) for each in found if each.certain]:
        raise InvalidField(wrong)
    return tuple(Shortfall(each.group, each.required, each.known) for each in found)


def _violation(shortage: Shortage, content: PromptContent) -> Violation:
    if content.approval is None:
        return Violation("content.exclude", "excludes all who may answer: no person is left")
    if shortage.group:
        return Violation(
            "content.approval.per_group",
            f"needs {shortage.required} of the group {shortage.group!r}, and {shortage.known} may approve: "
            "the directory has all of its members",
        )
    return Violation(
        "content.approval.required", f"needs {shortage.required} people, and {shortage.known} may approve"
    )


def cast_vote(
    change: Change, command: AnswerPrompt, prompt: Prompt, answer: Answer, digest: str
) -> RuleResult[AnswerResult]:
    """Add a valid answer to the votes of an open prompt, and close it if no further one is needed.

    Votes of people who have left since end with it. Raises PermissionDenied for people who cannot be one of
    those that are needed.
    """
    approval = prompt.content.approval
    assert approval is not None
    departures = change.facts.electorate.departures.get(prompt.namespace, NO_DEPARTURES)
    vote = _vote_of(command, prompt, answer, departures)
    before = prompt.votes or Votes()
    valid = before.without_departed(departures)
    _check_slot(valid, vote, prompt)
    votes = valid.cast(vote)
    _check_size(votes, change.facts.limits)
    winner = decided(votes.counts(approval))
    status = AnswerStatus.RECORDED if winner is None else AnswerStatus.ACCEPTED
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.VOTE)
    data: dict[str, object] = {"round": prompt.round, "key": prompt.key, "answer_id": answer.answer_id}
    data |= {"decision": str(answer.decision), "outcome": vote.outcome, "groups": sorted(vote.groups)}
    data["entry"] = _places(vote)[1]
    data["status"] = str(status)
    if answer.on_behalf_of:
        data |= {"on_behalf_of": answer.on_behalf_of, "delegation": vote.delegation, "via": vote.via}
    if (replaced := valid.of(vote.user_id)) is not None:
        data["replaces"] = replaced.answer.answer_id
    ended = [v.answer.answer_id for v in before.live if valid.of(v.user_id) is None]
    ended += [v.answer.answer_id for v in valid.live if votes.of(v.user_id) is None]
    if ended:
        data["votes"] = ended
    if lapsed := {v.answer.answer_id: _places(v) for v in valid.live if before.of(v.user_id) != v}:
        data["lapsed"] = lapsed
    seq = change.record(EventType.PROMPT_VOTED, prompt.prompt_id, data)
    prompt = evolve(prompt, submissions=prompt.submissions + 1, votes=votes)
    if prompt.claimed_by == vote.user_id:
        prompt = evolve(prompt, claimed_by="", claimed_until=None)
    if winner is None:
        prompt = change.put(prompt)
        exclude_answerers(change, prompt)
    else:
        counted = tuple(each.answer.answer_id for each in winner.votes)
        prompt = close_prompt(change, prompt, PromptTrigger.ANSWER, answer=answer, votes=counted)
    change.submissions.append(Submission(prompt.prompt_id, prompt.job_id, answer, status, digest, seq))
    return RuleResult(AnswerResult(status, command.answer_id, prompt), change)


def _check_slot(votes: Votes, vote: Vote, prompt: Prompt) -> None:
    """Raise PermissionDenied for a delegate if the person in whose place it acts, or another delegate of that
    person, has voted. That person itself replaces the vote of its delegate."""
    other = votes.of_slot(vote.slot)
    if other is not None and vote.delegation and other.user_id != vote.user_id:
        who = "itself" if other.user_id == vote.slot else f"through {other.user_id}"
        message = f"you act for {vote.slot}, who has voted {who}; a person has one vote"
        raise PermissionDenied(message, prompt_id=prompt.prompt_id, needs="a vote that is not used")


def _check_holder(holder: str, by: Delegation, departures: Departures) -> frozenset[str] | None:
    """The groups by which the person in whose place a delegate acts is still asked; None: by name.

    Raises PermissionDenied if it is not asked any more.
    """
    entry = departures.still_in(holder, by.entry, by.at) if by.entry is not None else None
    if departures.has_left(holder, by.at) or (entry is not None and not entry):
        message = f"you act for {holder}, who is not asked any more: your vote would not count"
        raise PermissionDenied(message, needs="audience")
    return entry


def _places(vote: Vote) -> list[list[str] | None]:
    """The groups of a vote, and those by which its author was asked."""
    return [sorted(vote.groups), None if vote.entry is None else sorted(vote.entry)]


_STORED = 8
"""How often as much as is allowed to be shown may be stored: people who agree send the same text again."""


def _check_size(votes: Votes, limits: Limits) -> None:
    if votes.distinct_bytes > limits.votes_bytes or votes.size > _STORED * limits.votes_bytes:
        message = "the votes of this prompt are too large together; send a smaller answer"
        raise LimitExceeded(message, limit="votes_bytes", value=limits.votes_bytes)


def check_voter(prompt: Prompt, caller: Principal) -> None:
    """Raise PermissionDenied unless a caller who may see the prompt is one of those that are asked.

    An admin may see every prompt; who may decide together is what the asker has named.
    """
    content = prompt.content
    if content.approval is not None and content.right_of(caller.subject, caller.groups) is None:
        raise PermissionDenied(
            "you see this prompt as an admin, and only its audience may vote; OverridePrompt is for admins",
            needs="audience",
        )


def _vote_of(command: AnswerPrompt, prompt: Prompt, answer: Answer, departures: Departures) -> Vote:
    approval, audience, caller = prompt.content.approval, prompt.content.audience, command.principal
    assert approval is not None
    check_voter(prompt, caller)
    right = prompt.content.right_of(caller.subject, caller.groups)
    assert right is not None
    by, entry = right.delegation, right.entry
    if by is not None:
        entry = _check_holder(right.holder, by, departures)
    if caller.subject in departures.inactive:
        message = "the directory of people has you as inactive, so your vote would not count; ask an admin"
        raise PermissionDenied(message, needs="active")
    via = by.group if by is not None else ""
    groups = caller.groups & (approval.groups | audience.groups | ({via} if via else set()))
    authorises = command.decision in AUTHORISING
    if authorises and not approval.has_free_places and groups.isdisjoint(approval.groups):
        names = ", ".join(sorted(approval.groups))
        raise PermissionDenied(f"your vote would not count: members of {names} must approve", needs=names)
    return Vote(answer, outcome_of(answer), groups, entry, by.number if by is not None else 0, via)


_VOTED = (AnswerStatus.RECORDED, AnswerStatus.ACCEPTED)


def withdraw_answer(aggregate: Aggregate, command: WithdrawAnswer, facts: Facts) -> RuleResult[Prompt]:
    """Withdraw the caller's vote on an open prompt. A vote that is withdrawn already changes nothing.

    Raises PromptNotFound, AnswerNotFound, PromptClosed.
    """
    prompt, caller = find_for_person(aggregate, command), command.principal
    check = Checker(facts.limits)
    check.key("answer_id", command.answer_id)
    check.done()
    known = aggregate.submissions.get((prompt.prompt_id, command.answer_id))
    if known is None or known.answer.user_id != caller.subject or known.status not in _VOTED:
        raise AnswerNotFound(prompt.prompt_id, command.answer_id)
    change = Change(aggregate, facts, caller.subject)
    run_overdue(change)
    prompt = change.prompt(prompt.prompt_id)
    if not prompt.is_open:
        return refuse_closed(change, prompt)
    vote = prompt.votes.of(caller.subject) if prompt.votes is not None else None
    if vote is None or vote.answer.answer_id != command.answer_id:
        return RuleResult(prompt, change if change.events else None)
    assert prompt.votes is not None
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.WITHDRAW)
    change.require(not_after=prompt.expires_at)
    data = {"round": prompt.round, "key": prompt.key, "answer_id": command.answer_id}
    change.record(EventType.VOTE_WITHDRAWN, prompt.prompt_id, data)
    return RuleResult(change.put(evolve(prompt, votes=prompt.votes.end([caller.subject]))), change)
