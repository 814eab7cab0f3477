"""Rules, previews and suggestions, from and to messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from askback.v1 import policy_service_pb2 as pb
from askback.v1 import prompt_pb2, rule_pb2
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import InvalidField
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import Prompt
from askback_server.domain.rule_preview import Preview, did, person_answer
from askback_server.domain.rule_suggestions import Suggestion
from askback_server.domain.rules import Effect, Example, GivenAnswer, Match, Route, RuleSpec
from askback_server.domain.stored_rules import StoredRule
from askback_server.engine.policy import RuleUpdate
from askback_server.ports.clock import is_id
from askback_server.transport.convert.contents import (
    approval,
    audience,
    content,
    put_approval,
    put_audience,
    serialise,
)
from askback_server.transport.convert.values import moment, namespace, put_span, put_time, span


def rule_spec(message: rule_pb2.RuleSpec, has_spec: bool) -> RuleSpec:
    """What an author writes. Raises InvalidField."""
    if not has_spec:
        raise InvalidField.of("spec", "is required")
    effect = message.WhichOneof("effect")
    if effect is None:
        raise InvalidField.of("spec.effect", "is required: answer, refuse, ask or route")
    match = message.match
    return RuleSpec(
        name=message.name,
        reason=message.reason,
        effect=Effect(effect.upper()),
        match=Match(frozenset(match.job_types), frozenset(match.kinds), dict(match.labels), match.expression),
        unless=message.unless,
        answer=_answer(message.answer) if effect == "answer" else None,
        route=_route(message.route) if effect == "route" else None,
        refusal=message.refuse.comment if effect == "refuse" else "",
        matching=tuple(_examples(message.matching, "spec.matching")),
        not_matching=tuple(_examples(message.not_matching, "spec.not_matching")),
        expires_at=moment(message.expire_time, "spec.expire_time")
        if message.HasField("expire_time")
        else None,
        max_uses=message.max_uses,
    )


def _answer(message: rule_pb2.RuleAnswer) -> GivenAnswer:
    name = prompt_pb2.Decision.Name(message.decision).removeprefix("DECISION_") if message.decision else ""
    try:
        return GivenAnswer(Decision(name), message.values_json, message.comment)
    except ValueError:
        raise InvalidField.of(
            "spec.answer.decision", "is required: ACCEPT, EDIT, RESPOND or DISMISS"
        ) from None


def _route(message: rule_pb2.RuleRoute) -> Route:
    return Route(
        audience(message.audience) if message.HasField("audience") else None,
        approval(message.approval) if message.HasField("approval") else None,
        message.priority if message.HasField("priority") else None,
        span(message.timeout, "spec.route.timeout") if message.HasField("timeout") else None,
    )


def _examples(messages: Iterable[rule_pb2.RuleExample], field: str) -> Iterable[Example]:
    for index, message in enumerate(messages):
        asked = content(message.content, f"{field}[{index}].content")
        yield Example(asked, message.job_type, message.requested_by, message.key)


def rule_update(request: pb.UpdateRuleRequest, principal: Principal) -> RuleUpdate:
    """What a caller changes. Raises InvalidField, PermissionDenied."""
    return RuleUpdate(
        namespace(request.namespace, principal),
        rule_id(request.rule_id),
        rule_spec(request.spec, True) if request.HasField("spec") else None,
        request.enabled if request.HasField("enabled") else None,
        request.expected_revision,
    )


def rule_id(value: str) -> str:
    """A well-formed id. Raises InvalidField."""
    if not is_id(value):
        raise InvalidField.of("rule_id", "is required: the id of a rule")
    return value


def rule_message(rule: StoredRule, now: datetime) -> rule_pb2.Rule:
    """A rule with its active revision and its proposal."""
    message = rule_pb2.Rule(
        rule_id=rule.rule_id,
        namespace=rule.namespace,
        state=rule_pb2.RuleState.Value(f"RULE_STATE_{rule.state(now)}"),
        newest_revision=rule.newest,
        authorised_by=rule.authorised_by,
    )
    if (active := rule.active) is not None:
        message.revision, message.author, message.uses = active.revision, active.author, active.uses
        put_spec(message.spec, active.spec)
    if (proposal := rule.proposal) is not None:
        message.proposed_revision, message.proposed_by = proposal.revision, proposal.author
        message.proposal_job_id = proposal.job_id
        put_spec(message.proposed, proposal.spec)
    put_time(message.create_time, rule.created_at)
    put_time(message.update_time, rule.updated_at)
    return message


def put_spec(target: rule_pb2.RuleSpec, spec: RuleSpec) -> None:
    """Fill the message of a spec."""
    target.name, target.reason, target.unless = spec.name, spec.reason, spec.unless
    target.match.job_types.extend(sorted(spec.match.job_types))
    target.match.kinds.extend(sorted(spec.match.kinds))
    target.match.labels.update(spec.match.labels)
    target.match.expression = spec.match.expression
    target.max_uses = spec.max_uses
    if spec.expires_at is not None:
        put_time(target.expire_time, spec.expires_at)
    if spec.answer is not None:
        target.answer.decision = prompt_pb2.Decision.Value(f"DECISION_{spec.answer.decision}")
        target.answer.values_json, target.answer.comment = spec.answer.values_json, spec.answer.comment
    elif spec.effect is Effect.REFUSE:
        target.refuse.comment = spec.refusal
    elif spec.effect is Effect.ASK:
        target.ask.SetInParent()
    elif spec.route is not None:
        _put_route(target.route, spec.route)
    for examples, into in ((spec.matching, target.matching), (spec.not_matching, target.not_matching)):
        for each in examples:
            added = into.add(job_type=each.job_type, requested_by=each.requested_by, key=each.key)
            added.content.ParseFromString(serialise(each.content))


def _put_route(target: rule_pb2.RuleRoute, route: Route) -> None:
    target.SetInParent()
    if route.audience is not None:
        put_audience(target.audience, route.audience)
    if route.approval is not None:
        put_approval(target.approval, route.approval)
    if route.priority is not None:
        target.priority = route.priority
    if route.timeout is not None:
        put_span(target.timeout, route.timeout)


def sample(prompt: Prompt) -> pb.RuleSample:
    """A prompt of the past."""
    answer = person_answer(prompt)
    message = pb.RuleSample(
        prompt_id=prompt.prompt_id,
        title=prompt.content.title,
        people=pb.PeopleVerdict.Value(f"PEOPLE_VERDICT_{did(prompt)}"),
        user_id=answer.user_id if answer is not None else "",
    )
    put_time(message.create_time, prompt.created_at)
    return message


def preview_message(preview: Preview) -> pb.PreviewRuleResponse:
    """The matrix, the conflicts and what is odd."""
    message = pb.PreviewRuleResponse(prompts=preview.read, conflicts=map(sample, preview.conflicts))
    for (would, people), cell in sorted(preview.cells.items()):
        message.cells.add(
            rule=pb.RuleVerdict.Value(f"RULE_VERDICT_{would}"),
            people=pb.PeopleVerdict.Value(f"PEOPLE_VERDICT_{people}"),
            count=cell.count,
            samples=map(sample, cell.samples),
        )
    for finding in preview.findings:
        lint = pb.RuleLint.Value(f"RULE_LINT_{finding.lint}")
        message.findings.add(lint=lint, rules=finding.rules)
    return message


def suggestion_message(suggestion: Suggestion) -> pb.RuleSuggestion:
    """A draft with what it rests on."""
    message = pb.RuleSuggestion(
        support=suggestion.support,
        exceptions=suggestion.exceptions,
        users=suggestion.users,
        samples=map(sample, suggestion.samples),
        open_prompts=suggestion.covers_open,
    )
    put_spec(message.spec, suggestion.spec)
    return message
