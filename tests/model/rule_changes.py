"""Changes of rules and of their authors: drawn for the reference model, and made in a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from askback_server.domain.approvals import Approval
from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.people import PersonSetting, Sighting, note_sighting, set_person
from askback_server.domain.rules import Effect, Example, GivenAnswer, Match, Route, RuleSpec
from askback_server.domain.stored_rules import StoredRule, delete, switch_off, write_revision
from askback_server.storage.database import Database
from tests.model.proposals import Proposals
from tests.model.rules import Rule

MATCHES = {
    "all": Match(kinds=frozenset({"confirm"})),
    "prod": Match(labels={"env": "prod"}),
    "elsewhere": Match(job_types=frozenset({"other"})),
    "ls": Match(kinds=frozenset({"confirm"}), expression="metadata.tool == 'ls'"),
    "prod ls": Match(labels={"env": "prod"}, expression="metadata.tool == 'ls'"),
}
"""By the names of `rules.CONDITIONS`."""
MOST_RULES = 5


class Saved(NamedTuple):
    """A rule is created, or gets a new revision, and is on."""

    rule: Rule


class Switched(NamedTuple):
    """A rule is switched off, or deleted."""

    name: str
    deleted: bool


class Turned(NamedTuple):
    """The directory says something else of an author."""

    name: str
    active: bool
    groups: frozenset[str]


RuleChange = Saved | Switched | Turned


def audience_of(to: str, names: Iterable[str] = ()) -> Audience:
    return Audience(frozenset(names), frozenset({to} - {""}))


def approval_of(needs: tuple[int, int, int] | None) -> Approval | None:
    if needs is None:
        return None
    return Approval(needs[0], reject_at=needs[1], rules_may_fill=needs[2])


# --- draws ---


def draw_rule_change(rng: Random, model: Proposals) -> RuleChange:
    on = [name for name in model.book.rules if name not in model.proposals]
    what = rng.choice(["save", "save", "save", "off", "delete", "author", "author", "author"])
    if what == "author":
        name = rng.choice(["ann", "ann", "bob", "cid"])
        groups = rng.choice([frozenset(), frozenset({"law"})])
        return Turned(name, rng.random() < 0.8, groups)
    if what == "save" or not on:
        return Saved(draw_rule(rng, model))
    return Switched(rng.choice(on), what == "delete")


def draw_hindrance(rng: Random, model: Proposals) -> RuleChange:
    """Draw a change after which a rule that is on may not answer any more."""
    on = [rule for rule in model.book.rules.values() if rule.name not in model.proposals]
    if not on:
        return draw_rule_change(rng, model)
    rule = rng.choice(on)
    what = rng.choice(["off", "delete", "rewrite", "leave", "leave", "ask"])
    if what == "rewrite":
        return Saved(replace(rule, revision=model.newest[rule.name] + 1, when="elsewhere"))
    if what == "leave":
        return Turned(rule.author, rng.random() < 0.3, frozenset())
    if what == "ask":
        return Saved(replace(draw_rule(rng, model), does="ASK", when="all", most=0))
    return Switched(rule.name, what == "delete")


def draw_rule(rng: Random, model: Proposals, name: str = "") -> Rule:
    """Draw a revision: of a rule with this name, or of any that does not wait for a second person."""
    known = sorted(model.newest.keys() - model.proposals.keys())
    if not name and known and (len(model.newest) >= MOST_RULES or rng.random() < 0.3):
        name = rng.choice(known)
    name = name or f"r{model.made + 1}"
    revision = model.newest.get(name, 0) + 1
    does = rng.choice(["ANSWER", "ANSWER", "ANSWER", "ANSWER", "ASK", "REFUSE", "ROUTE", "ROUTE"])
    drawn = Rule(
        name,
        revision,
        author=rng.choice(["ann", "ann", "ann", "bob", "bob", "cid"]),
        does=does,
        when=rng.choice(["all"] * 5 + ["prod", "ls", "ls", "ls", "prod ls", "elsewhere"]),
        except_good=rng.random() < 0.1,
        decision="REJECT" if does == "REFUSE" else rng.choice(["ACCEPT"] * 7 + ["DISMISS"]),
        most=rng.choice([0, 0, 1, 2]) if does != "ASK" else 0,
        until=model.now + rng.choice([20.0, 1000.0, 1000.0, 1000.0]),
    )
    if does != "ROUTE":
        return drawn
    needs = rng.choice([None, (2, 1, 0), (2, 1, 2), (3, 2, 1)])
    to = rng.choice(["", "law", "ops"])
    return replace(
        drawn, to=to, needs=needs, priority=rng.choice([0, 3, 7]), timeout=rng.choice([0.0, 3.0, 7.0])
    )


# --- in the database ---


def rule_id_of(name: str) -> str:
    """Ids in the order of the names."""
    return f"00000000-0000-7000-8000-{int(name[1:]):012d}"


def rule_name_of(rule_id: str) -> str:
    return f"r{int(rule_id[-12:])}"


def spec_of(rule: Rule, at: Callable[[float], datetime]) -> RuleSpec:
    effect = Effect(rule.does)
    route = None
    if effect is Effect.ROUTE:
        to = audience_of(rule.to) if rule.to else None
        route = Route(to, approval_of(rule.needs), rule.priority or None, _seconds(rule.timeout))
    return RuleSpec(
        name=rule.name,
        reason="often",
        effect=effect,
        match=MATCHES[rule.when],
        unless="prompt.title == 'Is it good?'" if rule.except_good else "",
        answer=GivenAnswer(Decision(rule.decision)) if effect is Effect.ANSWER else None,
        route=route,
        refusal="no" if effect is Effect.REFUSE else "",
        expires_at=at(rule.until),
        max_uses=rule.most,
    )


def _seconds(timeout: float) -> timedelta | None:
    return timedelta(seconds=timeout) if timeout else None


def spec_with_examples(rule: Rule, at: Callable[[float], datetime]) -> RuleSpec:
    """As a person proposes it. No two revisions say the same."""
    fits = PromptContent("confirm", "Is it?", labels={"env": "prod"}, metadata_json='{"tool":"ls"}')
    other = PromptContent("clarify", "Is it?", metadata_json='{"tool":"rm"}')
    return replace(
        spec_of(rule, at),
        reason=f"revision {rule.revision}",
        matching=(Example(fits, "other"),),
        not_matching=(Example(other, "refund"),),
    )


async def make(change: RuleChange, database: Database, at: Callable[[float], datetime]) -> None:
    """Make a change as a service does, without telling any replica."""
    if isinstance(change, Turned):
        await _turn(change, database)
        return

    def decide(stored: StoredRule | None, now: datetime) -> StoredRule:
        if isinstance(change, Saved):
            stored = stored or StoredRule(rule_id, "default", now, now, 0)
            spec = spec_of(change.rule, at)
            return write_revision(stored, spec, change.rule.author, now, needs_approval=False)
        assert stored is not None
        return (delete if change.deleted else switch_off)(stored, now)

    rule_id = rule_id_of(change.rule.name if isinstance(change, Saved) else change.name)
    await database.rules.change(rule_id, "default", decide)


async def _turn(change: Turned, database: Database) -> None:
    sighting = Sighting("default", change.name, change.groups, datetime(2000, 1, 1, tzinfo=UTC))
    seen = note_sighting(sighting, change.groups)
    setting = set_person(PersonSetting("default", change.name, active=change.active), "root")
    await database.people.change(
        "default", [change.name], lambda _: lambda p, now: setting(seen(p, now), now)
    )
