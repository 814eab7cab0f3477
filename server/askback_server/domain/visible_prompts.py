"""The prompt of a person's command, if the person may see it."""

from __future__ import annotations

from dataclasses import asdict

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import OnPrompt
from askback_server.domain.errors import PromptNotFound
from askback_server.domain.principals import Role
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
