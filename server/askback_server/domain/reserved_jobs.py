"""Jobs of the service itself: they ask a second person about a rule. Callers cannot create or end them."""

from __future__ import annotations

from askback_server.domain.checks import Checker
from askback_server.domain.commands import CreateJob
from askback_server.domain.errors import PermissionDenied
from askback_server.domain.principals import SYSTEM, Principal

APPROVALS = "askback.rules"
"""The type of these jobs. No rule answers or routes their prompts."""


def check_reserved(check: Checker, command: CreateJob) -> None:
    """Refuse a job that looks like one of these, or that would keep the service from asking."""
    if command.job_type == APPROVALS:
        check.bad("job_type", f"must not be {APPROVALS}: only the service creates such jobs")
    if command.request_id.startswith(f"{APPROVALS}:"):
        check.bad("request_id", f"must not begin with {APPROVALS}: the service uses such ids")


def require_own(job_type: str, principal: Principal) -> None:
    """Raise PermissionDenied if a caller changes or ends one of these jobs, or reroutes its prompt."""
    if job_type == APPROVALS and principal is not SYSTEM:
        raise PermissionDenied(
            "this job asks for the approval of a rule, and only the service changes it: the setting "
            "rules_need_approval says who approves, and to withdraw the proposal switch its rule off"
        )
