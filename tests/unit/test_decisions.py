"""Decisions: which ones each kind offers, and which answers are accepted."""

from collections.abc import Sequence
from typing import Any

import pytest

from askback_server.domain.decisions import (
    AUTHORISING,
    CARRIES_VALUES,
    Decision,
    DecisionOption,
    Edit,
    check_options,
    default_options,
    fill_labels,
    validate_answer,
)
from askback_server.domain.forms import Form, FormLimits, IntegerInput, Question, Questions, SchemaForm
from askback_server.domain.json_text import BadFields

D = Decision
ALL = tuple(DecisionOption(decision, decision.title(), decision is D.REVISE) for decision in D)
FORM = Questions((Question(question_id="n", title="N", required=True, input=IntegerInput(None, 1, 10)),))
OPTIONAL = Questions((Question(question_id="n", title="N", input=IntegerInput(None, 1, 10)),))
LIMITS = FormLimits()


def judge(
    decision: Decision,
    values_json: str = "",
    *,
    form: Form | None = None,
    edits: Sequence[Edit] = (),
    comment: str = "",
    options: Sequence[DecisionOption] = ALL,
) -> dict[str, str]:
    found = validate_answer(
        options=options,
        form=form,
        editable={"plan": True, "notes": True, "diff": False},
        decision=decision,
        values_json=values_json,
        edits=edits,
        comment=comment,
        limits=LIMITS,
    )
    return {violation.field: violation.description for violation in found}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("clarify", [D.RESPOND, D.DISMISS]),
        ("confirm", [D.ACCEPT, D.REVISE, D.REJECT]),
        ("preview", [D.ACCEPT, D.EDIT, D.REVISE, D.REJECT]),
        ("validate", [D.ACCEPT, D.REVISE, D.REJECT]),
        ("deep_understanding", [D.RESPOND, D.ACCEPT, D.REJECT]),
        ("structure_fix", [D.ACCEPT, D.EDIT]),
    ],
)
@pytest.mark.parametrize("has_form", [True, False])
def test_each_kind_offers_its_decisions(kind: str, expected: list[Decision], has_form: bool) -> None:
    options = default_options(kind, has_form)
    assert [option.decision for option in options] == expected
    check_options(options)
    for option in options:
        needs_words = option.decision is D.REVISE or (option.decision is D.RESPOND and not has_form)
        assert option.comment_required == needs_words


def test_unknown_kinds_offer_default_decisions() -> None:
    assert [option.decision for option in default_options("acme:sign", True)] == [D.RESPOND, D.DISMISS]
    assert [option.decision for option in default_options("acme:sign", False)] == [D.ACCEPT, D.REJECT]


def test_only_two_decisions_authorise() -> None:
    assert {D.ACCEPT, D.EDIT} == AUTHORISING
    assert {D.ACCEPT, D.EDIT, D.RESPOND} == CARRIES_VALUES
    assert D("ACCEPT") is D.ACCEPT
    with pytest.raises(ValueError, match="accept"):
        D("accept")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ([], "decisions"),
        ([DecisionOption(D.ACCEPT, "Yes"), DecisionOption(D.ACCEPT, "Sure")], "decisions[1].decision"),
        ([DecisionOption(D.ACCEPT, " ")], "decisions[0].label"),
        ([DecisionOption(D.ACCEPT, "x" * 129)], "decisions[0].label"),
        ([DecisionOption(D.ACCEPT, "a\0")], "decisions[0].label"),
    ],
)
def test_invalid_decision_options_are_refused(options: list[DecisionOption], field: str) -> None:
    with pytest.raises(BadFields) as caught:
        check_options(options)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_missing_labels_are_filled_in() -> None:
    given = (DecisionOption(D.REJECT, "", True), DecisionOption(D.ACCEPT, "Ship it"))
    assert fill_labels(given) == (DecisionOption(D.REJECT, "Reject", True), given[1])


def test_a_decision_that_is_not_offered_is_refused() -> None:
    options = default_options("confirm", False)
    assert judge(D.DISMISS, options=options) == {"decision": "must be one of: ACCEPT, REVISE, REJECT"}
    assert judge(D.ACCEPT, options=()) == {"decision": "must be one of: "}


@pytest.mark.parametrize("decision", sorted(CARRIES_VALUES))
@pytest.mark.parametrize("form", [FORM, SchemaForm('{"type": "object", "required": ["n"]}')])
def test_values_are_judged_by_the_form(decision: Decision, form: Form) -> None:
    assert judge(decision, '{"n": 1}', form=form) == {}
    edits = [Edit("plan", "new")] if decision is D.EDIT else []
    for text in ("", "{}"):
        assert judge(decision, text, form=form, edits=edits) == {"values_json/n": "is required"}
    assert "values_json" in judge(decision, "[1]", form=form)
    assert "values_json" in judge(decision, '{"n": 1e999999}', form=form)
    assert "values_json" in judge(decision, '{"n": 1, "x": "' + "y" * 262_144 + '"}', form=form)


def test_without_a_form_values_are_refused() -> None:
    assert judge(D.ACCEPT) == {}
    assert judge(D.ACCEPT, "{}") == {}
    assert "values_json" in judge(D.ACCEPT, '{"n": 1}')


@pytest.mark.parametrize("decision", [D.REVISE, D.REJECT, D.DISMISS])
def test_decisions_without_values_refuse_values(decision: Decision) -> None:
    for text in ("", "{}"):
        assert judge(decision, text, form=FORM, comment="why") == {}
    for text in ('{"n": 1}', "nonsense"):
        assert judge(decision, text, form=FORM, comment="why") == {
            "values_json": f"must be empty with {decision}"
        }


def test_an_edit_must_change_something() -> None:
    assert judge(D.EDIT, edits=[Edit("plan", "")]) == {}
    assert judge(D.EDIT, edits=[Edit("plan", "a"), Edit("notes", "b")]) == {}
    assert judge(D.EDIT, '{"n": 2}', form=OPTIONAL) == {}
    assert judge(D.EDIT, '{"n": 2}', form=OPTIONAL, edits=[Edit("plan", "a")]) == {}
    assert judge(D.EDIT) == {"edits": "must hold an edit: EDIT changes something"}
    for text in ("", "{}", " {} "):
        assert judge(D.EDIT, text, form=OPTIONAL) == {
            "edits": "must hold an edit or values: EDIT changes something"
        }


@pytest.mark.parametrize(
    ("edits", "field", "words"),
    [
        ([Edit("diff", "a")], "edits[0].content_id", "must not be edited"),
        ([Edit("other", "a")], "edits[0].content_id", "not a content of this prompt"),
        ([Edit("plan", "a"), Edit("plan", "b")], "edits[1].content_id", "earlier edit"),
        ([Edit("plan", "a\0")], "edits[0].text", "NUL"),
        ([Edit("plan", "\ud800")], "edits[0].text", "surrogate"),
        ([Edit("plan", "é" * 262_145)], "edits[0].text", "524290 bytes"),
    ],
)
def test_invalid_edits_are_refused(edits: list[Edit], field: str, words: str) -> None:
    found = judge(D.EDIT, edits=edits)
    assert list(found) == [field]
    assert words in found[field]


@pytest.mark.parametrize("decision", [decision for decision in D if decision is not D.EDIT])
def test_edits_are_refused_with_any_decision_but_edit(decision: Decision) -> None:
    found = judge(decision, edits=[Edit("plan", "a")], comment="why")
    assert found == {"edits": f"must be empty with {decision}; only EDIT takes edits"}


def test_a_comment_is_required_for_revise_and_bounded_in_size() -> None:
    for blank in ("", " \n"):
        assert judge(D.REVISE, comment=blank) == {"comment": "is required with REVISE"}
    assert judge(D.REVISE, comment="shorter") == {}
    assert judge(D.ACCEPT, comment="thanks") == {}
    assert "at most 16384" in judge(D.ACCEPT, comment="x" * 16_385)["comment"]
    assert "NUL" in judge(D.ACCEPT, comment="a\0")["comment"]


def test_all_violations_of_an_answer_are_reported_at_once() -> None:
    found: dict[str, Any] = judge(D.EDIT, '{"n": "x"}', form=FORM, edits=[Edit("diff", "a")], comment="\0")
    assert set(found) == {"comment", "edits[0].content_id", "values_json/n"}
    assert len(judge(D.EDIT, edits=[Edit(str(i), "") for i in range(100)])) == 20
