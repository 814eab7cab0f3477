"""Separation of duties: who may not answer a prompt of a job."""

from __future__ import annotations

from dataclasses import replace

from askback_server.domain.aggregate import Change
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.content import Exclusion, PromptContent
from askback_server.domain.electorate import Electorate
from askback_server.domain.ended_delegations import end_delegations, end_votes
from askback_server.domain.errors import InvalidField, PermissionDenied
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.prompts import Prompt
from askback_server.domain.transitions import PromptTrigger, next_prompt_state


class Excluded(PermissionDenied):
    """The prompt excludes the caller from answering, whatever its role, or the one in whose place it acts."""

    reason = "EXCLUDED"

    def __init__(self, prompt_id: str, holder: str = "") -> None:
        who = f"{holder}, in whose place you act," if holder else "you"
        super().__init__(
            f"this prompt excludes {who} from answering it; another person must answer", prompt_id=prompt_id
        )


def excludes_known(prompt: Prompt, person: str, electorate: Electorate) -> bool:
    """Whether a prompt excludes a person other than the caller: by name, or by a group that it is known to be
    in."""
    groups = electorate.people.get(prompt.namespace, {}).get(person, frozenset())
    return prompt.content.exclusion is not None and prompt.content.exclusion.has(person, groups)


def exclude_people(change: Change, key: str, content: PromptContent) -> PromptContent:
    """The content of a prompt that is asked under a key, with the names that its exclusion stands for so far.

    The default of the namespace is added to its own exclusion. Raises InvalidField for a prompt that excludes
    those who answer it.
    """
    job, limits, exclusion = change.job, change.facts.limits, content.exclusion
    if limits.excludes_requester(job.namespace) and not (exclusion is not None and exclusion.requester):
        exclusion = replace(exclusion or Exclusion(), requester=True)
        content = evolve(content, exclusion=exclusion)
    if exclusion is None:
        return content
    if key in exclusion.answerers_of:
        raise InvalidField.of("content.exclude.answerers_of", f"must not have {key!r}, the prompt's own key")
    names: set[str] = set()
    if exclusion.requester:
        names |= {job.user_id, *job.requesters, job.holder} - {""}
    for other in exclusion.answerers_of:
        prompt_id = change.aggregate.keys.get(other)
        carried = change.aggregate.carried.get(other)
        if prompt_id is not None:
            names |= answerers_of(change.prompt(prompt_id))
        elif carried is not None:
            names |= carried.answer.people
    return content.exclude(frozenset(names))


def answerers_of(prompt: Prompt) -> frozenset[str]:
    """The people who answered a prompt: the author of the answer, who sent it, all who have voted, and those
    in whose place they did."""
    names = prompt.votes.people if prompt.votes is not None else frozenset[str]()
    if prompt.votes is not None:
        names = names.union(vote.slot for vote in prompt.votes.live)
    resolution = prompt.resolution
    if resolution is None or resolution.answer is None or not _is_of_a_person(resolution.answer):
        return names
    return names | resolution.answer.people | frozenset({resolution.actor} - {""})


def exclude_answerers(change: Change, answered: Prompt) -> None:
    """Exclude who answered a prompt from the open prompts that exclude its answerers. Ends their claims and
    votes there."""
    if not change.job.open_prompts:
        return
    names = answerers_of(answered)
    for prompt in change.open if names else ():
        exclusion = prompt.content.exclusion
        if exclusion is None or answered.key not in exclusion.answerers_of or names <= exclusion.users:
            continue
        next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.EXCLUDE)
        data: dict[str, object] = {"round": prompt.round, "key": prompt.key, "answered": answered.key}
        data["users"] = sorted(names - exclusion.users)
        after = evolve(prompt, content=prompt.content.exclude(names))
        if prompt.votes is not None:
            after = end_votes(after, [v for v in prompt.votes.live if v.answer.people & names], data)
        if (given := after.content.delegations) is not None:
            after = end_delegations(after, given.of_people(names), data)
        change.record(EventType.PROMPT_EXCLUDED, prompt.prompt_id, data)
        if prompt.claimed_by in names:
            after = evolve(after, claimed_by="", claimed_until=None)
        change.put(after)


def _is_of_a_person(answer: Answer) -> bool:
    return answer.source is not AnswerSource.TIMEOUT_DEFAULT
