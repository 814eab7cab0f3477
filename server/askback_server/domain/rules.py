"""Rules that answer, route or refuse prompts in the name of their authors (docs/how-to/rules.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from askback_server.domain.approvals import Approval
from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.rule_inputs import Predicate


class Effect(StrEnum):
    """What a rule does with a prompt that it matches. Of several, the strictest: REFUSE, ASK, ANSWER.

    ROUTE is applied in addition.
    """

    ANSWER = "ANSWER"
    ASK = "ASK"
    REFUSE = "REFUSE"
    ROUTE = "ROUTE"


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions on a question; all must hold. Lists and labels that are empty are no condition."""

    job_types: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    """The prompt has all of these."""
    expression: str = ""
    """A condition in CEL; empty: none."""


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """The answer of a rule with the effect ANSWER."""

    decision: Decision
    values_json: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """What a rule with the effect ROUTE changes. None: nothing."""

    audience: Audience | None = None
    approval: Approval | None = None
    priority: int | None = None
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A question that a rule must match, or must not."""

    content: PromptContent
    job_type: str = ""
    requested_by: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """What the author of a rule writes."""

    name: str
    reason: str
    effect: Effect
    match: Match
    unless: str = ""
    """A condition in CEL under which the rule does not match; empty: none."""
    answer: GivenAnswer | None = None
    route: Route | None = None
    refusal: str = ""
    """With REFUSE: the comment of the rejection."""
    matching: tuple[Example, ...] = ()
    not_matching: tuple[Example, ...] = ()
    expires_at: datetime | None = None
    """Always set in a stored rule."""
    max_uses: int = 0
    """0: no limit."""

    @property
    def is_readable(self) -> bool:
        """Whether this version can read it. In place of one that it cannot read is one without a name."""
        return bool(self.name)


@dataclass(frozen=True, slots=True)
class Rule:
    """A stored rule."""

    rule_id: str
    revision: int
    """Rises with each change of the spec, from 1."""
    namespace: str
    author: str
    """Who wrote this revision: the rule answers in its name."""
    spec: RuleSpec
    enabled: bool = True
    uses: int = 0
    """How many prompts it has decided or routed, with all revisions."""

    @property
    def ref(self) -> str:
        """The rule with its revision, as events name it."""
        return f"{self.rule_id}@{self.revision}"


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule that is ready to be evaluated."""

    rule: Rule
    when: Predicate | None = None
    unless: Predicate | None = None
    is_broken: bool = False
    """Whether its conditions cannot be evaluated with the library that is installed, or without one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the directory says of the author of a rule."""

    version: datetime
    """Of the person's row: it changes with its groups and its activity."""
    is_active: bool
    """Whether it may call: it has credentials, and is neither inactive nor deleted."""
    groups: frozenset[str]
    """Those of its credentials: the others give no right."""
    all_groups: frozenset[str] = frozenset()
    """With those that admins have set. They can exclude it."""


@dataclass(frozen=True, slots=True)
class RuleUse:
    """That a write rests on a rule. The write happens only if all of this is still so."""

    rule_id: str
    namespace: str
    set_version: int
    """Of all rules of the namespace: none was changed, added or deleted."""
    author: str = ""
    author_version: datetime | None = None
    """Of the author's row in the directory. None: the rule gives no answer."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of a namespace that are on, as of one version."""

    version: int
    rules: tuple[CompiledRule, ...]
    standings: Mapping[str, Standing] = field(default_factory=dict)
    """Of the authors, by subject. One that is missing is not in the directory."""
    evaluator: str = ""
    """The library that evaluates expressions, with its version."""
    uses: Mapping[str, int] = field(default_factory=dict)
    """How often rules with a limit have been used, by id, as it was read last."""
    taken: Counter[str] = field(default_factory=Counter)
    """Uses by rule that this replica has decided since it read the rules."""

    def has_uses_left(self, rule: Rule) -> bool:
        """Whether a rule may be used again, as far as is known."""
        known = self.uses.get(rule.rule_id, rule.uses) + self.taken[rule.rule_id]
        return not rule.spec.max_uses or known < rule.spec.max_uses


class RuleBook:
    """The rules that a replica knows, by namespace. It is replaced as a whole when they are read again."""

    __slots__ = ("_sets",)

    def __init__(self, sets: Mapping[str, RuleSet] | None = None) -> None:
        self._sets = sets or {}

    def of(self, namespace: str) -> RuleSet | None:
        """The rules of a namespace; None if it has none."""
        return self._sets.get(namespace)

    def take(self, uses: Iterable[RuleUse]) -> None:
        """Count uses that were decided."""
        for use in uses:
            if (rules := self._sets.get(use.namespace)) is not None:
                rules.taken[use.rule_id] += 1


NO_RULES = RuleBook()
