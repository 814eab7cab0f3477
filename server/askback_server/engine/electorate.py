"""What a batch must read of the directory of people: for approvals, exclusions and delegations only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Aggregate
from askback_server.domain.content import PromptContent
from askback_server.domain.electorate import UNKNOWN, Electorate, ElectorateQuery, groups_to_read
from askback_server.domain.evolve import evolve
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import Prompt
from askback_server.domain.routing_commands import DelegatePrompt, ReroutePrompt

ReadElectorate = Callable[[Sequence[ElectorateQuery]], Awaitable[Electorate]]
"""Reads the directory. See `ports.people.PeopleStore.read_electorate`."""


async def read_nothing(_: Sequence[ElectorateQuery]) -> Electorate:
    """Without a directory nothing is known."""
    return UNKNOWN


def electorate_query(aggregate: Aggregate, command: c.Command[object]) -> ElectorateQuery | None:
    """What a command needs to know; None if it is nothing."""
    if isinstance(command, c.AnswerPrompt):
        if command.OVERRIDES:
            return None
        prompt = aggregate.find(command.ref)
        return _of_answer(prompt, command.principal) if prompt is not None else None
    if isinstance(command, DelegatePrompt):
        prompt = aggregate.find(command.ref)
        return _of_delegation(prompt, command) if prompt is not None else None
    if isinstance(command, ReroutePrompt):
        prompt = aggregate.find(command.ref)
        return _of_rerouting(prompt, command) if prompt is not None else None
    if isinstance(command, c.AskPrompt):
        return _of_content(aggregate.job.namespace, command.content) if aggregate.job is not None else None
    if isinstance(command, c.CreateJob) and command.prompt is not None:
        namespace = command.namespace or command.principal.namespace("")
        return _of_content(namespace, command.prompt)
    return None


def _of_answer(prompt: Prompt, caller: Principal) -> ElectorateQuery | None:
    content = prompt.content
    if content.delegations is None and content.approval is None:
        return None  # before anything is computed: most answers are such
    right = content.right_of(caller.subject, caller.groups)
    exclusion, people = content.exclusion, frozenset[str]()
    if exclusion is not None and exclusion.groups and right is not None and right.delegation is not None:
        people = frozenset({right.holder})
    if prompt.votes is None or content.approval is None:
        return ElectorateQuery(prompt.namespace, people=people) if people else None
    live = prompt.votes.live
    voters = frozenset({caller.subject}).union(*(vote.answer.people for vote in live))
    voted = frozenset[str]().union(*(vote.groups | (vote.entry or frozenset()) for vote in live))
    if right is not None:
        voters, voted = voters | {right.holder}, voted | (right.entry or frozenset())
    return ElectorateQuery(prompt.namespace, voters=voters, voted=voted, people=people)


def _of_delegation(prompt: Prompt, command: DelegatePrompt) -> ElectorateQuery:
    groups = groups_to_read(prompt.content) | ({command.group} - {""})
    return ElectorateQuery(prompt.namespace, asked=groups, people=frozenset({command.user} - {""}))


def _of_rerouting(prompt: Prompt, command: ReroutePrompt) -> ElectorateQuery | None:
    audience, escalation = command.audience, command.escalation
    content = evolve(
        prompt.content,
        audience=prompt.content.audience if audience is None else audience,
        escalation=prompt.content.escalation if escalation is None else escalation,
    )
    return _of_content(prompt.namespace, content)


def _of_content(namespace: str, content: PromptContent) -> ElectorateQuery | None:
    groups = groups_to_read(content)
    return ElectorateQuery(namespace, asked=groups) if groups else None


def merge_queries(queries: Iterable[ElectorateQuery]) -> list[ElectorateQuery]:
    """One query for each namespace."""
    merged: dict[str, ElectorateQuery] = {}
    for query in queries:
        known = merged.get(query.namespace, ElectorateQuery(query.namespace))
        asked, voters = query.asked | known.asked, query.voters | known.voters
        voted, people = query.voted | known.voted, query.people | known.people
        merged[query.namespace] = ElectorateQuery(query.namespace, asked, voters, voted, people)
    return list(merged.values())
