"""The contents of prompts, from and to their messages.

From a message, only values are rejected here that the domain types cannot hold: unknown enum numbers, a
question without a type, impossible durations. `domain/checks.py` checks the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from google.protobuf.message import Message

from askback.v1 import prompt_pb2
from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.content import (
    Audience,
    Correction,
    DefaultAnswer,
    EscalationStep,
    Exclusion,
    FinalAction,
    Part,
    PromptContent,
    Reminders,
)
from askback_server.domain.decisions import Decision, DecisionOption
from askback_server.domain.delegations import DelegationPolicy, DelegationScope
from askback_server.domain.json_text import Violation
from askback_server.domain.violations import Violations
from askback_server.transport.convert.forms import form, put_form
from askback_server.transport.convert.values import any_span, moment, put_span, span
from askback_server.transport.wire import EncodeCache

DECISION_NUMBERS = {d: prompt_pb2.Decision.Value(f"DECISION_{d}") for d in Decision}
DECISIONS: dict[int, Decision] = {number: d for d, number in DECISION_NUMBERS.items()}
ONE_OF_DECISIONS = "must be one of: " + ", ".join(f"DECISION_{d}" for d in Decision)

_FINAL_NUMBERS = {a: prompt_pb2.FinalAction.Value(f"FINAL_ACTION_{a}") for a in FinalAction}
_FINALS: dict[int, FinalAction] = {0: FinalAction.EXPIRE, **{n: a for a, n in _FINAL_NUMBERS.items()}}

_SCOPE_NUMBERS = {s: prompt_pb2.DelegationScope.Value(f"DELEGATION_SCOPE_{s}") for s in DelegationScope}
_SCOPES: dict[int, DelegationScope] = {0: DelegationScope.ANYONE} | {n: s for s, n in _SCOPE_NUMBERS.items()}

_EVERYONE = Audience()


def content(message: prompt_pb2.PromptContent, field: str) -> PromptContent:
    """The content of a prompt; `field` is the path of the message in its request. Raises InvalidField."""
    check = Violations(f"{field}.")
    final = _FINALS.get(message.final_action)
    if final is None:
        check.bad("final_action", f"{message.final_action} is not a FinalAction")
        final = FinalAction.EXPIRE
    timeout = deadline = default = reminders = None
    if message.HasField("timeout"):
        # A retried request may be late: the rules judge the sign of the timeout only for a new prompt.
        timeout = check.read(any_span, message.timeout, f"{field}.timeout")
    if message.HasField("deadline"):
        deadline = check.read(moment, message.deadline, f"{field}.deadline")
    if message.HasField("default_answer"):
        default = _default_answer(message.default_answer, check)
    decisions = tuple(_options(message.decisions, check)) if message.decisions else ()
    steps = tuple(escalation_steps(message.escalation, check)) if message.escalation else ()
    if message.HasField("reminders"):
        reminders = _reminders(message.reminders, check)
    correction = None
    if message.HasField("correction"):
        faults = tuple(Violation(v.field, v.description) for v in message.correction.violations)
        correction = Correction(message.correction.key, faults)
    policy = _policy(message.delegation, check) if message.HasField("delegation") else None
    prompt_form = form(message, check)
    check.done()
    return PromptContent(
        kind=message.kind,
        title=message.title,
        body=message.body,
        parts=tuple(_parts(message.contents)) if message.contents else (),
        form=prompt_form,
        decisions=decisions,
        priority=message.priority,
        audience=audience(message.audience) if message.HasField("audience") else _EVERYONE,
        labels=dict(message.labels),
        blocking=message.blocking,
        final_action=final,
        default_answer=default,
        metadata_json=message.metadata_json,
        group_key=message.group_key,
        timeout=timeout,
        escalation=steps,
        reminders=reminders,
        deadline=deadline,
        correction=correction,
        exclusion=_exclusion(message.exclude) if message.HasField("exclude") else None,
        approval=approval(message.approval) if message.HasField("approval") else None,
        delegation_policy=policy,
    )


def _parts(messages: Iterable[prompt_pb2.PromptPart]) -> Iterable[Part]:
    return (Part(p.content_id, p.title, p.media_type, p.text, p.url, p.editable) for p in messages)


def audience(message: prompt_pb2.Audience) -> Audience:
    """The audience of a message."""
    return Audience(frozenset(message.users), frozenset(message.groups))


def _exclusion(message: prompt_pb2.Exclusion) -> Exclusion:
    users, groups = frozenset(message.users), frozenset(message.groups)
    return Exclusion(message.requester, tuple(message.answerers_of), users, groups, message.hide)


def approval(message: prompt_pb2.Approval) -> Approval:
    """The approval of a message."""
    groups = tuple(GroupApproval(each.group, each.required) for each in message.per_group)
    return Approval(message.required, groups, message.reject_at, message.shared, message.rules_may_fill)


def _policy(message: prompt_pb2.DelegationPolicy, check: Violations) -> DelegationPolicy | None:
    scope = _SCOPES.get(message.scope)
    if scope is None:
        check.bad("delegation.scope", f"{message.scope} is not a DelegationScope")
        return None
    return DelegationPolicy(scope, frozenset(message.users), frozenset(message.groups))


def escalation_steps(
    messages: Iterable[prompt_pb2.EscalationStep], check: Violations, at: str = "escalation"
) -> Iterable[EscalationStep]:
    """The steps of an escalation, which are the field `at` of their message. Notes violations."""
    for index, message in enumerate(messages):
        after = _required_span(message, f"{at}[{index}]", "after", check)
        yield EscalationStep(after, audience(message.to), message.replace, message.raise_priority)


def _reminders(message: prompt_pb2.Reminders, check: Violations) -> Reminders:
    every = _required_span(message, "reminders", "every", check)
    after = _required_span(message, "reminders", "after", check) if message.HasField("after") else every
    return Reminders(every, after, message.max_count)


def _required_span(message: Message, at: str, name: str, check: Violations) -> timedelta:
    """The duration `name` of `message`, which is the field `at` of the content. Notes violations."""
    if not message.HasField(name):
        check.bad(f"{at}.{name}", "is required")
        return timedelta(0)
    return check.read(span, getattr(message, name), f"{check.prefix}{at}.{name}") or timedelta(0)


def _default_answer(message: prompt_pb2.DefaultAnswer, check: Violations) -> DefaultAnswer | None:
    decision = DECISIONS.get(message.decision)
    if decision is None:
        check.bad("default_answer.decision", ONE_OF_DECISIONS)
        return None
    return DefaultAnswer(decision, message.values_json.strip(), message.comment)


def _options(messages: Iterable[prompt_pb2.DecisionOption], check: Violations) -> Iterable[DecisionOption]:
    for index, message in enumerate(messages):
        decision = DECISIONS.get(message.decision)
        if decision is None:
            check.bad(f"decisions[{index}].decision", ONE_OF_DECISIONS)
        else:
            yield DecisionOption(decision, message.label, message.comment_required)


def serialise(content: PromptContent) -> bytes:
    """The serialised message of a content."""
    target = prompt_pb2.PromptContent()
    target.kind = content.kind
    target.title = content.title
    target.body = content.body
    for part in content.parts:
        _put_part(target.contents.add(), part)
    if content.form is not None:
        put_form(target, content.form)
    for option in content.decisions:
        added = target.decisions.add()
        added.decision = DECISION_NUMBERS[option.decision]
        added.label = option.label
        added.comment_required = option.comment_required
    target.priority = content.priority
    if content.audience.users or content.audience.groups:
        put_audience(target.audience, content.audience)
    if content.labels:
        target.labels.update(content.labels)
    target.blocking = content.blocking
    target.final_action = _FINAL_NUMBERS[content.final_action]
    if content.default_answer is not None:
        target.default_answer.decision = DECISION_NUMBERS[content.default_answer.decision]
        target.default_answer.values_json = content.default_answer.values_json
        target.default_answer.comment = content.default_answer.comment
    target.metadata_json = content.metadata_json
    target.group_key = content.group_key
    if content.timeout is not None:
        put_span(target.timeout, content.timeout)
    for step in content.escalation:
        new_step = target.escalation.add(replace=step.replace, raise_priority=step.raise_priority)
        put_span(new_step.after, step.after)
        put_audience(new_step.to, step.to)
    if content.reminders is not None:
        put_span(target.reminders.every, content.reminders.every)
        put_span(target.reminders.after, content.reminders.after)
        target.reminders.max_count = content.reminders.maximum
    if content.correction is not None:
        target.correction.key = content.correction.key
        for violation in content.correction.violations:
            target.correction.violations.add(field=violation.field, description=violation.description)
    if content.exclusion is not None:
        _put_exclusion(target.exclude, content.exclusion)
    if content.approval is not None:
        put_approval(target.approval, content.approval)
    if content.delegation_policy is not None:
        target.delegation.scope = _SCOPE_NUMBERS[content.delegation_policy.scope]
        target.delegation.users.extend(sorted(content.delegation_policy.users))
        target.delegation.groups.extend(sorted(content.delegation_policy.groups))
    return target.SerializeToString()


def put_audience(target: prompt_pb2.Audience, audience: Audience) -> None:
    """Fill the message of an audience."""
    target.users.extend(sorted(audience.users))
    target.groups.extend(sorted(audience.groups))


def _put_exclusion(target: prompt_pb2.Exclusion, exclusion: Exclusion) -> None:
    target.SetInParent()
    target.requester = exclusion.requester
    target.answerers_of.extend(exclusion.answerers_of)
    target.users.extend(sorted(exclusion.users))
    target.groups.extend(sorted(exclusion.groups))
    target.hide = exclusion.hide


def put_approval(target: prompt_pb2.Approval, approval: Approval) -> None:
    """Fill the message of an approval."""
    target.required = approval.required
    for each in approval.per_group:
        target.per_group.add(group=each.group, required=each.required)
    target.reject_at = approval.reject_at
    target.shared = approval.shared
    target.rules_may_fill = approval.rules_may_fill


def _put_part(target: prompt_pb2.PromptPart, part: Part) -> None:
    target.content_id = part.content_id
    target.title = part.title
    target.media_type = part.media_type
    if part.url:
        target.url = part.url
    else:
        target.text = part.text
    target.editable = part.editable


content_bytes = EncodeCache(serialise, maximum=512)
"""Serialises a content, with the JSON Schema that is derived from its questions. A content is sent with every
version of its prompt and with every read, so the messages are cached."""
