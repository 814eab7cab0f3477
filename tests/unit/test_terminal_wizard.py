"""The wizard for a form: what it asks, sends and asks again."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from askback._model.enums import AnswerStatus, DecisionKind
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.errors import AnswerInvalid, Violation
from askback.terminal.wizard import Draft, NotAnswered, ask_for_answer
from askback.v1 import prompt_pb2 as pb
from tests.support.dialogue import (
    ACCEPT,
    EDIT,
    REJECT,
    RESPOND,
    REVISE,
    ScriptedDialogue,
    asking,
    prompt,
    question,
)

BOTH = ((RESPOND, "Answer"), (REJECT, "No"))
N = question("n", required=True, integer=pb.IntegerInput(minimum=1, maximum=9))
WHY = question("why", text=pb.TextInput(default_value="as ever"))


async def run(
    asked: PromptInfo, said: ScriptedDialogue, *refusals: dict[str, str], **options: Any
) -> list[Draft]:
    """The drafts that are sent. The first ones are refused with these violations."""
    sent: list[Draft] = []

    async def send(draft: Draft) -> AnswerOutcome:
        sent.append(draft)
        if len(sent) <= len(refusals):
            faults = [Violation(field, text) for field, text in refusals[len(sent) - 1].items()]
            raise AnswerInvalid("refused", violations=faults)
        return AnswerOutcome(AnswerStatus.ACCEPTED, "a", asked, False)

    outcome = await ask_for_answer(asked, said, send, **options)
    assert isinstance(outcome, NotAnswered) == (len(sent) <= len(refusals))
    assert said.unused_lines == []
    return sent


async def test_the_wizard_asks_a_form_field_by_field() -> None:
    said = ScriptedDialogue("c because", "", "0", "x", "", "3", "", "y")
    (draft,) = await run(asking(N, WHY, decisions=BOTH), said)
    assert draft.decision is DecisionKind.RESPOND
    assert draft.values == {"n": 3, "why": "as ever"}
    assert draft.comment == "because"
    assert "1/2 Title of n (required)\n     a whole number; at least 1 and at most 9\n" in said.text
    assert "! must be at least 1 and at most 9" in said.text
    assert "! must be given" in said.text
    assert "[Enter: as ever, - for none]" in said.text


@pytest.mark.parametrize(
    ("asked", "lines", "values"),
    [
        (question(boolean=pb.BooleanInput(default_value=False)), ["", "y"], {"q": False}),
        (question(boolean=pb.BooleanInput()), ["", "y"], {}),
        (question(text=pb.TextInput(default_value="x")), ["-", "y"], {}),
        (question(text=pb.TextInput()), ['""', "y"], {"q": ""}),
        (question(text=pb.TextInput(multiline=True)), ["a", "", "b", ".", "y"], {"q": "a\n\nb\n"}),
        (question(multi=pb.MultiInput(options=[pb.Option(value="a")])), ["1", "y"], {"q": ["a"]}),
        (question(number=pb.NumberInput(default_value=0)), ["", "y"], {"q": 0.0}),
        (question(date=pb.DateInput()), ["2024-02-29", "y"], {"q": "2024-02-29"}),
    ],
)
async def test_enter_takes_the_default_or_leaves_a_field_out(
    asked: pb.Question, lines: list[str], values: Any
) -> None:
    (draft,) = await run(asking(asked), ScriptedDialogue("", *lines))
    assert draft.values == values


async def test_a_choice_shows_its_options() -> None:
    options = [
        pb.Option(value="a", title="First", description="cheap", recommended=True),
        pb.Option(value="b"),
    ]
    asked = question(single=pb.SingleInput(options=options, allow_other=True), rationale="we bill it")
    asked.help = "More\nabout it"
    said = ScriptedDialogue("", "first", "y")
    (draft,) = await run(asking(asked), said)
    assert draft.values == {"q": "a"}
    for line in (
        "1) First (recommended): cheap",
        "2) b",
        "or any other text",
        "Why: we bill it",
        "     | about it",
    ):
        assert line in said.text


async def test_repeating_keeps_typed_values_and_quitting_sends_nothing() -> None:
    (draft,) = await run(asking(N, WHY), ScriptedDialogue("", "3", "x", "n", "", "", "y"))
    assert draft.values == {"n": 3, "why": "x"}  # and the decision is not asked again
    assert await run(asking(N, WHY), ScriptedDialogue("", "3", "x", "q")) == []
    for word in ("s", "skip", "q", "quit"):
        assert await run(asking(N), ScriptedDialogue(word)) == []


async def test_enter_chooses_no_decision() -> None:
    (draft,) = await run(
        prompt(decisions=((ACCEPT, "Yes"), (REJECT, "No"))), ScriptedDialogue("", "", "r", "")
    )
    assert draft == Draft(DecisionKind.REJECT)
    (draft,) = await run(prompt(decisions=((ACCEPT, "Yes"),)), ScriptedDialogue("", "a", "", "a", "y"))
    assert draft == Draft(DecisionKind.ACCEPT)


async def test_a_rejection_asks_for_no_values() -> None:
    (draft,) = await run(asking(N, decisions=BOTH), ScriptedDialogue("No", "too dear"))
    assert (draft.decision, draft.values, draft.comment) == (DecisionKind.REJECT, None, "too dear")


async def test_only_refused_fields_are_asked_again() -> None:
    said = ScriptedDialogue("", "3", "x", "c", "hm", "y", "4")
    first, second = await run(asking(N, WHY), said, {"values_json/n": "must be even"})
    assert (first.values, second.values) == ({"n": 3, "why": "x"}, {"n": 4, "why": "x"})
    assert second.comment == "hm"
    _, _, after = said.text.partition("! n: must be even")
    assert "Title of n (required)" in after
    assert "Enter: 3" not in after  # offered again, it would be refused again


async def test_a_required_comment_is_asked_until_given() -> None:
    asked = prompt()
    asked.proto.content.decisions.add(decision=pb.DECISION_REVISE, label="Again", comment_required=True)
    (draft,) = await run(asked, ScriptedDialogue("Again", "", " ", "shorter"))
    assert draft == Draft(DecisionKind(DecisionKind.REVISE), comment="shorter")
    _, mended = await run(prompt(), ScriptedDialogue("", "y", "", "so"), {"comment": "is required"})
    assert mended.comment == "so"


@pytest.mark.parametrize("field", ["decision", "values_json", "values_json/unknown", "something/new"])
async def test_a_refusal_without_a_known_field_asks_the_whole_form_again(field: str) -> None:
    said = ScriptedDialogue("", "3", "x", "y", "", "5", "", "y")
    _, second = await run(asking(N, WHY), said, {field: "no"})
    assert second.values == {"n": 5, "why": "x"}


async def test_violations_find_fields_with_odd_names_and_nested_paths() -> None:
    schema = {"type": "object", "properties": {"a/b~c": {"type": "array", "items": {"type": "string"}}}}
    asked = prompt(schema_json=json.dumps(schema))
    _, second = await run(
        asked, ScriptedDialogue("", "x, y", "y", "z", ""), {"values_json/a~1b~0c/1": "too long"}
    )
    assert second.values == {"a/b~c": ["z"]}


async def test_an_optional_group_is_asked_whole_or_left_out() -> None:
    inner = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    properties = {"to": {**inner, "title": "Address"}, "n": {"type": "integer"}}
    asked = prompt(schema_json=json.dumps({"type": "object", "properties": properties}))
    (without,) = await run(asked, ScriptedDialogue("", "", "3", "y"))
    assert without.values == {"n": 3}
    (within,) = await run(asked, ScriptedDialogue("", "y", "", "Bonn", "", "y"))
    assert within.values == {"to": {"city": "Bonn"}}
    _, mended = await run(asked, ScriptedDialogue("", "y", "Bonn", "", "y", "Ulm"), {"values_json/to": "no"})
    assert mended.values == {"to": {"city": "Ulm"}}


async def test_a_required_nullable_field_sends_null() -> None:
    part = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    asked = prompt(schema_json=json.dumps({"type": "object", "properties": {"f": part}, "required": ["f"]}))
    (draft,) = await run(asked, ScriptedDialogue("", "", "y"))
    assert draft.values == {"f": None}


async def test_edits_replace_only_what_changed() -> None:
    contents = [
        pb.PromptPart(content_id="a", title="A", text="old", editable=True),
        pb.PromptPart(content_id="b", text="same", editable=True),
        pb.PromptPart(content_id="c", text="fixed"),
    ]
    asked = prompt(kind="preview", contents=contents, decisions=((EDIT, "Change"), (REVISE, "Again")))
    said = ScriptedDialogue("e", "y", "y", "y", texts=["new\n", "same"])
    (draft,) = await run(asked, said)
    assert draft.edits == {"a": "new\n"}
    assert "unchanged" in said.text
    assert "A: +1 -1 lines" in said.text
    assert "    -old\n    +new\n" in said.text
    assert (
        await run(asked, ScriptedDialogue("e", "n", "n", "q")) == []
    )  # nothing was changed, so nothing is approved
    _, again = await run(
        asked, ScriptedDialogue("e", "y", "n", "y", "e", "n", texts=["z", "x"]), {"edits": "must be shorter"}
    )
    assert again.edits == {"a": "x"}


async def test_changing_an_edit_again_does_not_ask_the_decision_again() -> None:
    """A single text is edited at once. `n` returns to the editor with the typed text."""
    contents = [pb.PromptPart(content_id="a", title="notes", text="one\ntwo\n", editable=True)]
    asked = prompt(kind="preview", contents=contents, decisions=((EDIT, "Change"),))
    said = ScriptedDialogue("e", "n", "e", "y", texts=["one\n2\n", "one\n3\n4\n"])
    (draft,) = await run(asked, said)
    assert draft.edits == {"a": "one\n3\n4\n"}
    assert said.text.count("Decide: ") == 1
    assert "notes: +1 -1 lines" in said.text
    assert "notes: +2 -1 lines" in said.text


async def test_given_decision_and_comment_are_not_asked() -> None:
    options = {"decision": DecisionKind.ACCEPT, "comment": "ok"}
    (draft,) = await run(prompt(decisions=((ACCEPT, "Yes"),)), ScriptedDialogue("y"), **options)
    assert draft == Draft(DecisionKind.ACCEPT, comment="ok")


@pytest.mark.parametrize("lines", [[], [""], ["", "3"], ["", "3", "x"]])
async def test_the_end_of_the_input_sends_nothing(lines: list[str]) -> None:
    sent: list[Draft] = []
    send: Callable[..., Any] = sent.append
    with pytest.raises(EOFError):
        await ask_for_answer(asking(N, WHY), ScriptedDialogue(*lines), send)
    assert not sent
