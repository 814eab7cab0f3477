"""What a rule would have done with prompts of the past, by the same evaluator, against what people did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, partial

from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import AUTHORISING, Decision
from askback_server.domain.forms import Unjudged
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import Prompt
from askback_server.domain.rule_inputs import UNKNOWN_LATER, ExpressionError, Inputs, read_inputs
from askback_server.domain.rules import CompiledRule, Effect
from askback_server.domain.rulings import ReadInputs, fits, holds

SAMPLES = 3
"""Prompts that are named for each cell of the matrix."""
MAX_CONFLICTS = 200
"""Cases of an acceptance that people had rejected which are named; the matrix counts all."""


class Would(StrEnum):
    """What the rule would do."""

    ANSWER = "ANSWER"
    REFUSE = "REFUSE"
    ASK = "ASK"
    ROUTE = "ROUTE"
    NO_MATCH = "NO_MATCH"
    UNKNOWN = "UNKNOWN"
    """What it reads is not stored. It is never shown as an answer."""


class Did(StrEnum):
    """What people did."""

    ACCEPT = "ACCEPT"
    EDIT = "EDIT"
    REJECT = "REJECT"
    REVISE = "REVISE"
    OTHER = "OTHER"
    """They responded, or dismissed the prompt."""
    NONE = "NONE"
    """No person decided: the prompt is open, expired or was withdrawn, or a default or a rule answered."""


class Lint(StrEnum):
    """What is odd about a rule, by the prompts that were looked at and the rules that are on."""

    NEVER_MATCHES = "NEVER_MATCHES"
    SHADOWED = "SHADOWED"
    """Stricter rules decide all that it matches."""
    REDUNDANT = "REDUNDANT"
    """Another rule with the same effect matches all that it matches."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A lint, with the rules that are its reason."""

    lint: Lint
    rules: tuple[str, ...] = ()


@dataclass(slots=True)
class Cell:
    """Prompts with which the rule would do one thing, and people did another."""

    count: int = 0
    samples: list[Prompt] = field(default_factory=list)


@dataclass(slots=True)
class Preview:
    """The matrix, with every case in which the rule would accept what people rejected."""

    cells: dict[tuple[Would, Did], Cell] = field(default_factory=dict)
    conflicts: list[Prompt] = field(default_factory=list)
    read: int = 0
    findings: list[Finding] = field(default_factory=list)


def person_answer(prompt: Prompt) -> Answer | None:
    """The answer of a person that closed a prompt; None if no person decided it."""
    answer = prompt.resolution.answer if prompt.resolution is not None else None
    if answer is None or answer.source in (AnswerSource.TIMEOUT_DEFAULT, AnswerSource.RULE):
        return None
    return answer


_DID = {
    Decision.ACCEPT: Did.ACCEPT,
    Decision.EDIT: Did.EDIT,
    Decision.REJECT: Did.REJECT,
    Decision.REVISE: Did.REVISE,
}


def did(prompt: Prompt) -> Did:
    """What people did with a prompt."""
    answer = person_answer(prompt)
    return Did.NONE if answer is None else _DID.get(answer.decision, Did.OTHER)


def stored_inputs(prompt: Prompt, limits: Limits) -> Inputs:
    """What expressions read of a stored prompt, as it was asked. Raises ExpressionError."""
    return read_inputs(
        prompt.content,
        key=prompt.key,
        job_type=prompt.job_type,
        requested_by=prompt.requested_by,
        max_bytes=limits.json_bytes,
        is_asked=not may_have_other_priority(prompt),
    )


def may_have_other_priority(prompt: Prompt) -> bool:
    """Whether the priority of a prompt may have been another one when it was asked."""
    return bool(prompt.asked_digest) or (prompt.nudges is not None and prompt.nudges.steps > 0)


def matches_stored(rule: CompiledRule, prompt: Prompt, read: ReadInputs) -> bool | None:
    """Whether a rule matches a stored prompt; None if what it reads is not known any more. `read` returns its
    `stored_inputs`.

    Raises ExpressionError where it would have been an error at that time.
    """
    try:
        return holds(rule, prompt.content, prompt.job_type, read)
    except ExpressionError:
        if may_have_other_priority(prompt) and _reads(rule, UNKNOWN_LATER):
            return None
        raise


def _reads(rule: CompiledRule, names: Iterable[str]) -> bool:
    source = rule.rule.spec.match.expression + rule.rule.spec.unless
    return any(name in source for name in names)


def would(rule: CompiledRule, prompt: Prompt, limits: Limits) -> Would:
    """What a rule alone would have done with a prompt."""
    spec = rule.rule.spec
    try:
        matches = matches_stored(rule, prompt, _reader(prompt, limits))
    except ExpressionError:
        return Would.NO_MATCH if spec.effect is Effect.ANSWER else Would.ASK
    if matches is None:
        return Would.UNKNOWN
    if not matches:
        return Would.NO_MATCH
    if spec.effect is Effect.ANSWER and not _is_valid(rule, prompt.content, limits):
        return Would.ASK
    if spec.effect is Effect.REFUSE and prompt.content.option(Decision.REJECT) is None:
        return Would.ASK
    return Would(spec.effect)


def _is_valid(rule: CompiledRule, content: PromptContent, limits: Limits) -> bool:
    given = rule.rule.spec.answer
    assert given is not None
    try:
        return not content.judge(given.decision, given.values_json, (), given.comment, limits)
    except Unjudged:  # a large form; a rule does not answer it
        return False


def add(preview: Preview, rule: CompiledRule, prompt: Prompt, limits: Limits) -> None:
    """Add a prompt of the past to a preview."""
    found, people = would(rule, prompt, limits), did(prompt)
    cell = preview.cells.setdefault((found, people), Cell())
    cell.count += 1
    if len(cell.samples) < SAMPLES:
        cell.samples.append(prompt)
    preview.read += 1
    given = rule.rule.spec.answer
    accepts = found is Would.ANSWER and given is not None and given.decision in AUTHORISING
    if accepts and people is Did.REJECT and len(preview.conflicts) < MAX_CONFLICTS:
        preview.conflicts.append(prompt)


_STRICTNESS = {Effect.ANSWER: 0, Effect.ASK: 1, Effect.REFUSE: 2}


class Linter:
    """Compares a rule with those that are on, prompt by prompt."""

    def __init__(self, rule: CompiledRule, others: Sequence[CompiledRule]) -> None:
        self._rule = rule
        self._others = others
        self._matched = self._stricter = 0
        self._stricter_rules: set[str] = set()
        self._alike: Counter[str] = Counter()

    def add(self, prompt: Prompt, limits: Limits) -> None:
        """Look at a prompt."""
        read = _reader(prompt, limits)
        if not _matches(self._rule, prompt, read):
            return
        self._matched += 1
        mine, is_stricter = self._rule.rule.spec, False
        for other in self._others:
            theirs = other.rule.spec
            if not _matches(other, prompt, read):
                continue
            if (theirs.effect, theirs.answer, theirs.route) == (mine.effect, mine.answer, mine.route):
                self._alike[other.rule.ref] += 1
            if _STRICTNESS.get(theirs.effect, -1) > _STRICTNESS.get(mine.effect, 9):
                is_stricter = True
                self._stricter_rules.add(other.rule.ref)
        self._stricter += is_stricter

    def findings(self) -> list[Finding]:
        """What was found. Without a match nothing else is said."""
        if not self._matched:
            return [Finding(Lint.NEVER_MATCHES)]
        found = []
        if self._stricter == self._matched:
            found.append(Finding(Lint.SHADOWED, tuple(sorted(self._stricter_rules))))
        alike = tuple(sorted(ref for ref, count in self._alike.items() if count == self._matched))
        return [*found, Finding(Lint.REDUNDANT, alike)] if alike else found


def _reader(prompt: Prompt, limits: Limits) -> ReadInputs:
    """Reads the inputs once, for all rules."""
    return lru_cache(1)(partial(stored_inputs, prompt, limits))


def _matches(rule: CompiledRule, prompt: Prompt, read: ReadInputs) -> bool:
    if not fits(rule.rule.spec.match, prompt.content, prompt.job_type):
        return False
    try:
        return bool(matches_stored(rule, prompt, read))
    except ExpressionError:
        return False
