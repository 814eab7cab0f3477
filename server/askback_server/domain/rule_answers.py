"""Applies the rules of a namespace to a question that is asked or amended, in the same commit.

A rule answers in the name of its author, by the same judgement as the author's own answer, and only what the
author could answer alone now. Whatever is missing, unknown or wrong: people are asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from askback_server.domain.aggregate import Change, Guard
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.commands import AnswerPrompt, PromptRef
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import AUTHORISING, Decision
from askback_server.domain.due import route_around_absences
from askback_server.domain.errors import InvalidField
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.forms import Unjudged
from askback_server.domain.json_text import Violation
from askback_server.domain.presence import mark_presence
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompt_rules import judge_answer
from askback_server.domain.prompts import Prompt
from askback_server.domain.rule_inputs import ExpressionError, inputs_digest, read_inputs
from askback_server.domain.rules import Effect, GivenAnswer, Rule, RuleSet, RuleUse, Standing
from askback_server.domain.rulings import ReadInputs, Ruling, decide, route
from askback_server.domain.stored_rules import APPROVALS
from askback_server.domain.transitions import PromptTrigger, next_prompt_state


@dataclass(frozen=True, slots=True)
class Consulted:
    """A content after the rules, and what they said of it."""

    content: PromptContent
    ruling: Ruling | None = None
    """None if no rule says anything."""
    rules: RuleSet | None = None
    conflict: str = ""
    """Why rules do not answer it although they match. They may refuse it."""
    asked_digest: str = ""
    """The digest of the content before the rules, if they have changed it."""
    inputs_digest: str = ""


def consult_rules(change: Change, key: str, content: PromptContent) -> Consulted:
    """Evaluate the rules of the job's namespace on a content as the job asks it, and route it."""
    rules = change.facts.rules.of(change.job.namespace)
    if rules is None or change.job.job_type == APPROVALS:
        return Consulted(content)
    job, facts = change.job, change.facts
    read = lru_cache(1)(
        partial(
            read_inputs,
            content,
            key=key,
            job_type=job.job_type,
            requested_by=job.user_id,
            max_bytes=facts.limits.json_bytes,
        )
    )
    ruling = decide(rules, content, job.job_type, read, facts.now)
    if ruling.is_silent:
        return Consulted(content)
    routed, conflict = route(content, ruling.routes)
    asked = content.digest if routed != content else ""
    return Consulted(routed, ruling, rules, conflict or ruling.conflict, asked, _digest(read))


def name_routes(error: InvalidField, consulted: Consulted) -> InvalidField:
    """The error of a prompt that cannot be asked as rules route it, with the names of the rules."""
    routes = consulted.ruling.routes if consulted.ruling is not None else ()
    if not routes:
        return error
    names = ", ".join(rule.ref for rule in routes)
    said = f"(as rules of the namespace route it: {names})"
    return InvalidField([Violation(v.field, f"{v.description} {said}") for v in error.violations])


def _digest(read: ReadInputs) -> str:
    try:
        return inputs_digest(read())
    except ExpressionError:
        return ""


def settle_asked(change: Change, prompt: Prompt, consulted: Consulted) -> Prompt:
    """Bring a prompt that has just been asked or amended to those who decide it: rules, else people, or the
    substitutes of those who are away.

    Rules come first. That their authors are away makes no difference to what rules may do.
    """
    if consulted.ruling is not None:
        prompt = _settle_ruling(change, change.put(prompt), consulted)
        if not prompt.is_open:
            return prompt
    return route_around_absences(change, change.put(mark_presence(change, prompt)))


def _settle_ruling(change: Change, prompt: Prompt, consulted: Consulted) -> Prompt:
    """Record what the rules say of a prompt that has just been asked or amended, and give their answers.

    The write is guarded by the rules that it uses. Returns the prompt; it is open if people are asked.
    """
    ruling, rules = consulted.ruling, consulted.rules
    assert ruling is not None
    assert rules is not None
    answering: list[tuple[Rule, AnswerPrompt]] = []
    hindrances: dict[str, str] = {}
    if not consulted.conflict or ruling.outcome is Effect.REFUSE:  # a refusal is as strict as asking people
        for rule in ruling.deciding:
            command, hindrance = _answer_of(change, prompt, rule, rules.standings.get(rule.author))
            if command is None:
                hindrances[rule.ref] = hindrance
            else:
                answering.append((rule, command))
    answering = list(_within(prompt, answering))
    data: dict[str, object] = {
        "round": prompt.round,
        "key": prompt.key,
        "outcome": str(ruling.outcome if answering else Effect.ASK),
        "matched": [rule.ref for rule in ruling.matched],
        "inputs": consulted.inputs_digest,
        "rules_version": rules.version,
    }
    data |= {"evaluator": rules.evaluator} if rules.evaluator else {}
    data |= {"errors": [rule.ref for rule in ruling.errors]} if ruling.errors else {}
    data |= {"routed": [rule.ref for rule in ruling.routes]} if ruling.routes else {}
    data |= {"hindered": hindrances} if hindrances else {}
    data |= {"conflict": consulted.conflict} if consulted.conflict else {}
    data |= {"asked_digest": consulted.asked_digest} if consulted.asked_digest else {}
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.RULE)
    asker, change.actor = change.actor, "system"
    change.record(EventType.PROMPT_RULED, prompt.prompt_id, data)
    prompt = change.put(evolve(prompt, asked_digest=consulted.asked_digest))
    uses = [_use(rules, rule, prompt.namespace) for rule in ruling.routes]
    for rule, command in answering:
        if not prompt.is_open:
            break
        change.actor = rule.author
        answer = _as_answer(change, command)
        prompt = _reply_of(change, command, prompt, answer.digest)
        uses.append(_use(rules, rule, prompt.namespace, rules.standings[rule.author]))
    change.actor = asker
    change.guard = change.guard.merge(Guard(rules=tuple(uses)))
    return prompt


def _reply_of(change: Change, command: AnswerPrompt, prompt: Prompt, digest: str) -> Prompt:
    reply = judge_answer(change, command, prompt, digest).reply
    assert not isinstance(reply, Exception)
    return reply.prompt


def _use(rules: RuleSet, rule: Rule, namespace: str, author: Standing | None = None) -> RuleUse:
    version = author.version if author is not None else None
    return RuleUse(rule.rule_id, namespace, rules.version, rule.author, version)


def _within(
    prompt: Prompt, answering: list[tuple[Rule, AnswerPrompt]]
) -> Iterator[tuple[Rule, AnswerPrompt]]:
    """As many as the prompt lets rules give: one if one person may decide it, else `rules_may_fill`, of
    different authors. They agree, so which of them are used makes no difference to what is decided."""
    approval = prompt.content.approval
    room = 1 if approval is None or approval.required <= 1 else approval.rules_may_fill
    authors: set[str] = set()
    for rule, command in answering:
        if len(authors) < room and rule.author not in authors:
            authors.add(rule.author)
            yield rule, command


def _answer_of(
    change: Change, prompt: Prompt, rule: Rule, author: Standing | None
) -> tuple[AnswerPrompt | None, str]:
    """The answer of a rule, or None and why its author could not give it alone now."""
    if author is None or not author.is_active:
        return None, "its author is no active person of the directory"
    person = Principal(rule.author, frozenset({Role.CONSOLE}), (prompt.namespace,), author.groups)
    content, given = prompt.content, _given(rule)
    right = content.right_of(person.subject, person.groups)
    if right is None or right.delegation is not None:
        return None, "its author has no right of its own to answer"
    if prompt.excludes(replace(person, groups=author.groups | author.all_groups)):
        return None, "its author is excluded"
    if prompt.claimant(change.facts.now) not in ("", person.subject):
        return None, "another person has claimed the prompt"
    approval = content.approval
    if approval is not None:
        is_needed = approval.has_free_places or not person.groups.isdisjoint(approval.groups)
        if given.decision in AUTHORISING and not is_needed:
            return None, "its author is in none of the groups that must approve"
        if approval.required > 1 and not approval.rules_may_fill:
            return None, "several people must approve, and no rule in the place of one"
    command = AnswerPrompt(
        principal=person,
        ref=PromptRef(prompt.prompt_id),
        # No person can have used this id before: an amended prompt keeps those of refused answers.
        answer_id=f"rule:{rule.ref}:{change.facts.new_id()}",
        revision=prompt.revision,
        decision=given.decision,
        values_json=given.values_json,
        comment=given.comment,
        source=AnswerSource.RULE,
        rule=rule.ref,
    )
    try:
        wrong = content.judge(given.decision, given.values_json, (), given.comment, change.facts.limits)
    except Unjudged:
        return None, "its values cannot be checked fast enough"
    if wrong:
        return None, f"its answer is not valid: {wrong[0].field} {wrong[0].description}"
    return command, ""


def _given(rule: Rule) -> GivenAnswer:
    if rule.spec.effect is Effect.REFUSE:
        return GivenAnswer(Decision.REJECT, "", rule.spec.refusal)
    assert rule.spec.answer is not None
    return rule.spec.answer


def _as_answer(change: Change, command: AnswerPrompt) -> Answer:
    """The answer whose digest a submission stores."""
    return Answer(
        answer_id=command.answer_id,
        decision=command.decision,
        values_json=command.values_json,
        edits=(),
        comment=command.comment,
        source=command.source,
        user_id=command.principal.subject,
        revision=command.revision,
        created_at=change.facts.now,
        rule=command.rule,
    )
