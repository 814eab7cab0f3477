"""Rules that answer a prompt which is asked or amended."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback_server.domain import commands as c
from askback_server.domain.answers import AnswerSource
from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.content import Audience, DefaultAnswer, EscalationStep, Exclusion, FinalAction
from askback_server.domain.decisions import Decision, DecisionOption
from askback_server.domain.errors import InvalidField
from askback_server.domain.events import EventType
from askback_server.domain.forms import IntegerInput, Question, Questions
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus, PromptState
from askback_server.domain.rules import Effect, GivenAnswer, Match, Route, Standing
from askback_server.domain.rulings import Ruling, combine, route, stricter
from tests.support.aggregates import BOB, HOUR, SECOND, START, JobWorld, question, running
from tests.support.rules import compiled, rule, rule_book, rule_set
from tests.support.rules import question as normalised

A, B, C = Effect.ANSWER, Effect.ASK, Effect.REFUSE


def world(*rules: Any, **options: Any) -> JobWorld:
    found = running()
    found.rules = rule_book(*rules, **options)
    return found


def ruled(world: JobWorld) -> dict[str, Any]:
    [event] = [e for e in world.log if e.type is EventType.PROMPT_RULED][-1:]
    return dict(event.data or {})


def test_a_rule_answers_in_the_commit_that_asks_and_the_job_runs_on() -> None:
    here = world(rule())
    prompt = here.ask().prompt
    assert prompt.state is PromptState.ANSWERED
    assert here.state is JobState.RUNNING
    answer = prompt.resolution.answer  # type: ignore[union-attr]
    assert answer is not None
    assert (answer.source, answer.user_id, answer.rule) == (AnswerSource.RULE, "ann", "r1@1")
    assert here.events() == [EventType.PROMPT_ASKED, EventType.PROMPT_RULED, EventType.PROMPT_ANSWERED]
    assert [(s.status, s.answer) for s in here.submissions()] == [(AnswerStatus.ACCEPTED, answer)]
    assert ruled(here)["matched"] == ["r1@1"]
    assert ruled(here)["outcome"] == "ANSWER"
    [use] = here.guard.rules
    assert (use.rule_id, use.set_version, use.author, use.author_version) == ("r1", 1, "ann", START)
    assert here.ask().replayed


def test_a_rule_answers_a_job_without_a_worker() -> None:
    here = JobWorld(rules=rule_book(rule()))
    reply = here.create(question())
    assert reply.job.state is JobState.COMPLETED
    assert here.guard.rules


def test_without_a_matching_rule_nothing_is_recorded() -> None:
    here = world(rule(match=Match(kinds=frozenset({"preview"}))))
    assert here.ask().prompt.is_open
    assert here.events() == [EventType.PROMPT_ASKED]
    assert not here.guard.rules


REFUSED = [
    ("no person of the directory", {}, {"ann": None}),
    ("inactive", {}, {"ann": Standing(START, False, frozenset())}),
    ("not in the audience", {"audience": Audience(frozenset({"bob"}))}, {}),
    ("in a group that the directory does not know", {"audience": Audience(groups=frozenset({"ops"}))}, {}),
    ("excluded by name", {"exclusion": Exclusion(users=frozenset({"ann"}))}, {}),
    ("excluded by a group", {"exclusion": Exclusion(groups=frozenset({"law"}))}, {}),
    ("several people", {"approval": Approval(2)}, {}),
    ("another group must approve", {"approval": Approval(0, (GroupApproval("ops", 1),))}, {}),
    ("the decision is not offered", {"kind": "clarify"}, {}),
    (
        "the values are missing",
        {
            "form": Questions(
                (Question(question_id="n", title="How much?", required=True, input=IntegerInput()),)
            )
        },
        {},
    ),
]


@pytest.mark.parametrize(("fields", "standings"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_a_rule_answers_only_what_its_author_could_answer_alone_now(
    fields: dict[str, Any], standings: dict[str, Any]
) -> None:
    here = world(rule(match=Match(kinds=frozenset({"confirm", "clarify"}))), **standings)
    assert here.ask(content=question(**fields)).prompt.is_open
    assert not here.submissions()
    assert ruled(here)["outcome"] == "ASK"
    assert ruled(here)["hindered"].keys() == {"r1@1"}
    assert not here.guard.rules


def test_the_requester_is_excluded_as_the_author_of_a_rule_too() -> None:
    here = world(rule(author="carl"))
    assert here.ask(content=question(exclusion=Exclusion(requester=True))).prompt.is_open
    assert here.ask("b").prompt.state is PromptState.ANSWERED


def test_the_author_counts_as_the_answerer_of_what_its_rule_answered() -> None:
    here = world(rule())
    here.ask()
    assert here.ask("b", question(exclusion=Exclusion(answerers_of=("a",)))).prompt.is_open


def test_rules_fill_as_many_votes_as_the_prompt_lets_them() -> None:
    rules = [rule("r1"), rule("r2"), rule("r3", author="dora"), rule("r4", author="emil")]
    here = world(*rules)
    prompt = here.ask(content=question(approval=Approval(3, rules_may_fill=2))).prompt
    assert prompt.is_open
    assert prompt.votes is not None
    assert [vote.user_id for vote in prompt.votes.live] == ["ann", "dora"]
    assert [use.rule_id for use in here.guard.rules] == ["r1", "r3"]
    assert here.answer(principal=BOB).status is AnswerStatus.ACCEPTED


def test_a_refusal_rejects_and_goes_to_people_where_there_is_no_reject() -> None:
    here = world(rule("r1", C), rule("r2"))
    answer = here.ask().prompt.resolution.answer  # type: ignore[union-attr]
    assert answer is not None
    assert (answer.decision, answer.comment, answer.rule) == (Decision.REJECT, "not here", "r1@1")
    asked = question(kind="ok", title="?")
    here.rules = rule_book(rule("r1", C, match=Match(kinds=frozenset({"clarify"}))))
    assert here.ask("b", question(kind="clarify")).prompt.is_open
    assert asked.kind == "ok"


def test_an_amended_prompt_is_ruled_again_and_a_claim_of_another_person_keeps_the_rule_out() -> None:
    here = world(rule(when="prompt.title == 'Now?'"))
    here.ask()
    here.on_prompt(c.ClaimPrompt, principal=BOB)
    assert here.ask(content=question("Now?")).prompt.is_open
    assert "claimed" in ruled(here)["hindered"]["r1@1"]
    here.on_prompt(c.ReleasePrompt, principal=BOB)
    assert here.ask(content=question("Else?")).prompt.is_open
    assert here.ask(content=question("Now?")).prompt.state is PromptState.ANSWERED


def test_a_rule_that_has_expired_or_has_no_uses_left_asks_people() -> None:
    for spec in ({"expires_at": START}, {"max_uses": 10, "uses": 10}):
        assert world(rule(**spec)).ask().prompt.is_open
    assert not world(rule(max_uses=10, uses=9)).ask().prompt.is_open


def test_uses_that_were_decided_since_the_rules_were_read_count() -> None:
    here = world(rule(max_uses=10, uses=9))
    here.ask()
    here.rules.take(here.guard.rules)
    assert here.ask("b").prompt.is_open


def test_a_routed_approval_is_the_same_question_for_the_job() -> None:
    here = world(rule(effect=Effect.ROUTE, route=Route(approval=Approval(2, reject_at=1), priority=7)))
    prompt = here.ask().prompt
    assert (prompt.content.approval, prompt.content.priority) == (Approval(2, reject_at=1), 7)
    assert here.guard.rules
    here.answer(principal=BOB)
    again = here.ask()
    assert again.replayed
    assert again.prompt.votes is not None
    assert len(again.prompt.votes.live) == 1
    assert here.ask(content=question("Other?")).prompt.revision == 2


# --- the ruling ---


def key(ruling: Ruling) -> Any:
    deciding = tuple(r.rule_id for r in ruling.deciding)
    return ruling.outcome, deciding, tuple(r.rule_id for r in ruling.routes), ruling.conflict


EFFECTS = st.sampled_from([A, A, B, C, Effect.ROUTE])


@given(
    st.lists(
        st.tuples(EFFECTS, st.booleans(), st.booleans(), st.sampled_from(["", "1", "1.0", "2"])),
        max_size=4,
    )
)
def test_the_order_of_rules_makes_no_difference_and_the_strictest_wins(kinds: list[Any]) -> None:
    rules = [
        rule(f"r{i}", effect, answer=GivenAnswer(Decision.ACCEPT, values and f'{{"n":{values}}}'))
        for i, (effect, _, _, values) in enumerate(kinds)
    ]
    broken = {f"r{i}" for i, (_, is_broken, _, _) in enumerate(kinds) if is_broken}
    spent = {f"r{i}" for i, (_, _, is_spent, _) in enumerate(kinds) if is_spent}
    results = set()
    for order in permutations(rules):
        ruling = combine(
            [r for r in order if r.rule_id not in broken],
            [r for r in order if r.rule_id in broken],
            lambda r: r.rule_id not in spent,
        )
        results.add(key(ruling))
    assert len(results) == 1
    effects = {r.spec.effect for r in ruling.matched}
    strict_errors = {r.spec.effect for r in ruling.errors} - {A}
    if ruling.outcome is A:
        assert effects <= {A, Effect.ROUTE}
        assert not strict_errors
        assert (
            len({r.spec.answer.values_json.replace(".0", "") for r in ruling.deciding if r.spec.answer}) == 1
        )
    if C in effects:
        assert ruling.outcome is (C if ruling.deciding else B)
    if B in effects and C not in effects:
        assert ruling.outcome is B
    assert not {r.rule_id for r in (*ruling.deciding, *ruling.routes)} & (spent | broken)


@pytest.mark.parametrize(("effect", "outcome"), [(A, A), (B, B), (C, B), (Effect.ROUTE, B)])
def test_an_error_is_no_match_of_an_answer_and_asks_people_otherwise(effect: Effect, outcome: Effect) -> None:
    wrong = rule("r1", effect, when="metadata.missing == 1")
    here = world(wrong, rule("r2"))
    here.ask()
    assert ruled(here)["outcome"] == outcome
    assert ruled(here)["errors"] == ["r1@1"]
    assert ruled(here)["matched"] == ["r2@1"]


def test_a_missing_field_and_an_empty_metadata_never_match() -> None:
    for metadata in ("", "{}", '{"tool":null}', "[]"):
        here = world(rule(when="metadata.tool == 'ls'"))
        assert here.ask(content=question(metadata_json=metadata)).prompt.is_open


def test_rules_with_different_answers_ask_people_and_equal_ones_agree_by_value() -> None:
    def accepts(rule_id: str, values: str) -> Any:
        return rule(rule_id, answer=GivenAnswer(Decision.ACCEPT, values), author=rule_id)

    form = Questions((Question(question_id="n", title="How much?", input=IntegerInput()),))
    here = world(accepts("r1", '{"n":1}'), accepts("r2", '{"n":2}'))
    assert here.ask(content=question(form=form)).prompt.is_open
    assert ruled(here)["conflict"] == "rules with different answers match"
    here.rules = rule_book(accepts("r1", '{"n":1}'), accepts("r2", '{ "n": 1.0 }'))
    assert not here.ask("b", question(form=form)).prompt.is_open


def test_unless_is_the_exception_of_a_rule() -> None:
    here = world(rule(unless="'prod' in prompt.labels"))
    assert here.ask(content=question(labels={"prod": ""})).prompt.is_open
    assert not here.ask("b").prompt.is_open


APPROVALS = st.builds(
    Approval,
    st.integers(1, 4),
    st.lists(st.sampled_from(["a", "b"]), unique=True).flatmap(
        lambda names: st.tuples(
            *(st.builds(GroupApproval, st.just(n), st.integers(1, 3)) for n in sorted(names))
        )
    ),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2),
)


@given(APPROVALS, APPROVALS, APPROVALS)
def test_the_stricter_approval_has_no_order(one: Approval, two: Approval, three: Approval) -> None:
    assert stricter(one, two) == stricter(two, one)
    assert stricter(stricter(one, two), three) == stricter(one, stricter(two, three))
    merged = stricter(one, two)
    assert merged.required >= max(one.required, two.required, merged.least)
    assert merged.reject_at <= min(one.reject_at, two.reject_at)
    assert merged.rules_may_fill <= min(one.rules_may_fill, two.rules_may_fill)


def routed(*routes: Route, **fields: Any) -> Any:
    results = []
    for order in permutations(routes):
        rules = [rule(f"r{i}", Effect.ROUTE, route=each) for i, each in enumerate(order)]
        results.append(route(normalised(**fields), rules))
    assert all(each == results[0] for each in results)
    return results[0]


def test_routes_narrow_and_never_widen() -> None:
    law = Audience(groups=frozenset({"law"}))
    content, conflict = routed(
        Route(audience=law, priority=3, timeout=HOUR), Route(priority=2, timeout=SECOND)
    )
    assert (content.audience, content.priority, content.timeout, conflict) == (law, 3, SECOND, "")
    content, conflict = routed(Route(audience=law), audience=Audience(frozenset({"ann"}), law.groups))
    assert (content.audience, conflict) == (law, "")
    for asked in (Audience(frozenset({"ann"})), Audience(groups=frozenset({"ops"}))):
        content, conflict = routed(Route(audience=law), audience=asked)
        assert content.audience == asked
        assert conflict
    content, conflict = routed(Route(audience=law), Route(audience=Audience(frozenset({"ann"}))))
    assert content.audience == Audience()
    assert conflict
    content, _ = routed(Route(priority=-5, timeout=2 * HOUR), priority=1, timeout=HOUR)
    assert (content.priority, content.timeout) == (1, HOUR)


def test_a_conflict_of_routes_keeps_rules_from_answering() -> None:
    here = world(rule(), rule("r2", Effect.ROUTE, route=Route(audience=Audience(frozenset({"ann"})))))
    assert here.ask(content=question(audience=Audience(frozenset({"bob", "cleo"})))).prompt.is_open
    assert ruled(here)["conflict"]


def test_silence_never_accepts_sooner_or_in_place_of_several_people() -> None:
    default = {
        "final_action": FinalAction.DEFAULT,
        "default_answer": DefaultAnswer(Decision.ACCEPT),
        "timeout": HOUR,
    }
    content, _ = routed(Route(timeout=SECOND), **default)
    assert content.timeout == HOUR
    content, _ = routed(Route(approval=Approval(2, reject_at=1), timeout=SECOND), **default)
    assert (content.default_answer, content.final_action) == (None, FinalAction.EXPIRE)
    assert content.timeout == timedelta(seconds=1)


def test_a_decision_of_one_person_does_not_avoid_the_approval_of_a_rule() -> None:
    options = tuple(
        DecisionOption(d, d.title()) for d in (Decision.ACCEPT, Decision.REJECT, Decision.DISMISS)
    )
    default = DefaultAnswer(Decision.DISMISS)
    fields = {"final_action": FinalAction.DEFAULT, "default_answer": default, "timeout": HOUR}
    here = world(rule(effect=Effect.ROUTE, route=Route(approval=Approval(2, reject_at=1))))
    content = here.ask(content=question(decisions=options, **fields)).prompt.content
    assert content.approval == Approval(2, reject_at=1)
    assert [option.decision for option in content.decisions] == [Decision.ACCEPT, Decision.REJECT]
    assert content.default_answer is None
    assert here.ask(content=question(decisions=options, **fields)).replayed


def test_an_escalation_asks_no_people_outside_of_the_audience_of_a_rule() -> None:
    law, ops = (Audience(groups=frozenset({name})) for name in ("law", "ops"))
    steps = (
        EscalationStep(SECOND, ops),
        EscalationStep(2 * SECOND, Audience(), replace=True, raise_priority=1),
        EscalationStep(3 * SECOND, law, replace=True),
    )
    here = world(rule(effect=Effect.ROUTE, route=Route(audience=law)))
    here.ask(content=question(escalation=steps, timeout=HOUR))
    for _ in steps:
        here.tick(SECOND).expire()
        assert here.prompt().content.audience == law
    assert here.prompt().content.priority == 1


def test_an_approval_that_has_nothing_to_approve_leaves_the_question_to_people() -> None:
    clarify = Match(kinds=frozenset({"clarify"}))
    reply = GivenAnswer(Decision.DISMISS)
    rules = [
        rule("r1", match=clarify, answer=reply),
        rule("r2", Effect.ROUTE, match=clarify, route=Route(approval=Approval(2, reject_at=1))),
    ]
    here = world(*rules)
    prompt = here.ask(content=question(kind="clarify")).prompt
    assert prompt.is_open
    assert prompt.content.approval is None
    assert ruled(here)["conflict"]


def test_rules_of_a_set_are_all_evaluated() -> None:
    rules = rule_set(rule("r1"), rule("r2", author="dora"))
    assert [each.rule.rule_id for each in rules.rules] == ["r1", "r2"]
    assert compiled(rule()).when is None


def test_a_refusal_that_its_author_cannot_give_still_keeps_other_rules_out() -> None:
    here = world(rule("r1", C, author="zed"), rule("r2"), zed=None)
    assert here.ask().prompt.is_open
    assert ruled(here)["hindered"].keys() == {"r1@1"}


def test_a_route_that_no_people_can_satisfy_is_refused_with_its_name() -> None:
    here = world(rule(effect=Effect.ROUTE, route=Route(approval=Approval(2, reject_at=1))))
    with pytest.raises(InvalidField, match="r1@1"):
        here.ask(content=question(audience=Audience(frozenset({"bob"}))))


def test_who_asks_cannot_escape_a_refusal_by_an_audience_that_a_route_does_not_fit() -> None:
    elsewhere = rule("r1", Effect.ROUTE, route=Route(audience=Audience(frozenset({"bob"}))))
    for effect, state in ((C, PromptState.ANSWERED), (A, PromptState.PENDING)):
        here = world(elsewhere, rule("r2", effect))
        prompt = here.ask(content=question(audience=Audience(frozenset({"ann"})))).prompt
        assert prompt.state is state
        assert ruled(here)["conflict"] == "the audience of a rule is no part of the prompt's"
        assert ruled(here)["outcome"] == (C if state is PromptState.ANSWERED else B)
