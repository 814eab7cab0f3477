"""Validation of rules when they are saved, and their compilation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from askback_server.domain.approval_checks import check_approval
from askback_server.domain.checks import Checker, normalise
from askback_server.domain.decisions import Decision
from askback_server.domain.limits import Limits
from askback_server.domain.rule_documents import spec_to_json
from askback_server.domain.rule_inputs import (
    BadExpression,
    ExpressionError,
    Expressions,
    Predicate,
    read_inputs,
)
from askback_server.domain.rules import CompiledRule, Effect, Example, Route, Rule, RuleSpec
from askback_server.domain.rulings import holds

DEFAULT_LIFE = timedelta(days=30)
"""How long a rule holds whose author says nothing."""
GIVEN = frozenset({Decision.ACCEPT, Decision.EDIT, Decision.RESPOND, Decision.DISMISS})
"""Decisions that a rule may answer with. It rejects by REFUSE; REVISE would make the job ask in a loop."""


def check_spec(
    spec: RuleSpec, expressions: Expressions, limits: Limits, now: datetime, *, with_examples: bool = True
) -> RuleSpec:
    """Validate what an author writes. Returns it with its defaults, and its examples normalised.

    Without `with_examples` none are required, for a preview. Raises InvalidField.
    """
    check = Checker(limits, "spec.")
    check.text("name", spec.name, limits.title_chars, required=True)
    check.text("reason", spec.reason, limits.reason_chars, required=True)
    _check_match(check, spec)
    _check_effect(check, spec)
    if spec.route is not None:
        spec = replace(spec, route=_check_route(check, spec.route))
    check.number("max_uses", spec.max_uses, 0, 1_000_000_000)
    if spec.max_uses and spec.effect is Effect.ASK:
        check.bad("max_uses", "must be 0 with ask: such a rule gives nothing that could be counted")
    life = limits.rule_life_max
    spec = replace(spec, expires_at=spec.expires_at or now + min(DEFAULT_LIFE, life))
    assert spec.expires_at is not None
    if spec.expires_at <= now:
        check.bad("expire_time", "must be in the future")
    elif spec.expires_at > now + life:
        check.bad("expire_time", f"must be at most {life.days} days ahead")
    matching = _normalise(check, "matching", spec.matching, required=with_examples)
    not_matching = _normalise(check, "not_matching", spec.not_matching, required=with_examples)
    check.done()
    spec = replace(spec, matching=matching, not_matching=not_matching)
    size = len(spec_to_json(spec).encode())
    if size > limits.rule_bytes:
        check.bad("matching", f"make the rule {size} bytes in all; at most {limits.rule_bytes} are allowed")
    check.done()
    compiled = _compile(check, spec, expressions)
    check.done()
    _check_examples(check, compiled)
    check.done()
    return spec


def _check_match(check: Checker, spec: RuleSpec) -> None:
    match = spec.match
    for field, names in (("match.job_types", match.job_types), ("match.kinds", match.kinds)):
        if len(names) > check.limits.rule_names:
            check.bad(field, f"must have {check.limits.rule_names} entries at most")
        for name in sorted(names)[: check.limits.rule_names]:
            check.text(field, name, check.limits.name_chars, required=True)
    check.labels("match.labels", match.labels)
    named = match.job_types or match.kinds or match.labels or match.expression.strip()
    if not named:
        check.bad("match", "must name something: a rule for all prompts would decide what no person has seen")


def _check_effect(check: Checker, spec: RuleSpec) -> None:
    given = spec.answer
    if spec.effect is Effect.ANSWER and given is not None:
        if given.decision not in GIVEN:
            why = "use refuse" if given.decision is Decision.REJECT else "the job would ask again and again"
            check.bad("answer.decision", f"must not be {given.decision}: {why}")
        check.json("answer.values_json", given.values_json)
        check.text("answer.values_json", given.values_json, check.limits.rule_source_bytes)
        check.text("answer.comment", given.comment, check.limits.reason_chars)
    if spec.effect is Effect.REFUSE:
        check.text("refuse.comment", spec.refusal, check.limits.reason_chars, required=True)


def _check_route(check: Checker, route: Route) -> Route:
    if route == Route():
        check.bad("route", "must change something: audience, approval, priority or timeout")
    if route.audience is not None:
        users, groups = route.audience.users, route.audience.groups
        if 0 < len(users) + len(groups) <= check.limits.audience:
            check.names("route.audience", users, groups)
        else:
            check.bad("route.audience", f"must name 1 to {check.limits.audience} users and groups")
    if route.priority is not None:
        check.number("route.priority", route.priority, -check.limits.priority, check.limits.priority)
    check.span("route.timeout", route.timeout, check.limits.deadline_max, timedelta(seconds=1))
    if route.approval is None:
        return route
    return replace(route, approval=check_approval(check, route.approval))


def _normalise(
    check: Checker, field: str, examples: tuple[Example, ...], *, required: bool
) -> tuple[Example, ...]:
    if not examples and required:
        check.bad(
            field, "needs an example at least: a prompt that the rule must match, and one that it must not"
        )
    if len(examples) > check.limits.rule_examples:
        check.bad(field, f"must have {check.limits.rule_examples} examples at most")
    found = []
    for i, example in enumerate(examples[: check.limits.rule_examples]):
        prefix = f"{check.prefix}{field}[{i}].content."
        content = check.read(normalise, example.content, check.limits, None, prefix=prefix)
        if content is not None:
            found.append(replace(example, content=content))
        for name in ("job_type", "key"):
            check.key(f"{field}[{i}].{name}", getattr(example, name), required=False)
        check.subject(f"{field}[{i}].requested_by", example.requested_by)
    return tuple(found)


def _compile(check: Checker, spec: RuleSpec, expressions: Expressions) -> CompiledRule:
    def compiled(field: str, source: str) -> Predicate | None:
        if not source.strip():
            return None
        if "\0" in source:
            check.bad(field, "must not contain the NUL character")
            return None
        try:
            return expressions.compile(source)
        except BadExpression as error:
            check.bad(field, str(error))
            return None

    when = compiled("match.expression", spec.match.expression)
    return CompiledRule(Rule("", 0, "", "", spec), when, compiled("unless", spec.unless))


def _check_examples(check: Checker, rule: CompiledRule) -> None:
    spec = rule.rule.spec
    for field, examples, wanted in (
        ("matching", spec.matching, True),
        ("not_matching", spec.not_matching, False),
    ):
        for i, example in enumerate(examples):
            try:
                found = matches_example(rule, example, check.limits)
            except ExpressionError as error:
                check.bad(f"{field}[{i}]", f"cannot be evaluated: {error}")
                continue
            if found is not wanted:
                what = "is not matched by the rule" if wanted else "is matched by the rule"
                check.bad(f"{field}[{i}]", what)


def matches_example(rule: CompiledRule, example: Example, limits: Limits) -> bool:
    """Whether a rule matches an example. Raises ExpressionError."""
    content = example.content
    return holds(
        rule,
        content,
        example.job_type,
        lambda: read_inputs(
            content,
            key=example.key,
            job_type=example.job_type,
            requested_by=example.requested_by,
            max_bytes=limits.json_bytes,
        ),
    )


_LIMITS = Limits()


def prepare_rule(rule: Rule, expressions: Expressions) -> CompiledRule:
    """A stored rule, ready to be applied. If its examples do not hold with the library that is installed now,
    it is an error wherever its plain conditions hold."""
    compiled = compile_rule(rule, expressions)
    if not rule.spec.is_readable:
        return CompiledRule(rule, _failing("a newer version wrote it"), is_broken=True)
    for examples, wanted in ((rule.spec.matching, True), (rule.spec.not_matching, False)):
        for example in examples:
            try:
                holds_now = matches_example(compiled, example, _LIMITS) is wanted
            except ExpressionError:
                holds_now = False
            if not holds_now:
                return CompiledRule(rule, _failing("its examples do not hold any more"), is_broken=True)
    return compiled


def compile_rule(rule: Rule, expressions: Expressions) -> CompiledRule:
    """A rule, ready to be evaluated. An expression that is refused now is an error wherever it is evaluated:
    another library, or none, may be installed."""

    def compiled(source: str) -> Predicate | None:
        if not source.strip():
            return None
        try:
            return expressions.compile(source)
        except BadExpression as error:
            return _failing(str(error))

    return CompiledRule(rule, compiled(rule.spec.match.expression), compiled(rule.spec.unless))


def _failing(reason: str) -> Predicate:
    def fail(_: object) -> bool:
        raise ExpressionError(reason)

    return fail
