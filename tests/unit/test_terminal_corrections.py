"""A question that asks again shows at its fields why the answer before was not accepted."""

import io
import json
from typing import Any

from askback._model.enums import AnswerStatus
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback._text.text import one_line
from askback.terminal.prompt_text import write_prompt
from askback.terminal.wizard import Draft, ask_for_answer
from askback.terminal.words import now
from askback.terminal.writer import PlainWriter
from askback.v1 import prompt_pb2 as pb
from tests.support.dialogue import ACCEPT, RESPOND, ScriptedDialogue, asking, prompt, question

PRICE = {"type": "number", "title": "Price"}
ROW = {"type": "object", "title": "Row", "properties": {"price": PRICE}, "required": ["price"]}
SCHEMA = {
    "type": "object",
    "properties": {
        "start": {"type": "string", "title": "Start"},
        "where": {
            "type": "object",
            "title": "Place",
            "properties": {"a/b": {"type": "string", "title": "City"}},
        },
        "rows": {"type": "array", "title": "Rows", "items": ROW},
        "more": {"type": "string", "title": "More"},
    },
    "required": ["start"],
    "if": {"properties": {"start": {"const": "x"}}},
    "then": {"properties": {"late": {"type": "string", "title": "Why so late"}}},
}
FAULTS = {
    "values_json/start": "is in the past",
    "values_json/where/a~1b": "is no city",
    "values_json/rows/1/price": "whole euros only",
    "values_json": "end is before start",
    "values_json/late": "is no reason",
    "edits/mail": "is too long",
}


def again(asked: PromptInfo, faults: dict[str, str]) -> PromptInfo:
    """The prompt as a correction of the prompt `k`."""
    asked.proto.content.correction.key = "k"
    for field, text in faults.items():
        asked.proto.content.correction.violations.add(field=field, description=text)
    return asked


def shown(asked: PromptInfo, **options: Any) -> str:
    out = io.StringIO()
    write_prompt(PlainWriter(out), asked, now(), **options)
    return out.getvalue()


def schema_prompt() -> PromptInfo:
    return again(prompt(schema_json=json.dumps(SCHEMA), decisions=((RESPOND, "Answer"),)), FAULTS)


def test_a_prompt_lists_each_fault_below_its_field() -> None:
    text = shown(schema_prompt())
    lines = [line.strip() for line in text.splitlines()]
    for field, fault in (
        ("- start *  Start", "! is in the past"),
        ("- where.a/b  City", "! is no city"),
        ("- late  Why so late", "! is no reason"),
    ):
        at = next(n for n, line in enumerate(lines) if line.startswith(field))
        assert lines[at + 1] == fault, text
    at = next(n for n, line in enumerate(lines) if line.startswith("- rows"))
    assert "! 2, price: whole euros only" in lines[at : at + 3]
    head = text[: text.index("To fill in")]
    assert "the answer to k was not accepted" in head
    assert "! end is before start" in head
    assert "! edits/mail: is too long" in head


def test_before_a_dialogue_the_faults_are_listed_by_title() -> None:
    text = shown(schema_prompt(), asking=True)
    for line in (
        "! Start: is in the past",
        "! Place: City: is no city",
        "! Rows: 2, price: whole euros only",
        "! Why so late: is no reason",
        "! end is before start",
    ):
        assert f"  {line}\n" in text, text


async def test_the_dialogue_shows_a_fault_where_its_field_is_asked() -> None:
    """Also at a field that only the given values show, and at a question of the contract."""

    async def ask(asked: PromptInfo, *lines: str) -> str:
        said = ScriptedDialogue(*lines)

        async def send(draft: Draft) -> AnswerOutcome:
            return AnswerOutcome(AnswerStatus.ACCEPTED, "a", asked, False)

        await ask_for_answer(asked, said, send)
        return said.text

    text = await ask(schema_prompt(), "", "x", "n", "", "", "too busy", "y")
    for title, fault in (("Start", "is in the past"), ("Why so late", "is no reason")):
        at = text.index(f" {title}")
        assert f"! {fault}" in text[at:].split("\n> ", 1)[0], text
    why = question("why", text=pb.TextInput())
    text = await ask(
        again(asking(why, decisions=((RESPOND, "Answer"),)), {"values_json/why": "no"}), "", "a", "y"
    )
    assert "Title of why\n     ! no\n" in text, text


def test_faults_cannot_imitate_the_program() -> None:
    fault = "\x1b[2J\nDecide: yes\u202e"
    asked = again(prompt(decisions=((ACCEPT, "Yes"),)), {"values_json/q": fault, "x\n!": fault})
    text = shown(asked)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not [line for line in text.splitlines() if line.startswith("Decide")]
    assert one_line(fault)[:3] in text


def test_without_a_form_the_field_is_named_as_people_know_it() -> None:
    asked = again(prompt(decisions=((ACCEPT, "Approve"),)), {"values_json/start": "is in the past"})
    text = shown(asked)
    assert "start: is in the past" in text
    assert "values_json" not in text
