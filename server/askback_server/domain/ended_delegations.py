"""The end of delegations of a prompt before the prompt's own."""

from __future__ import annotations

from collections.abc import Iterable

from askback_server.domain.content import Audience
from askback_server.domain.delegations import Delegations
from askback_server.domain.evolve import evolve
from askback_server.domain.json_text import JsonObject
from askback_server.domain.prompts import Prompt

_NO_GROUPS = frozenset[str]()


def end_delegations(prompt: Prompt, numbers: Iterable[int], data: JsonObject) -> Prompt:
    """The prompt without some of its delegations, those that follow from them, and the claims and votes of
    those who had a right by them. Adds to the data of the event what has ended."""
    given = prompt.content.delegations
    if given is None or not (ended := given.ended(after := given.end(numbers))):
        return prompt
    data["delegations"] = [each.number for each in ended]
    prompt = evolve(prompt, content=prompt.content.delegate(after))
    if any(each.user and each.user == prompt.claimed_by for each in ended):
        prompt = evolve(prompt, claimed_by="", claimed_until=None)
    if prompt.votes is not None:
        over = [vote for vote in prompt.votes.live if vote.delegation in data["delegations"]]
        if over:
            data["votes"] = [*data.get("votes", ()), *(vote.answer.answer_id for vote in over)]
            prompt = evolve(prompt, votes=prompt.votes.end([vote.user_id for vote in over]))
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
