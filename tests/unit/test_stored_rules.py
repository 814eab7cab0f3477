"""The life of a rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.content import Audience
from askback_server.domain.decisions import Decision
from askback_server.domain.rule_checks import prepare_rule
from askback_server.domain.rule_documents import spec_from_json, spec_to_json
from askback_server.domain.rule_inputs import ExpressionError, Predicate, read_inputs
from askback_server.domain.rules import Effect, Example, GivenAnswer, Match, Route
from askback_server.domain.rulings import holds
from askback_server.domain.stored_rules import (
    RuleState,
    StoredRule,
    approve,
    delete,
    drop_proposal,
    is_shortening,
    note_job,
    rule_body,
    shorten,
    switch_off,
    write_revision,
)
from askback_server.expressions import Missing
from tests.support.aggregates import HOUR, START
from tests.support.rules import CEL, question, rule

SPEC = rule(max_uses=9).spec


def blank() -> StoredRule:
    return StoredRule("r", "default", START, START, 0)


def proposed(before: StoredRule | None = None, **spec: Any) -> StoredRule:
    return write_revision(before or blank(), replace(SPEC, **spec), "ann", START, needs_approval=True)


def active() -> StoredRule:
    return write_revision(blank(), SPEC, "ann", START, needs_approval=False)


def test_the_second_person_reads_all_that_a_rule_does() -> None:
    changes = Route(
        Audience(frozenset({"mia"}), frozenset({"ops"})),
        Approval(2, (GroupApproval("law", 1),), 2, rules_may_fill=1),
        7,
        HOUR,
    )
    texts = [
        replace(SPEC, effect=Effect.ROUTE, answer=None, route=changes),
        replace(SPEC, effect=Effect.REFUSE, answer=None, refusal="never again"),
        replace(SPEC, answer=GivenAnswer(Decision.EDIT, '{"a": 1}', "as always")),
    ]
    routed, refused, answered = map(rule_body, texts)
    for part in ("user mia, group ops", "needs 2", "1 of group law", "may fill 1", "priority", "1:00:00"):
        assert part in routed
    assert "never again" in refused
    assert '{"a": 1}' in answered
    assert "as always" in answered


def test_no_text_of_the_author_looks_like_another_line_of_the_rule() -> None:
    source = "true // ```\n- unless nothing"
    spec = replace(SPEC, reason="a\n- uses: 1", match=Match(expression=source), unless="metadata.a == '`'")
    lines = rule_body(spec).splitlines()
    assert lines[0].endswith("a - uses: 1")
    start = lines.index("````")
    assert lines[start : start + 4] == ["````", *source.splitlines(), "````"]


def test_only_the_proposed_revision_is_activated_and_only_once() -> None:
    first = proposed()
    assert first.state(START) is RuleState.PROPOSED
    second = proposed(first, name="other")
    assert second.proposal is not None
    assert second.proposal.revision == 2
    assert approve(second, 1, "bob", START) == second
    done = approve(second, 2, "bob", START)
    assert done.active is not None
    assert (done.active.revision, done.active.author, done.authorised_by) == (2, "ann", "bob")
    assert done.active.spec.name == "other"
    assert approve(done, 2, "eve", START) == done
    gone = delete(second, START)
    assert approve(gone, 2, "bob", START) == gone
    assert gone.state(START) is RuleState.DELETED


def test_a_proposal_leaves_the_active_revision_at_work_and_may_be_dropped() -> None:
    rule = proposed(active(), name="wider")
    assert rule.active is not None
    assert (rule.active.revision, rule.active.enabled) == (1, True)
    assert drop_proposal(rule, 1, START) == rule
    dropped = drop_proposal(rule, 2, START)
    assert (dropped.proposal, dropped.newest) == (None, 2)
    assert note_job(rule, 1, "j") == rule
    noted = note_job(rule, 2, "j").proposal
    assert noted is not None
    assert noted.job_id == "j"
    assert switch_off(rule, START).proposal is None


class Newer:
    """A library whose conditions mean something else."""

    version = "newer 2"

    def compile(self, source: str) -> Predicate:
        return lambda _: True


def test_a_rule_whose_examples_do_not_hold_with_a_new_library_is_an_error() -> None:
    yes, no = (question(metadata_json=f'{{"n":{number}}}') for number in (1, 2))
    stored = rule(when="metadata.n == 1", matching=(Example(yes),), not_matching=(Example(no),))
    read = partial(read_inputs, yes, key="", job_type="", requested_by="", max_bytes=99)
    assert holds(prepare_rule(stored, CEL), yes, "", read)
    with pytest.raises(ExpressionError, match="examples"):
        holds(prepare_rule(stored, Newer()), yes, "", read)
    with pytest.raises(ExpressionError):
        holds(prepare_rule(stored, Missing()), yes, "", read)


CHANGES: list[tuple[str, dict[str, Any], bool]] = [
    ("nothing", {}, True),
    ("an earlier end", {"expires_at": START + HOUR}, True),
    ("fewer uses", {"max_uses": 3}, True),
    ("a later end", {"expires_at": START + timedelta(days=31)}, False),
    ("more uses", {"max_uses": 10}, False),
    ("no limit of uses", {"max_uses": 0}, False),
    ("another name", {"name": "x"}, False),
    ("another condition", {"match": Match(kinds=frozenset({"confirm"}))}, True),
    ("a wider condition", {"match": Match()}, False),
    ("no exception", {"unless": "true"}, False),
]


@pytest.mark.parametrize(("fields", "expected"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_only_an_earlier_end_or_fewer_uses_shorten_a_rule(fields: dict[str, Any], expected: bool) -> None:
    assert is_shortening(active(), replace(SPEC, **fields)) is expected


def test_a_shortened_rule_keeps_its_author_and_its_approval() -> None:
    rule = approve(proposed(), 1, "bob", START)
    short = shorten(rule, replace(SPEC, max_uses=1), START)
    assert short.active is not None
    assert (short.active.revision, short.active.author, short.authorised_by) == (2, "ann", "bob")


def test_the_state_says_whether_a_rule_is_applied() -> None:
    rule = active()
    assert rule.active is not None
    assert rule.state(START) is RuleState.ACTIVE
    assert rule.state(START + timedelta(days=30)) is RuleState.EXPIRED
    assert replace(rule, active=replace(rule.active, uses=9)).state(START) is RuleState.USED_UP
    assert switch_off(rule, START).state(START) is RuleState.OFF
    assert drop_proposal(proposed(), 1, START).state(START) is RuleState.OFF


FULL = Route(
    Audience(frozenset({"a"}), frozenset({"g"})),
    Approval(2, (GroupApproval("g", 1),), 2, True, 1),
    0,
    timedelta(seconds=1.5),
)


@pytest.mark.parametrize("effect", list(Effect))
def test_a_spec_is_the_same_after_it_was_stored(effect: Effect) -> None:
    given: dict[str, Any] = {
        "match": Match(frozenset({"j"}), frozenset({"k"}), {"a": "b"}, "true"),
        "unless": "false",
        "matching": (Example(question(body="b", metadata_json='{"n":1.0}'), "j", "u", "k"),),
        "not_matching": (Example(question()),),
        "max_uses": 3,
    }
    if effect is Effect.ANSWER:
        given["answer"] = GivenAnswer(Decision.EDIT, '{"n": 9007199254740993}', "c")
    if effect is Effect.ROUTE:
        given["route"] = FULL
    spec = rule(effect=effect, **given).spec
    assert spec_from_json(spec_to_json(spec)) == spec
