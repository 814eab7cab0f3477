"""What a batch must read of the directory of people: for prompts with an approval or an exclusion only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Aggregate
from askback_server.domain.content import PromptContent
from askback_server.domain.electorate import UNKNOWN, Electorate, ElectorateQuery, groups_to_read

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
        if prompt is None or prompt.votes is None or prompt.content.approval is None:
            return None
        live = prompt.votes.live
        voters = frozenset({command.principal.subject, *(vote.user_id for vote in live)})
        voted = frozenset[str]().union(*(vote.groups for vote in live))
        return ElectorateQuery(prompt.namespace, voters=voters, voted=voted)
    if isinstance(command, c.AskPrompt):
        return _of_content(aggregate.job.namespace, command.content) if aggregate.job is not None else None
    if isinstance(command, c.CreateJob) and command.prompt is not None:
        namespace = command.namespace or command.principal.namespace("")
        return _of_content(namespace, command.prompt)
    return None


def _of_content(namespace: str, content: PromptContent) -> ElectorateQuery | None:
    groups = groups_to_read(content)
    return ElectorateQuery(namespace, asked=groups) if groups else None


def merge_queries(queries: Iterable[ElectorateQuery]) -> list[ElectorateQuery]:
    """One query for each namespace."""
    merged: dict[str, ElectorateQuery] = {}
    for query in queries:
        known = merged.get(query.namespace, ElectorateQuery(query.namespace))
        asked, voters = query.asked | known.asked, query.voters | known.voters
        voted = query.voted | known.voted
        merged[query.namespace] = ElectorateQuery(query.namespace, asked, voters, voted)
    return list(merged.values())
