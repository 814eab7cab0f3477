"""Delegations and absences, from and to messages, and the commands that change who is asked."""

from __future__ import annotations

from askback.v1 import hitl_service_pb2, policy_service_pb2
from askback_server.domain.absence_rules import AbsenceSetting
from askback_server.domain.absences import Absence
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.errors import InvalidField
from askback_server.domain.principals import Principal
from askback_server.domain.routing_commands import DelegatePrompt, ReroutePrompt, ReturnPrompt
from askback_server.domain.violations import Violations
from askback_server.ports.absences import AbsencePage
from askback_server.transport.convert.contents import audience, escalation_steps
from askback_server.transport.convert.prompts import prompt_ref
from askback_server.transport.convert.values import moment, namespace, put_time, span

_MODES = {m: hitl_service_pb2.DelegationMode.Value(f"DELEGATION_MODE_{m}") for m in DelegationMode}
_BY_NUMBER: dict[int, DelegationMode] = {number: mode for mode, number in _MODES.items()}
_RETURN = hitl_service_pb2.DELEGATION_MODE_RETURN
_ONE_OF_MODES = "must be one of: " + ", ".join(f"DELEGATION_MODE_{m}" for m in (*DelegationMode, "RETURN"))


def delegate_prompt(
    request: hitl_service_pb2.DelegatePromptRequest, principal: Principal
) -> DelegatePrompt | ReturnPrompt:
    """A person delegates its right, or a delegation ends."""
    check = Violations()
    check.storable("user", (request.user,))
    check.storable("group", (request.group,))
    check.done()
    ref = prompt_ref(request.prompt_id, request.job_id, request.key)
    user, group, comment = request.user, request.group, request.comment
    if request.mode == _RETURN:
        return ReturnPrompt(principal=principal, ref=ref, user=user, group=group, comment=comment)
    mode = _BY_NUMBER.get(request.mode)
    if mode is None:
        raise InvalidField.of("mode", _ONE_OF_MODES)
    return DelegatePrompt(principal=principal, ref=ref, mode=mode, user=user, group=group, comment=comment)


def reroute_prompt(request: hitl_service_pb2.ReroutePromptRequest, principal: Principal) -> ReroutePrompt:
    """The asker or an admin changes the routing."""
    check = Violations()
    timeout = deadline = steps = None
    if request.HasField("timeout"):
        timeout = check.read(span, request.timeout, "timeout")
    if request.HasField("deadline"):
        deadline = check.read(moment, request.deadline, "deadline")
    if request.HasField("escalation"):
        steps = tuple(escalation_steps(request.escalation.steps, check, "escalation.steps"))
    check.done()
    return ReroutePrompt(
        principal=principal,
        ref=prompt_ref(request.prompt_id, request.job_id, request.key),
        audience=audience(request.audience) if request.HasField("audience") else None,
        priority=request.priority if request.HasField("priority") else None,
        timeout=timeout,
        deadline=deadline,
        escalation=steps,
        reason=request.reason,
    )


def absence_setting(request: policy_service_pb2.SetAbsenceRequest, principal: Principal) -> AbsenceSetting:
    """What is asked to be stored; without a subject of the caller. Raises PermissionDenied, InvalidField."""
    check = Violations()
    for name in ("subject", "substitute", "comment", "absence_id"):
        check.storable(name, (getattr(request, name),))
    until_at = check.read(moment, request.until_time, "until_time")
    if not request.HasField("until_time"):
        check.bad("until_time", "is required")
    from_at = check.read(moment, request.from_time, "from_time") if request.HasField("from_time") else None
    check.done()
    assert until_at is not None
    return AbsenceSetting(
        namespace=namespace(request.namespace, principal),
        subject=request.subject or principal.subject,
        until_at=until_at,
        from_at=from_at,
        substitute=request.substitute,
        comment=request.comment,
        absence_id=request.absence_id,
    )


def absence_page(request: policy_service_pb2.ListAbsencesRequest, principal: Principal) -> AbsencePage:
    """Which absences. Raises PermissionDenied, InvalidField."""
    check = Violations()
    check.storable("subject", (request.subject,))
    check.done()
    return AbsencePage(namespace(request.namespace, principal), request.subject, request.include_past)


def absence_message(absence: Absence) -> policy_service_pb2.Absence:
    """An absence."""
    message = policy_service_pb2.Absence(
        absence_id=absence.absence_id,
        namespace=absence.namespace,
        subject=absence.subject,
        substitute=absence.substitute,
        comment=absence.comment,
        set_by=absence.set_by,
    )
    put_time(message.from_time, absence.from_at)
    put_time(message.until_time, absence.until_at)
    if absence.created_at is not None:
        put_time(message.create_time, absence.created_at)
    if absence.updated_at is not None:
        put_time(message.update_time, absence.updated_at)
    return message
