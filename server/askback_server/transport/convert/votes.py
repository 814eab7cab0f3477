"""The votes and delegations of a prompt as messages."""

from __future__ import annotations

from askback.v1 import prompt_pb2
from askback_server.domain.delegations import DelegationCause, DelegationMode, Delegations
from askback_server.domain.prompts import Prompt
from askback_server.transport.convert.contents import DECISION_NUMBERS
from askback_server.transport.convert.origins import put_rule
from askback_server.transport.convert.values import put_time

_CAUSES = {c: prompt_pb2.DelegationCause.Value(f"DELEGATION_CAUSE_{c}") for c in DelegationCause}


def put_approval_state(target: prompt_pb2.Prompt, prompt: Prompt) -> None:
    """Add what people have done so far: votes and delegations."""
    if prompt.votes is not None:
        _put_votes(target, prompt)
    if prompt.content.delegations is not None:
        _put_delegations(target, prompt.content.delegations)


def _put_votes(target: prompt_pb2.Prompt, prompt: Prompt) -> None:
    """Add the live votes, what they come to, and which people were missing."""
    votes, approval = prompt.votes, prompt.content.approval
    if votes is None or approval is None:
        return
    shown: set[str] = set()
    for vote in votes.live:
        answer = vote.answer
        message = target.votes.add(
            answer_id=answer.answer_id,
            user_id=answer.user_id,
            decision=DECISION_NUMBERS[answer.decision],
            outcome=vote.outcome,
            comment=answer.comment,
            groups=sorted(vote.groups & approval.groups),
            on_behalf_of=answer.on_behalf_of,
        )
        put_rule(message, answer)
        if vote.outcome not in shown:
            shown.add(vote.outcome)
            message.values_json = answer.values_json
            for edit in answer.edits:
                message.edits.add(content_id=edit.content_id, text=edit.text)
        put_time(message.create_time, answer.created_at)
    for count in votes.counts(approval):
        added = target.vote_counts.add(
            outcome=count.outcome,
            decision=DECISION_NUMBERS[count.decision],
            votes=len(count.votes),
            required=count.required,
        )
        for group, missing in sorted(count.missing.by_group.items()):
            added.missing.add(group=group, required=missing)
    for each in votes.shortfalls:
        target.shortfalls.add(group=each.group, required=each.required, known=each.known)


def _put_delegations(target: prompt_pb2.Prompt, delegations: Delegations) -> None:
    """Add the active delegations."""
    for each in delegations.active:
        added = target.delegations.add(
            holder=each.holder,
            giver=each.giver,
            user=each.user,
            group=each.group,
            transferred=each.mode is DelegationMode.TRANSFER,
            cause=_CAUSES[each.cause],
            comment=each.comment,
        )
        put_time(added.create_time, each.at)
        if each.until is not None:
            put_time(added.end_time, each.until)
