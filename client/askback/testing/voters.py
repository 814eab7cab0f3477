"""The people for whom the scripted human answers where one person alone cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count

from askback._client.client import Client
from askback._model.enums import AnswerStatus
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.v1 import hitl_service_pb2 as pb

NAME = "human"
"""The user who answers. A server in test mode shows every prompt to this user, whatever its audience."""

_MAX_VOTERS = 100


@dataclass(frozen=True, slots=True)
class Voter:
    """A person of a test, in the groups that the prompt asks for."""

    name: str
    groups: tuple[str, ...] = ()


def needs_others(prompt: PromptInfo) -> bool:
    """Whether the user `human` alone cannot answer the prompt."""
    return prompt.approval is not None or prompt.excludes(NAME)


def voters_for(prompt: PromptInfo, names: Iterable[str] = ()) -> Iterator[Voter]:
    """People who may answer: these, or those whom the prompt names and then members of its groups.

    A member of groups is named after them, such as `release-1`, because a person who came with other groups
    would have left the first ones.
    """
    audience, approval = prompt.proto.content.audience, prompt.approval
    needed = {} if approval is None else approval.per_group
    groups = tuple(sorted(name for name in {*audience.groups, *needed} if not prompt.excludes("", [name])))
    invited = [*names] or sorted(audience.users)
    found = [Voter(name, groups) for name in invited]
    if not names and (groups or not audience.users):
        team = "+".join(groups)
        found += [Voter(f"{team or NAME}-{n}", groups) for n in range(1, _MAX_VOTERS)]
        if not team:
            found[len(invited)] = Voter(NAME)
    return (voter for voter in found if not prompt.excludes(voter.name, voter.groups))


async def vote(client: Client, request: pb.AnswerPromptRequest, voters: Iterator[Voter]) -> bool:
    """Answer as one person after the other until the prompt is decided. Return whether it is."""
    for number, voter in zip(count(1), voters, strict=False):
        request.answer_id = f"{request.answer_id.partition('/')[0]}/{number}"
        endpoint = replace(client._calls.endpoint, user=voter.name, groups=voter.groups)
        async with Client(endpoint, namespace=client.namespace) as person:
            reply = await person._calls.unary(person._calls.hitl.AnswerPrompt, request)
        if AnswerOutcome.from_proto(reply.result).status is not AnswerStatus.RECORDED:
            return True
    return False
