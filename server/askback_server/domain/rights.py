"""By which right a person answers or claims a prompt, and whether the directory still has those concerned."""

from __future__ import annotations

from dataclasses import replace

from askback_server.domain.delegations import Delegation, Right
from askback_server.domain.electorate import NO_DEPARTURES, Departures, Electorate
from askback_server.domain.errors import PermissionDenied
from askback_server.domain.exclusions import Excluded
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import Prompt


def find_right(prompt: Prompt, caller: Principal) -> Right | None:
    """The right of a caller who may see the prompt; None for an admin who is not asked.

    Raises PermissionDenied for such an admin where people approve: an admin may see every prompt, and who may
    decide together is what the asker has named.
    """
    right = prompt.content.right_of(caller.subject, caller.groups)
    if right is None and prompt.content.approval is not None:
        raise PermissionDenied(
            "you see this prompt as an admin, and only its audience may vote; OverridePrompt is for admins",
            needs="audience",
        )
    return right


def right_to_answer(prompt: Prompt, caller: Principal, electorate: Electorate) -> Right | None:
    """The right by which a caller answers or votes now, as `find_right`.

    Of a delegate, its entry has only groups that the person in whose place it acts has not left. Raises
    PermissionDenied for a vote of a person who is inactive, and for an answer of a delegate who is inactive
    or acts for a person who has left; Excluded for a delegate of a person in an excluded group.
    """
    content = prompt.content
    if content.delegations is None and content.approval is None:
        return None  # the audience alone gives the right: `Prompt.is_for` has checked it
    right = find_right(prompt, caller)
    by = right.delegation if right is not None else None
    if right is not None and by is not None and _excludes(prompt, right.holder, electorate):
        raise Excluded(prompt.prompt_id, right.holder)
    departures = electorate.departures.get(prompt.namespace, NO_DEPARTURES)
    what = "vote" if content.approval is not None else "answer"
    if right is not None and by is not None:
        right = replace(right, entry=_check_holder(right.holder, by, departures, what))
    if (by is not None or content.approval is not None) and caller.subject in departures.inactive:
        message = f"the directory of people has you as inactive, so your {what} would not count; ask an admin"
        raise PermissionDenied(message, needs="active")
    return right


def _excludes(prompt: Prompt, holder: str, electorate: Electorate) -> bool:
    """Whether the prompt excludes a person by name, or by a group that it is known to be in."""
    groups = electorate.people.get(prompt.namespace, {}).get(holder, frozenset())
    return prompt.content.exclusion is not None and prompt.content.exclusion.has(holder, groups)


def _check_holder(holder: str, by: Delegation, departures: Departures, what: str) -> frozenset[str] | None:
    """The groups by which the person in whose place a delegate acts is still asked; None: by name.

    Raises PermissionDenied if it is not asked any more.
    """
    entry = departures.still_in(holder, by.entry, by.at) if by.entry is not None else None
    if departures.has_left(holder, by.at) or (entry is not None and not entry):
        message = f"you act for {holder}, who is not asked any more: your {what} would not count"
        raise PermissionDenied(message, needs="audience")
    return entry
