"""The end of delegations of a prompt before the prompt's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.delegations import Delegation, DelegationPolicy, Delegations, DelegationScope
from askback_server.domain.evolve import evolve
from askback_server.domain.json_text import JsonObject
from askback_server.domain.prompts import Prompt
from askback_server.domain.votes import Vote

_NO_GROUPS = frozenset[str]()


def end_delegations(prompt: Prompt, numbers: Iterable[int], data: JsonObject) -> Prompt:
    """The prompt without some of its delegations, those that follow from them, and the claims and votes of
    those who had a right by them. Adds to the data of the event what has ended."""
    given = prompt.content.delegations
    if given is None or not (ended := given.ended(after := given.end(numbers))):
        return prompt
    data["delegations"] = [each.number for each in ended]
    prompt = evolve(prompt, content=prompt.content.delegate(after))
    prompt = end_claim(prompt, ended)
    if prompt.votes is not None:
        over = [vote for vote in prompt.votes.live if vote.delegation in data["delegations"]]
        prompt = end_votes(prompt, over, data)
    return prompt


def end_votes(prompt: Prompt, over: Sequence[Vote], data: JsonObject) -> Prompt:
    """The prompt without some of its live votes. Adds their ids to the data of the event."""
    if prompt.votes is None or not over:
        return prompt
    data["votes"] = [*data.get("votes", ()), *(vote.answer.answer_id for vote in over)]
    return evolve(prompt, votes=prompt.votes.end([vote.user_id for vote in over]))


def end_claim(prompt: Prompt, ended: Iterable[Delegation]) -> Prompt:
    """The prompt without a claim that its holder may have by delegations that have ended.

    The groups of the holder are not known. If a delegation to a group has ended, only a person who is asked
    by name keeps a claim: another one could block those who may answer, and not even see the prompt."""
    holder, content = prompt.claimed_by, prompt.content
    given = content.delegations
    is_named = holder in content.audience.users or (given is not None and holder in given.users)
    if any(each.user == holder or (each.group and not is_named) for each in ended if holder):
        return evolve(prompt, claimed_by="", claimed_until=None)
    return prompt


def outside(delegations: Delegations | None, audience: Audience) -> list[int]:
    """The delegations of rights that an audience does not give any more."""
    if delegations is None:
        return []
    return [
        each.number
        for each in delegations.active
        if not audience.includes(each.holder, each.entry or _NO_GROUPS)
    ]


def not_allowed(delegations: Delegations, content: PromptContent) -> list[int]:
    """The delegations that another content does not allow: of people or to groups that it excludes, or to
    those whom its policy does not name.

    With AUDIENCE a person who is in it by a group loses the delegation, because its groups are not known."""
    exclusion = content.exclusion
    over = [each.number for each in delegations.active if not allows(content, each.user, each.group)]
    if exclusion is not None:
        over += delegations.of_people(exclusion.users)
        over += [each.number for each in delegations.active if each.group in exclusion.groups]
    return over


def allows(content: PromptContent, user: str, group: str, groups: frozenset[str] = _NO_GROUPS) -> bool:
    """Whether the policy of a prompt allows a person, of whom these groups are known, or a group to act for
    another."""
    policy = content.delegation_policy or DelegationPolicy()
    if policy.scope is DelegationScope.LISTED:
        return user in policy.users or group in policy.groups
    if policy.scope is DelegationScope.AUDIENCE:
        return content.audience.includes(user, groups | ({group} - {""}))
    return policy.scope is DelegationScope.ANYONE
