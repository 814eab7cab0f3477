"""The prompt of a person's command, if the person may see it."""

from __future__ import annotations

from dataclasses import asdict, replace

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import OnPrompt
from askback_server.domain.content import PromptContent
from askback_server.domain.errors import PromptNotFound
from askback_server.domain.evolve import evolve
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt


def find_for_person(aggregate: Aggregate, command: OnPrompt[object]) -> Prompt:
    """The prompt. Raises PromptNotFound if there is none, or the principal is not in its audience."""
    command.principal.require(Role.CONSOLE)
    prompt = aggregate.find(command.ref)
    if prompt is None or not prompt.is_for(command.principal):
        raise not_found(command)
    return prompt


def not_found(command: OnPrompt[object]) -> PromptNotFound:
    """The error of a command on a prompt that does not exist, or must look so."""
    return PromptNotFound(**{k: v for k, v in asdict(command.ref).items() if v})


def shown_to(prompt: Prompt, caller: Principal) -> Prompt:
    """The prompt as the reply to a person who may have given its right away.

    To one who may not see it only the ids, the state, and what that person has delegated."""
    if prompt.is_visible_to(caller):
        return prompt
    given = prompt.content.delegations
    if given is not None:
        given = replace(given, active=tuple(each for each in given.active if each.giver == caller.subject))
    content = PromptContent(kind="", title="", delegations=given)
    return evolve(prompt, content=content, shown_digest="", votes=None, claimed_by="", claimed_until=None)
