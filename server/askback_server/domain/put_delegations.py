"""Delegations that the service makes or changes itself, each with its event."""

from __future__ import annotations

from dataclasses import replace

from askback_server.domain.aggregate import Change
from askback_server.domain.delegation_documents import delegation_to_doc
from askback_server.domain.delegations import Delegation, DelegationMode, Delegations
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.prompts import Prompt
from askback_server.domain.transitions import PromptTrigger, next_prompt_state


def put_delegation(
    change: Change, prompt: Prompt, delegations: Delegations, delegation: Delegation
) -> Prompt:
    """The prompt with other delegations, of which one is new or changed."""
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.DELEGATE)
    data = {"round": prompt.round, "key": prompt.key, **delegation_to_doc(delegation)}
    change.record(EventType.PROMPT_DELEGATED, prompt.prompt_id, data)
    return change.put(evolve(prompt, content=prompt.content.delegate(delegations)))


def ask_again(change: Change, prompt: Prompt, users: frozenset[str]) -> Prompt:
    """The prompt with the rights of people who are named again after they gave theirs away.

    Their transfers become delegations in addition: those who act for them were asked too."""
    given = prompt.content.delegations or Delegations()
    for each in given.active if users & given.gone else ():
        if each.giver in users and each.mode is DelegationMode.TRANSFER:
            shared = replace(each, mode=DelegationMode.ADD)
            given = given.put(shared)
            prompt = put_delegation(change, prompt, given, shared)
    return prompt
