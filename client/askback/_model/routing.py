"""Builds the contract's requests that change who may answer a prompt, from the SDK's arguments."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from askback._model.content import Deadline
from askback._model.escalation import After, address
from askback._model.prompts import PromptInfo
from askback._model.times import duration, timestamp
from askback.v1 import hitl_service_pb2 as pb


def delegate_request(
    prompt: PromptInfo | str, to: str, group: str, *, add: bool, comment: str
) -> pb.DelegatePromptRequest:
    """Build the request that gives the caller's right to a person or a group. Raises ValueError unless it is
    one of both."""
    if bool(to) is bool(group):
        raise ValueError("to= names a person, group= a group: give one of them")
    mode = pb.DELEGATION_MODE_ADD if add else pb.DELEGATION_MODE_TRANSFER
    return pb.DelegatePromptRequest(
        prompt_id=_id_of(prompt), mode=mode, user=to, group=group, comment=comment
    )


def return_request(prompt: PromptInfo | str, to: str, group: str, comment: str) -> pb.DelegatePromptRequest:
    """Build the request that ends a delegation: the caller's own, or the one to a person or group. Raises
    ValueError for both."""
    if to and group:
        raise ValueError("to= names a person, group= a group: give one of them, or none")
    return pb.DelegatePromptRequest(
        prompt_id=_id_of(prompt),
        mode=pb.DELEGATION_MODE_RETURN,
        user=to,
        group=group,
        comment=comment,
    )


def reroute_request(
    prompt: PromptInfo | str,
    *,
    to: Iterable[str] | None,
    priority: int | None,
    deadline: Deadline | None,
    escalate: Iterable[After] | None,
    reason: str,
) -> pb.ReroutePromptRequest:
    """Build the request that changes who is asked, and until when; None leaves a part as it is. Raises
    ValueError for a malformed name, InvalidTime."""
    request = pb.ReroutePromptRequest(prompt_id=_id_of(prompt), priority=priority, reason=reason)
    if to is not None:
        request.audience.SetInParent()
        address(request.audience, [to] if isinstance(to, str) else to)
    if isinstance(deadline, datetime):
        request.deadline.CopyFrom(timestamp(deadline, "deadline"))
    elif deadline is not None:
        request.timeout.CopyFrom(duration(deadline, "deadline"))
    if escalate is not None:
        request.escalation.SetInParent()
        request.escalation.steps.extend(step.to_proto() for step in escalate)
    return request


def _id_of(prompt: PromptInfo | str) -> str:
    return prompt if isinstance(prompt, str) else prompt.prompt_id
