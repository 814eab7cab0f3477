"""Fields of a form that depend on other answers, in the terminals."""

import json
import sys
from decimal import Decimal
from typing import Any

import pytest

from askback._model.enums import AnswerStatus
from askback._model.json_text import loads, loads_spelled
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.errors import AnswerInvalid, Violation
from askback.terminal.assignments import parse_assignments
from askback.terminal.conditions import Judge
from askback.terminal.draft import Draft, SavedInput
from askback.terminal.fields import Group, is_object
from askback.terminal.form_filler import FormFiller
from askback.terminal.prompt_form import form_of
from askback.terminal.prompt_text import write_prompt
from askback.terminal.schema_entries import schema_entry
from askback.terminal.wizard import ask_for_answer
from askback.terminal.words import now
from tests.forms import SHAPES, prompt_with
from tests.support.dialogue import ScriptedDialogue, drafts_of, prompt

CONDITIONAL = prompt_with(next(shape for shape in SHAPES if shape["name"] == "conditional"))
DISAPPEARS = prompt_with(next(shape for shape in SHAPES if shape["name"] == "conditional_disappears"))


def asking_for(properties: dict[str, Any], **keywords: Any) -> PromptInfo:
    """A prompt with an object as its form."""
    return prompt(schema_json=json.dumps({"type": "object", "properties": properties, **keywords}))


def given(name: str, **part: Any) -> dict[str, Any]:
    """The schema of objects that have this property."""
    return {"properties": {name: part}, "required": [name]}


def shown(asked: PromptInfo, values: Any) -> list[tuple[str, bool]]:
    """The fields that values show, and whether each is required."""
    form = form_of(asked)
    assert is_object(form)
    return [(entry.key, entry.required) for entry in form.fields_for(values)]


async def fill_in(asked: PromptInfo, *lines: str) -> tuple[Any, str]:
    """Fill in a form. Returns the values and the text that was shown."""
    said = ScriptedDialogue(*lines)
    values = await FormFiller(form_of(asked), said, SavedInput()).ask_all()
    assert said.unused_lines == []
    return values, said.text


async def refused_once(
    asked: PromptInfo, faults: dict[str, str], *lines: str, saved: SavedInput | None = None
) -> tuple[list[Draft], str]:
    """The drafts of a dialogue whose first answer is refused, and the text that was shown."""
    sent: list[Draft] = []

    async def send(draft: Draft) -> AnswerOutcome:
        sent.append(draft)
        if len(sent) == 1:
            raise AnswerInvalid("refused", violations=[Violation(*fault) for fault in faults.items()])
        return AnswerOutcome(AnswerStatus.ACCEPTED, "a", asked, False)

    said = ScriptedDialogue(*lines)
    await ask_for_answer(asked, said, send, saved=saved)
    assert said.unused_lines == []
    return sent, said.text


async def test_a_hidden_value_is_kept_and_offered_again() -> None:
    saved = SavedInput()
    said = ScriptedDialogue(
        "", "damaged", "", "https://a.example", "n", "other", "", "broken", "n", "damaged", "", "", "y"
    )
    (draft,) = await drafts_of(CONDITIONAL, said, saved=saved)
    assert draft.values == {"reason": "damaged", "photo": "https://a.example"}
    assert "[Enter: https://a.example, - for none]>" in said.text
    assert saved.values == {"reason": "damaged", "photo": "https://a.example", "note": "broken"}
    before_last = said.text.split("Send it?")[1]
    assert "What else?: broken" in before_last
    assert "Photo:" not in before_last


async def test_a_refused_conditional_field_is_asked_again() -> None:
    lines = ("", "other", "", "abc", "y", "more words")
    sent, text = await refused_once(CONDITIONAL, {"values_json/note": "is too short"}, *lines)
    assert [draft.values for draft in sent] == [
        {"reason": "other", "note": "abc"},
        {"reason": "other", "note": "more words"},
    ]
    assert text.count("Amount") == 1


async def test_a_corrected_field_asks_for_what_it_shows() -> None:
    """The refused note is hidden by then, so it is not asked again."""
    faults = {"values_json/reason": "is closed", "values_json/note": "is wrong"}
    lines = ("", "other", "", "abc", "y", "damaged", "https://a.example")
    sent, _ = await refused_once(CONDITIONAL, faults, *lines)
    assert sent[-1].values == {"reason": "damaged", "photo": "https://a.example"}


async def test_a_refused_field_that_a_correction_hides_is_not_asked_again() -> None:
    """In an object within the form: its other fields are not asked again either."""
    nested = prompt_with(next(shape for shape in SHAPES if shape["name"] == "conditional_nested"))
    faults = {"values_json/delivery/speed": "is closed", "values_json/delivery/phone": "is wrong"}
    lines = ("", "express", "030", "", "", "y", "normal")
    sent, _ = await refused_once(nested, faults, *lines)
    assert sent[-1].values == {"delivery": {"speed": "normal"}}


async def test_a_refused_object_is_asked_again_once() -> None:
    """With what its new values show."""
    nested = prompt_with(next(shape for shape in SHAPES if shape["name"] == "conditional_nested"))
    lines = ("", "normal", "", "y", "express", "030", "")
    sent, _ = await refused_once(nested, {"values_json/delivery": "is closed"}, *lines)
    assert sent[-1].values == {"delivery": {"speed": "express", "phone": "030"}}


def test_all_that_was_typed_is_written_when_a_prompt_has_ended() -> None:
    said = ScriptedDialogue()
    SavedInput({"values": {"reason": "other", "photo": "https://a.example", "note": "wet"}}).write(
        said.writer, CONDITIONAL
    )
    assert said.text == "  Reason: other\n  What else?: wet\n  Photo: https://a.example\n"


async def test_a_refused_field_is_found_below_a_union_in_a_list() -> None:
    cup = {
        "type": "object",
        "title": "Cup",
        "properties": {"kind": {"const": "cup"}, "broken": {"type": "boolean", "title": "Broken?"}},
        "required": ["kind", "broken"],
        "if": given("broken", const=True),
        "then": {"properties": {"how": {"type": "string", "title": "How?"}}},
    }
    plate = {"type": "object", "title": "Plate", "properties": {"kind": {"const": "plate"}}}
    lines = {"type": "array", "title": "Lines", "items": {"oneOf": [cup, plate]}}
    typed = ("", "add", "Cup", "y", "", "", "y", "handle off")
    sent, _ = await refused_once(
        asking_for({"lines": lines}), {"values_json/lines/0/how": "is required"}, *typed
    )
    assert sent[-1].values == {"lines": [{"kind": "cup", "broken": True, "how": "handle off"}]}


async def test_a_condition_narrows_no_field_before_its_own_fields_were_asked() -> None:
    """The condition holds as long as there is no size."""
    asked = asking_for(
        {
            "amount": {"type": "integer", "title": "Amount", "maximum": 1_000},
            "size": {"enum": ["small", "big"], "title": "Size"},
        },
        **{
            "if": {"properties": {"size": {"const": "small"}}},
            "then": {"properties": {"amount": {"maximum": 10}}},
        },
    )
    values, _ = await fill_in(asked, "500", "big")
    assert values == {"amount": 500, "size": "big"}
    values, text = await fill_in(asked, "500", "small", "50", "5")
    assert values == {"amount": 5, "size": "small"}
    assert "! must be a whole number" not in text
    assert "must be at most 10" in text


async def test_a_field_that_a_condition_hides_is_not_asked() -> None:
    hide = {"if": given("kind", const="a"), "then": {"properties": {"more": False}}}
    asked = asking_for({"kind": {"enum": ["a", "b"]}, "more": {"type": "string"}}, **hide)
    assert await fill_in(asked, "a") == (
        {"kind": "a"},
        "1/2 kind\n       1) a\n       2) b\n     [Enter: none]> a\n",
    )
    assert (await fill_in(asked, "b", "x"))[0] == {"kind": "b", "more": "x"}


def test_values_of_hidden_fields_show_nothing() -> None:
    """The value of `a` counts only while `kind` shows it."""
    chain = [
        {"if": given("kind", const="x"), "then": {"properties": {"a": {"type": "string"}}}},
        {"if": {"required": ["a"]}, "then": given("b", type="string")},
    ]
    asked = asking_for({"kind": {"enum": ["x", "y"]}}, allOf=chain)
    assert shown(asked, {"kind": "y", "a": "1", "b": "2"}) == [("kind", False)]
    assert shown(asked, {"kind": "x", "a": "1"}) == [("kind", False), ("a", False), ("b", True)]


def test_a_later_answer_hides_a_field() -> None:
    assert shown(DISAPPEARS, {"kind": "letter", "handover": "shop"}) == [("kind", True)]
    assert shown(DISAPPEARS, {"kind": "parcel", "handover": "shop"}) == [("kind", True), ("handover", True)]
    assert shown(DISAPPEARS, {"kind": "parcel", "handover": "door"}) == [
        ("kind", True),
        ("weight", False),
        ("handover", True),
    ]


async def test_a_chain_of_conditions_is_asked_to_its_end() -> None:
    """Each field shows the next one."""
    chain = [
        {"if": given(f"f{n}", const=True), "then": {"properties": {f"f{n + 1}": {"type": "boolean"}}}}
        for n in range(30)
    ]
    values, _ = await fill_in(asking_for({"f0": {"type": "boolean"}}, allOf=chain), *["y"] * 31)
    assert values == {f"f{n}": True for n in range(31)}


def test_conditions_that_never_settle_come_to_an_end() -> None:
    flips = {
        "if": {"required": ["b"]},
        "then": {"properties": {"b": False}},
        "else": given("b", type="string"),
    }
    assert shown(asking_for({"a": {"type": "string"}}, **flips), {"b": "x"})[0] == ("a", False)


NUMBERS = [
    ({"minimum": 9007199254740993}, "9007199254740992", False),
    ({"minimum": 9007199254740993}, "9007199254740993", True),
    ({"exclusiveMinimum": 0.3}, "0.30000000000000000001", True),
    ({"exclusiveMinimum": 0.3}, "0.3", False),
    ({"const": 12.5}, "12.50", True),
    ({"multipleOf": 0.1}, "0.30", True),
    ({"type": "integer"}, "3.0", True),
    ({"maximum": Decimal("0.12345678901234567890")}, "0.12345678901234567891", False),
    ({"const": 2**70}, f"{2**70}", True),
]


@pytest.mark.parametrize(("part", "typed", "holds"), NUMBERS)
def test_numbers_are_judged_with_all_digits(part: Any, typed: str, holds: bool) -> None:
    judge = Judge.of({})
    assert judge is not None
    test = given("n", **part)
    assert judge.holds(test, {"n": loads_spelled(typed)}) is holds
    assert judge.holds(test, {"n": loads(typed)}) is holds
    nested = {"properties": {"list": {"items": test}}}
    assert judge.holds(nested, {"list": [{"n": loads_spelled(typed)}]}) is holds


@pytest.mark.parametrize(
    "dialect", [{}, {"$schema": "http://json-schema.org/draft-07/schema#"}, {"$id": "https://a/b"}]
)
def test_a_condition_may_refer_to_any_part_of_the_schema(dialect: dict[str, str]) -> None:
    judge = Judge.of({**dialect, "$defs": {"X": {"const": "a"}}, "properties": {"p": {"enum": ["q"]}}})
    assert judge is not None
    test = {"properties": {"k": {"$ref": "#/$defs/X"}, "p": {"$ref": "#/properties/p"}}, "required": ["k"]}
    assert judge.holds(test, {"k": "a", "p": "q"})
    assert not judge.holds(test, {"k": "b"})
    assert not judge.holds(test, {"k": "a", "p": "z"})


def test_a_condition_is_judged_as_in_the_service() -> None:
    """With formats, which the service asserts; what cannot be judged is left to it."""
    judge = Judge.of({})
    assert judge is not None
    assert not judge.holds(given("at", format="date"), {"at": "tomorrow"})
    assert judge.holds(given("at", format="date"), {"at": "2026-12-01"})
    assert judge.holds({"$ref": "#/nowhere"}, {})
    assert judge.holds({"type": 5}, {})
    assert judge.holds(True, {})
    assert not judge.holds(False, {})
    assert not judge.holds(given("at", const="x"), {"at": "\ud800"})


TYPED = asking_for(
    {"kind": {"enum": ["text", "count"]}},
    **{
        "if": given("kind", const="text"),
        "then": given("value", type="string", title="Value"),
        "else": given("value", type="integer", title="Value"),
    },
)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["kind=text", "value=12"], {"kind": "text", "value": "12"}),
        (["value=12", "kind=count"], {"kind": "count", "value": 12}),
        (["value=x", "kind=text"], {"kind": "text", "value": "x"}),
        (["value:=3", "kind=text"], {"kind": "text", "value": 3}),
    ],
)
def test_an_assignment_is_read_as_the_type_that_the_other_values_give(words: list[str], values: Any) -> None:
    assert parse_assignments(TYPED, words) == values


def test_assignments_reach_conditional_fields() -> None:
    assert parse_assignments(CONDITIONAL, ["reason=other", "note=wet"]) == {"reason": "other", "note": "wet"}
    given_before = {"kind": "text"}
    assert parse_assignments(TYPED, ["value=12"], given_before) == {"kind": "text", "value": "12"}
    nested = prompt_with(next(shape for shape in SHAPES if shape["name"] == "conditional_nested"))
    words = ["delivery.speed=express", "delivery.phone=030", "delivery.call=y", "delivery.hour=9"]
    assert parse_assignments(nested, words) == {
        "delivery": {"speed": "express", "phone": "030", "call": True, "hour": 9}
    }
    with pytest.raises(ValueError, match="no field 'x'; its fields: reason, amount, note, photo"):
        parse_assignments(CONDITIONAL, ["x=1"])
    with pytest.raises(ValueError, match="value: must be a whole number"):
        parse_assignments(TYPED, ["kind=count", "value=x"])


@pytest.mark.parametrize("asking", [True, False])
def test_the_list_of_fields_says_which_are_conditional(asking: bool) -> None:
    said = ScriptedDialogue()
    write_prompt(said.writer, CONDITIONAL, now(), asking=asking)
    listed = " ".join(said.text.split())
    if asking:
        assert "Reason, Amount, What else? (only for some answers), Photo (only for some answers)" in listed
    else:
        assert "- note What else? [at least 3 characters; only for some answers]" in listed
        assert "- amount Amount [a number] " in listed


async def test_without_the_library_every_field_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without the extra `tui`: the service judges the answer."""
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    values, text = await fill_in(CONDITIONAL, "other", "", "broken", "")
    assert values == {"reason": "other", "note": "broken"}
    assert text.count("only for some answers") == 2
    assert parse_assignments(TYPED, ["kind=count", "value=12"]) == {"kind": "count", "value": 12}


def test_a_union_of_rules_is_no_union_of_fields() -> None:
    """As in the page: the branches ask for no values of their own."""
    rules = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    form = schema_entry(
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, **rules}
    )
    assert isinstance(form, Group)
    assert [entry.key for entry in form.fields] == ["a", "b"]
