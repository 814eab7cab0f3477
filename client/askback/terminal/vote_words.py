"""Approval by several people in words: how far it is, what others did, and who may not answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from askback._model.approvals import Approval, Vote, VoteCount
from askback._model.enums import DecisionKind
from askback._model.identity import Identity
from askback._model.prompts import PromptInfo
from askback.errors import PermissionDenied
from askback.terminal.author_words import voter_words
from askback.terminal.keys import verb_of

VOTING: Final = {
    DecisionKind.ACCEPT: "approves",
    DecisionKind.EDIT: "approves with changes",
    DecisionKind.REVISE: "asks for changes",
    DecisionKind.REJECT: "rejects",
}

_YES = (DecisionKind.ACCEPT, DecisionKind.EDIT)


def approval_words(approval: Approval) -> str:
    """How many people must decide alike: `2 people must approve, 1 of release; rules may give 1
    of them; 2 rejections reject it`."""
    groups = f", {_of_groups(approval.per_group)}" if approval.per_group else ""
    people = "1 person" if approval.required == 1 else f"{approval.required} people"
    rejections = f"; {approval.reject_at} rejections reject it" if approval.reject_at > 1 else ""
    rules = f"; rules may give {approval.rules_may_fill} of them" if approval.rules_may_fill else ""
    return f"{people} must approve{groups}{rules}{rejections}"


def progress_words(prompt: PromptInfo) -> list[str]:
    """How far the approval is, a line for each outcome: `1 of 2 approve: bob; 1 more needed (1 of release)`.

    Empty for a prompt without an approval.
    """
    approval = prompt.approval
    if approval is None:
        return []
    counts = prompt.vote_counts
    lines = [_count_words(prompt, count) for count in counts]
    if not any(count.decision in _YES for count in counts):
        missing = _missing_words(prompt, approval.required, approval.per_group)
        lines.insert(0, f"0 of {approval.required} approve{missing}")
    if prompt.answered is not None and prompt.answered.by_override:
        lines.insert(0, f"overridden by {prompt.answered.by}: not decided by votes")
    return lines


def _count_words(prompt: PromptInfo, count: VoteCount) -> str:
    votes = [vote for vote in prompt.votes if vote.outcome == count.outcome]
    names = ", ".join(map(voter_words, votes))
    what = verb_of(count.decision)
    if votes and (votes[0].edits or count.decision is DecisionKind.EDIT):
        what = f"approve the changes of {votes[0].by}"
    elif votes and votes[0].values:
        what = f"approve the values of {votes[0].by}"
    missing = _missing_words(prompt, count.more, count.missing)
    return f"{count.votes} of {count.required} {what}: {names}{missing}"


def _missing_words(prompt: PromptInfo, more: int, groups: Mapping[str, int]) -> str:
    """How many votes an open prompt needs, or an overridden one lacked; else empty."""
    overridden = prompt.answered is not None and prompt.answered.by_override
    if not more or not (prompt.is_open or overridden):
        return ""
    lacked = "was missing" if more == 1 else "were missing"
    return f"; {_more(more, groups, lacked if overridden else 'needed')}"


def more_words(count: VoteCount) -> str:
    """How many further votes are needed: `1 more needed (1 of release)`."""
    return _more(count.more, count.missing, "needed")


def _more(number: int, groups: Mapping[str, int], word: str) -> str:
    of_groups = f" ({_of_groups(groups)})" if groups else ""
    return f"{number} more {word}{of_groups}"


def _of_groups(groups: Mapping[str, int]) -> str:
    return ", ".join(f"{number} of {name}" for name, number in groups.items())


def short_progress(prompt: PromptInfo, person: Identity | None = None) -> str:
    """The progress in a cell of a table, of the yes with the most votes: `1/2`, or `2/2, 1 more` while a
    member of a group is missing.

    `not you` for a person who may not answer; empty without an approval.
    """
    if person is not None and prompt.is_open and prompt.excludes(person.subject, person.groups):
        return "not you"
    if prompt.approval is None:
        return ""
    counts = [count for count in prompt.vote_counts if count.decision in _YES]
    best = max(counts, key=lambda count: count.votes, default=None)
    if best is None:
        return f"0/{prompt.approval.required}"
    more = f", {best.more} more" if best.votes >= best.required and prompt.is_open else ""
    return f"{best.votes}/{best.required}{more}"


def vote_of(prompt: PromptInfo, person: Identity | None) -> Vote | None:
    """The person's own vote."""
    return next((v for v in prompt.votes if person is not None and v.by == person.subject), None)


def exclusion_error(prompt: PromptInfo, person: Identity | None) -> PermissionDenied | None:
    """The error for an answer of this person, if the prompt excludes it."""
    if person is None or not prompt.excludes(person.subject, person.groups):
        return None
    return PermissionDenied(
        f"you may not answer this prompt: it excludes {exclusion_words(prompt)}; another person must answer",
        reason="ERROR_REASON_EXCLUDED",
        metadata={"prompt_id": prompt.prompt_id},
    )


def exclusion_words(prompt: PromptInfo) -> str:
    """Who may not answer: `user:ana (who asked)`. Empty without an exclusion."""
    exclude = prompt.exclude
    if exclude is None:
        return ""
    reasons = ["who asked"] if exclude.requester else []
    reasons += [f"who answered {key}" for key in exclude.answerers_of]
    named, why = ", ".join(exclude.names), ", ".join(reasons)
    return f"{named} ({why})" if named and why else named or why


def vote_facts(prompt: PromptInfo, person: Identity | None) -> Iterator[tuple[str, str]]:
    """Names and values for the head of a prompt."""
    if prompt.approval is not None:
        yield "approval", approval_words(prompt.approval)
        for line in progress_words(prompt):
            yield "votes", line
    if (own := vote_of(prompt, person)) is not None and prompt.is_open:
        yield "your vote", f"{verb_of(own.decision)}; another answer replaces it"
    if excluded := exclusion_words(prompt):
        yield "excluded", excluded


def vote_warnings(prompt: PromptInfo, person: Identity | None) -> Iterator[str]:
    """What a person should know before it answers: that it may not, or that too few people are known."""
    if not prompt.is_open:
        return
    if (error := exclusion_error(prompt, person)) is not None:
        yield error.message
    for short in prompt.shortfalls:
        who = f"of {short.group}" if short.group else "people"
        yield f"it needs {short.required} {who}, and the directory knows {short.known} who may approve"


def changes_of_votes(before: PromptInfo, now: PromptInfo, person: Identity | None) -> str:
    """What other people did between two states of a prompt: `bob approves`; empty if nothing."""
    old = {vote.answer_id: vote for vote in before.votes}
    new = {vote.answer_id: vote for vote in now.votes}
    voters = {vote.by for vote in new.values()}
    found = [
        f"{voter_words(vote)} {VOTING.get(vote.decision, verb_of(vote.decision))}"
        for answer_id, vote in new.items()
        if answer_id not in old and (person is None or vote.by != person.subject)
    ]
    found += [
        f"the vote of {vote.by} has ended"
        for vote in old.values()
        if vote.by not in voters and (person is None or vote.by != person.subject)
    ]
    return ", ".join(found)


def votes_to_follow(prompt: PromptInfo, person: Identity | None) -> list[Vote]:
    """The votes of others for which a person can vote too: the first one of each outcome."""
    first: dict[str, Vote] = {}
    for vote in prompt.votes:
        if person is None or vote.by != person.subject:
            first.setdefault(vote.outcome, vote)
    return list(first.values())


def find_vote(prompt: PromptInfo, name: str) -> Vote:
    """The vote of the person with this name. Raises LookupError, with a message for the person."""
    for vote in prompt.votes:
        if vote.by == name:
            return vote
    voters = ", ".join(vote.by for vote in prompt.votes)
    others = f"there are votes of {voters}" if voters else "no person has voted"
    raise LookupError(f"{name} has no vote on this prompt; {others}")
