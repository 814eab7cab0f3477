"""Drafts of rules from what people have decided alike. A draft is never active by itself."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from askback_server.domain.answers import Answer
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import InvalidField
from askback_server.domain.json_text import Json
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import Prompt
from askback_server.domain.rule_checks import GIVEN
from askback_server.domain.rule_inputs import MAX_SOURCE_BYTES, ExpressionError
from askback_server.domain.rule_preview import person_answer, stored_inputs
from askback_server.domain.rules import Effect, Example, GivenAnswer, Match, RuleSpec
from askback_server.domain.stored_rules import APPROVALS
from askback_server.domain.votes import outcome_of

EXCEPTIONS_SHARE = 0.1
"""Exceptions as a share of the support, above which nothing is suggested."""
MAX_SUGGESTIONS = 20
MAX_FIELDS = 50
"""Fields of the metadata of one prompt by which it is grouped, the first by name."""
SUPPORTING = 3
"""Prompts that are named for each suggestion."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A draft, and what it rests on."""

    spec: RuleSpec
    support: int
    """How many prompts that it covers people have decided so."""
    exceptions: int
    """How many that it covers they have decided otherwise."""
    users: tuple[str, ...]
    """Who decided so."""
    samples: tuple[Prompt, ...]
    covers_open: int = 0
    """How many prompts it covers that are open."""


def cel_literal(value: Json) -> str:
    """A JSON value as a CEL literal with an equal value."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return f"{value}u" if value > 2**63 - 1 else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(cel_literal, value))}]"
    return "{" + ", ".join(f"{cel_literal(k)}: {cel_literal(v)}" for k, v in value.items()) + "}"


def equality(metadata: Mapping[str, Json]) -> str:
    """A condition that metadata has exactly these fields with these values."""
    if not metadata:
        return ""
    parts = [f"metadata[{cel_literal(k)}] == {cel_literal(metadata[k])}" for k in sorted(metadata)]
    return " && ".join([*parts, f"metadata.size() == {len(metadata)}"])


def propose_for(prompt: Prompt, limits: Limits) -> RuleSpec:
    """The rule for "always so for this": equality on kind, job type, labels and all metadata of an answered
    prompt. Without metadata also on title and body, because nothing else says what was decided.

    Raises InvalidField if no person answered it, or in a way that no rule may.
    """
    if prompt.job_type == APPROVALS:
        raise InvalidField.of("prompt_id", "names the approval of a rule: no rule is applied to it")
    answer = person_answer(prompt)
    if answer is None:
        raise InvalidField.of("prompt_id", "names a prompt that no person has answered")
    try:
        metadata = stored_inputs(prompt, limits)["metadata"]
    except ExpressionError as error:
        raise InvalidField.of("prompt_id", f"names a prompt that no rule can match: {error}") from None
    content = prompt.content
    expression = equality(metadata)
    if not metadata:
        expression = (
            f"prompt.title == {cel_literal(content.title)} && prompt.body == {cel_literal(content.body)}"
        )
    spec = _draft(prompt, answer, expression)
    if spec is None:
        raise InvalidField.of(
            "prompt_id", f"was answered by {answer.decision} in a way that no rule may give"
        )
    if len(expression.encode()) > MAX_SOURCE_BYTES:
        raise InvalidField.of("prompt_id", "has too much metadata or text for the expression of a rule")
    return spec


def _draft(prompt: Prompt, answer: Answer, expression: str) -> RuleSpec | None:
    content = prompt.content
    refusing = answer.decision is Decision.REJECT
    if answer.edits or len(answer.values_json) > MAX_SOURCE_BYTES:
        return None
    if not refusing and answer.decision not in GIVEN:
        return None
    example = Example(_example(content), prompt.job_type, prompt.requested_by, prompt.key)
    other = replace(example, job_type=f"not-{prompt.job_type}"[:128])
    return RuleSpec(
        name=f"{answer.decision} {content.kind} of {prompt.job_type}"[:200],
        reason="suggested by answers of people; say why before you adopt it",
        effect=Effect.REFUSE if refusing else Effect.ANSWER,
        match=Match(
            frozenset({prompt.job_type}), frozenset({content.kind}), dict(content.labels), expression
        ),
        answer=None if refusing else GivenAnswer(answer.decision, answer.values_json, answer.comment[:1000]),
        refusal=(answer.comment[:1000] or "rejected by a rule") if refusing else "",
        matching=(example,),
        not_matching=(other,),
    )


def _example(content: PromptContent) -> PromptContent:
    """The question alone: without its audience, times and approval, which are not matched."""
    return PromptContent(
        kind=content.kind,
        title=content.title,
        body=content.body if len(content.body) <= MAX_SOURCE_BYTES else "",
        labels=content.labels,
        metadata_json=content.metadata_json,
        group_key=content.group_key,
        blocking=content.blocking,
    )


def without_rest(prompt: Prompt) -> Prompt:
    """A prompt with no more of its content than `suggest` reads: a thousand large ones fill the memory."""
    return replace(prompt, content=_example(prompt.content))


_Key = tuple[str, str, tuple[tuple[str, str], ...], str, str]


def suggest(prompts: Iterable[Prompt], min_support: int, limits: Limits) -> list[Suggestion]:
    """Drafts for questions that people have decided alike at least `min_support` times, the most first.

    Questions are alike by kind, job type and labels, and in addition by one field of the metadata each. Of
    those that were decided alike, all fields with one value become conditions; without any, the title. The
    widest draft wins: one that covers no further prompts is left out.
    """
    groups: defaultdict[_Key, list[tuple[Prompt, Answer, Mapping[str, Any]]]] = defaultdict(list)
    for prompt in prompts:
        answer = person_answer(prompt)
        if answer is None:
            continue
        try:
            metadata = stored_inputs(prompt, limits)["metadata"]
        except ExpressionError:
            continue
        alike = prompt.job_type, prompt.content.kind, tuple(sorted(prompt.content.labels.items()))
        groups[*alike, "", ""].append((prompt, answer, metadata))
        for name, value in sorted(metadata.items())[:MAX_FIELDS]:
            groups[*alike, name, cel_literal(value)].append((prompt, answer, metadata))
    found: list[tuple[Suggestion, frozenset[str]]] = []
    seen: set[frozenset[str]] = set()
    for key in sorted(groups, key=lambda k: (k[3] != "", -len(groups[k]), k)):
        if len(groups[key]) < min_support:
            continue
        members = frozenset(each[0].prompt_id for each in groups[key])
        if members in seen:  # the same prompts make the same draft
            continue
        seen.add(members)
        made = _suggest_one(key, groups[key], min_support)
        if made is None or any(made[1] <= covered for _, covered in found):
            continue
        found.append(made)
    found.sort(key=lambda each: -each[0].support)
    return [suggestion for suggestion, _ in found[:MAX_SUGGESTIONS]]


def _suggest_one(
    key: _Key, members: Sequence[tuple[Prompt, Answer, Mapping[str, Any]]], min_support: int
) -> tuple[Suggestion, frozenset[str]] | None:
    by_outcome: defaultdict[str, list[tuple[Prompt, Answer, Mapping[str, Any]]]] = defaultdict(list)
    for each in members:
        by_outcome[_outcome(each[1])].append(each)
    alike = max(by_outcome.values(), key=len)
    if len(alike) < min_support:
        return None
    first = alike[0][2]
    common = {
        name: value
        for name, value in first.items()
        if all(name in m and cel_literal(m[name]) == cel_literal(value) for _, _, m in alike)
    }
    if key[3]:
        common.setdefault(key[3], first[key[3]])
    covered = [each for each in members if _has(each[2], common)]
    exceptions = len(covered) - len(alike)
    if exceptions > EXCEPTIONS_SHARE * len(alike):
        return None
    parts = [f"metadata[{cel_literal(k)}] == {cel_literal(v)}" for k, v in sorted(common.items())]
    prompt, answer, _ = alike[0]
    if not parts and not prompt.content.labels:
        # Kind and job type alone say too little of what was decided.
        if len({each[0].content.title for each in members}) > 1:
            return None
        parts = [f"prompt.title == {cel_literal(prompt.content.title)}"]
    spec = _draft(prompt, answer, " && ".join(parts))
    if spec is None or len(spec.match.expression.encode()) > MAX_SOURCE_BYTES:
        return None
    users = tuple(sorted({each[1].user_id for each in alike}))
    samples = tuple(each[0] for each in alike[:SUPPORTING])
    suggestion = Suggestion(spec, len(alike), exceptions, users, samples)
    return suggestion, frozenset(each[0].prompt_id for each in covered)


def _outcome(answer: Answer) -> str:
    """Answers with an equal outcome are alike. Responses count by their values and comment too."""
    said = answer.values_json + answer.comment if answer.decision is Decision.RESPOND else ""
    edits = json.dumps([[e.content_id, e.text] for e in answer.edits])
    return "\n".join((outcome_of(answer), edits, said))


def _has(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(k in metadata and cel_literal(metadata[k]) == cel_literal(v) for k, v in wanted.items())
