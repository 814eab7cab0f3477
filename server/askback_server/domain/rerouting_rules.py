"""ReroutePrompt: the asker or an admin changes who is asked, and until when."""

from __future__ import annotations

from dataclasses import replace

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.checks import Checker, normalise
from askback_server.domain.content import Audience, FinalAction, PromptContent
from askback_server.domain.due import leave_audience, refuse_closed, route_around_absences, run_overdue
from askback_server.domain.ended_delegations import end_delegations
from askback_server.domain.errors import InvalidField, PermissionDenied
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.json_text import JsonObject, Violation
from askback_server.domain.nudges import Nudges
from askback_server.domain.presence import mark_presence
from askback_server.domain.principals import Role
from askback_server.domain.prompts import Prompt
from askback_server.domain.routing_commands import ReroutePrompt
from askback_server.domain.routing_documents import audience_to_doc
from askback_server.domain.stored_rules import APPROVALS
from askback_server.domain.transitions import PromptTrigger, next_prompt_state
from askback_server.domain.visible_prompts import not_found
from askback_server.domain.votes import Votes
from askback_server.domain.voting_rules import find_shortfalls


def reroute_prompt(aggregate: Aggregate, command: ReroutePrompt, facts: Facts) -> RuleResult[Prompt]:
    """Change the routing of an open prompt. Its question, and answers to it, stay valid.

    Another audience ends all delegations and the claim, and the votes of those who are asked no more. Raises
    PromptNotFound, PromptClosed, InvalidField, and PermissionDenied for the approval of a rule.
    """
    command.principal.require(Role.CLIENT, Role.WORKER)
    found = aggregate.find(command.ref)
    if found is None or not command.principal.may_use(found.namespace):
        raise not_found(command)
    if found.job_type == APPROVALS:
        raise PermissionDenied("who approves a rule is set by the server's setting rules_need_approval")
    check = Checker(facts.limits)
    check.text("reason", command.reason, facts.limits.reason_chars)
    if command.changes_nothing:
        check.bad("audience", "is required, or another part of the routing: name what to change")
    check.done()
    change = Change(aggregate, facts, command.principal.subject)
    run_overdue(change)
    prompt = change.prompt(found.prompt_id)
    if not prompt.is_open:
        return refuse_closed(change, prompt)
    content = _rerouted(prompt, command, facts)
    if content == prompt.content and command.escalation is None and command.timeout is None:
        return RuleResult(prompt, change if change.events else None)
    return RuleResult(_reroute(change, prompt, command, content), change)


def _rerouted(prompt: Prompt, command: ReroutePrompt, facts: Facts) -> PromptContent:
    """The content with the parts that the command names. Raises InvalidField.

    They are checked as in a prompt that is asked now. Times that the command does not name are not: they
    count from another time."""
    old = prompt.content
    given = evolve(
        old,
        audience=old.audience if command.audience is None else command.audience,
        priority=old.priority if command.priority is None else command.priority,
        timeout=command.timeout,
        deadline=command.deadline,
        escalation=command.escalation or (),
        reminders=None,
    )
    is_timed = command.timeout is not None or command.deadline is not None
    left = prompt.expires_at - facts.now if prompt.expires_at is not None else None
    if not is_timed:
        given = evolve(given, final_action=FinalAction.EXPIRE, default_answer=None)
        if command.escalation and left is not None:
            given = evolve(given, timeout=max(left, facts.limits.deadline_min))
    try:
        checked = normalise(given, facts.limits, facts.now, prefix="").resolve_deadline(facts.now)
    except InvalidField as invalid:
        raise InvalidField(map(_in_the_request, invalid.violations)) from None
    if command.audience is not None and not (command.audience.users or command.audience.groups):
        _check_everyone(old)
    return evolve(
        old,
        audience=checked.audience,
        priority=checked.priority,
        timeout=checked.timeout if is_timed else old.timeout,
        escalation=old.escalation if command.escalation is None else checked.escalation,
        rerouted=old.rerouted or command.audience is not None,
    )


def _in_the_request(violation: Violation) -> Violation:
    """A violation of the content at its place in a ReroutePromptRequest."""
    return replace(violation, field=violation.field.replace("escalation[", "escalation.steps[", 1))


def _check_everyone(content: PromptContent) -> None:
    """Refuse to open a prompt to everyone by leaving the audience empty, if it was for some people."""
    if content.audience.users or content.audience.groups:
        raise InvalidField.of("audience", "must name people or groups: the prompt is not for everyone")


def _reroute(change: Change, prompt: Prompt, command: ReroutePrompt, content: PromptContent) -> Prompt:
    now = change.facts.now
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.REROUTE)
    change.require(not_after=prompt.expires_at)
    data: JsonObject = {"round": prompt.round, "key": prompt.key}
    if command.reason:
        data["reason"] = command.reason
    if command.audience is not None:
        data |= audience_to_doc(command.audience)
        prompt = _replace_audience(prompt, command.audience, data)
        content = content.delegate(prompt.content.delegations) if prompt.content.delegations else content
    if command.priority is not None:
        data["priority"] = content.priority
    if command.timeout is not None or command.deadline is not None:
        assert content.timeout is not None
        data["timeout_s"] = content.timeout.total_seconds()
        prompt = evolve(prompt, expires_at=now + content.timeout)
    if command.escalation is not None:
        data["escalation"] = len(content.escalation)
        steps, nudges = content.escalation, prompt.nudges or Nudges()
        nudges = replace(nudges, steps=0, step_at=now + steps[0].after if steps else None)
        prompt = evolve(prompt, nudges=nudges if steps or content.reminders is not None else None)
    shortfalls = find_shortfalls(change, content)
    if content.approval is not None:
        votes = replace(prompt.votes or Votes(), shortfalls=shortfalls)
        data["shortfalls"] = [[each.group, each.required, each.known] for each in shortfalls]
        prompt = evolve(prompt, votes=votes)
    change.record(EventType.PROMPT_REROUTED, prompt.prompt_id, data)
    prompt = change.put(mark_presence(change, evolve(prompt, content=content)))
    return route_around_absences(change, prompt)


def _replace_audience(prompt: Prompt, audience: Audience, data: JsonObject) -> Prompt:
    given = prompt.content.delegations
    if given is not None:
        prompt = end_delegations(prompt, [each.number for each in given.active], data)
    prompt = leave_audience(prompt, audience, data)
    return evolve(prompt, claimed_by="", claimed_until=None)
