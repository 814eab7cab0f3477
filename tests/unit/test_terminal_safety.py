"""What a terminal may show and take: nothing hidden, nothing unseen approved, no key that was not meant."""

import asyncio
import io
import json
import os
import pty
import select
import signal
import tty
from contextlib import suppress
from typing import Any

import pytest
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from askback._model.enums import AnswerStatus, DecisionKind
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback._text.table import Column, lines
from askback._text.text import clean, clean_json, columns, one_line, visible
from askback.errors import PromptClaimed
from askback.terminal.assignments import parse_assignments
from askback.terminal.draft import Draft, SavedInput
from askback.terminal.fields import Field, entries
from askback.terminal.keyboard import Keyboard, _Keys, burst, normalise_paste
from askback.terminal.prompt_text import LONG, MOST_CHOICES, write_prompt
from askback.terminal.short_questions import NO_UNLESS_YES, YES_OR_NO, pick
from askback.terminal.value_parser import fits, read
from askback.terminal.wizard import settle
from askback.terminal.words import now
from askback.terminal.writer import PlainWriter, RichWriter
from askback.v1 import prompt_pb2 as pb
from tests.support.dialogue import ACCEPT, EDIT, REJECT, RESPOND, Said, asking, prompt, question

HIDDEN = [
    "\U000e0100", "\U0001d173", "\U0001bca0", "\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u180e",
    "\u034f", "\ufe0f", "\u17b4", "\u200d", "\u200c", "\U000e0041", "\u200b", "\u202e", "\x1b", "\u0600",
    "\ufffc", "\ue000", "\ufdd0", "\u2062", "\u2066", "\ufeff", "\u00ad", "\u180b", "\x7f", "\x9b", "\u2028",
    "\u061c", "\U0010ffff", "\U000f0000", "\r", "\x00", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("letter", HIDDEN, ids=ascii)
def test_what_is_not_seen_is_written_out(letter: str) -> None:
    """In a text, in a line, alone, doubled, and in JSON, where the value stays the same."""
    for text in (f"Pay{letter} 1", letter, letter * 3, f"{letter}x", f"x{letter}"):
        for found in (clean(text), one_line(text), visible(text)):
            assert letter not in found
            assert f"<U+{ord(letter):04X}>" in found
        escaped = clean_json(json.dumps(text, ensure_ascii=False))
        assert letter not in escaped
        assert json.loads(escaped) == json.loads(json.dumps(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Pay?" + " " * 300 + "all", "Pay?<300 spaces>all"),
        ("Pay" + "\u00a0" * 60 + "1", "Pay<60 spaces>1"),
        ("a\u2003 \u3000\u2009\u00a0b", "a<5 spaces>b"),
        ("a" + "\t" * 9 + "b", "a<9 spaces>b"),
        (" " * 200 + "b", "<200 spaces>b"),
        ("a" + " " * 99, "a<99 spaces>"),
        ("one" + "\n" * 300 + "rm -rf /", "one\n<299 empty lines>\nrm -rf /"),
        ("one\n" + " \u2003\n" * 9 + "two", "one\n<9 empty lines>\ntwo"),
        ("e" + "\u0301" * 30, "e<30 marks, U+0301 the first>"),
        ("p\u0430ypal.com", "p<U+0430>ypal.com"),
    ],
    ids=ascii,
)
def test_padding_is_counted(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d💻 ❤\ufe0f 1\ufe0f\u20e3", "می\u200cخواهم", "क्\u200dष", "naïve e\u0301", "слово word",
        "def f():\n    return 1\n\n\n    # x", "\U0001fae8", "a\t\tb", "日本語 字", "[x] <y> `z`",
    ],
)  # fmt: skip
def test_honest_text_stays(text: str) -> None:
    assert clean(text) == text


def test_columns_are_those_of_the_terminal() -> None:
    """Wide letters take two: nothing slides into the next column, and a cut is where it should be."""
    assert columns("日本e\u0301") == 5
    assert one_line("日本語日本語", 7) == "日本語…"
    table = [Column("NAME", ["日本", "a"], kept=True), Column("T", ["x", "y"], kept=True)]
    first, second, third = lines(table)
    assert columns(first[: first.index("T")]) == columns(second[: second.index("x")]) == third.index("y")


def test_markdown_that_hides_is_shown_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions, titles of links, what stands after a fence, cells that do not fit: all is there."""
    monkeypatch.setenv("TERM", "xterm")
    for hidden in (
        "fine\n\n[//]: # (rm -rf /)", "[a](http://x 'rm -rf /')", "```sh rm -rf /\nls\n```",
        "| a |\n|---|\n| b | rm -rf / |", "![](http://evil/rm-rf)", "|a|b|\n|-|-|\n|" + "x" * 300 + "|rm-rf|",
    ):  # fmt: skip
        out = io.StringIO()
        RichWriter(out).markdown(hidden)
        shown = "".join(out.getvalue().split())
        assert "rm-rf" in shown, hidden
    out = io.StringIO()
    RichWriter(out).markdown("# Title\n\n* **bold** [link](http://x)\n\n```python\nprint(1)\n```\n")
    assert "**" not in out.getvalue()  # rendered, as nothing is lost


def keys(data: str) -> list[KeyPress]:
    found: list[KeyPress] = []
    Vt100Parser(found.append).feed(data)
    return burst(found)


@pytest.mark.parametrize("data", ["y\ry\ry\r", "one\rtwo", "\r\r\r", "1\r\r", "a\n\nb\r", "yes\rplease do\r"])
def test_several_lines_at_once_are_a_paste(data: str) -> None:
    (key,) = keys(data)
    assert key.key == Keys.BracketedPaste
    assert normalise_paste(key.data) == data.replace("\r", "\n").rstrip("\n")


@pytest.mark.parametrize(("data", "submits"), [("y\r", 1), ("\r", 1), ("y\n", 1), ("y\r\n", 1), ("yyyy", 0)])
def test_one_line_is_typed(data: str, submits: int) -> None:
    assert sum(key.key in (Keys.ControlM, Keys.ControlJ) for key in keys(data)) == submits
    assert [key.key for key in keys("y\ry\x03")] == [Keys.ControlC]


def test_ctrl_c_counts_where_other_keys_are_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr("signal.raise_signal", raised.append)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with os.fdopen(theirs, closefd=True) as stdin:
        typed = _Keys(stdin)
        os.write(ours, b"yes")
        typed.forget()
        assert raised == []
        os.write(ours, b"y\x03")
        typed.forget()
        assert raised == [signal.SIGINT]
    os.close(ours)


def test_what_was_typed_ahead_is_thrown_away() -> None:
    """Of a real terminal: what the kernel holds is gone, and what comes after it is there."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, closefd=True) as stdin:
        typed = _Keys(stdin)
        os.write(ours, b"y\n")
        typed.forget()
        assert not select.select([theirs], [], [], 0)[0]
        os.write(ours, b"n\n")
        assert select.select([theirs], [], [], 10)[0]
    os.close(ours)


async def test_keys_typed_while_a_question_is_drawn_are_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than a key: what comes before the question is on the screen is no answer to it."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, closefd=True) as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", terminal)
        patch.setattr("sys.stdout", io.TextIOWrapper(os.fdopen(os.dup(theirs), "wb"), write_through=True))
        drawn = 0

        def left() -> str:
            nonlocal drawn
            drawn += 1
            if drawn == 1:
                os.write(ours, b"y\r")
                assert select.select([theirs], [], [], 10)[0]
            return ""

        asking = asyncio.create_task(Keyboard().ask("Approve? ", choice=True, left=left))
        shown = b""
        while b"Approve? " not in shown:
            await asyncio.sleep(0.01)
            if select.select([ours], [], [], 0)[0]:
                shown += os.read(ours, 4096)
        os.write(ours, b"n\r")
        assert await asyncio.wait_for(asking, 10) == "n"
    os.close(ours)


async def test_a_secret_is_not_shown_while_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, closefd=True) as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", terminal)
        patch.setattr("sys.stdout", io.TextIOWrapper(os.fdopen(os.dup(theirs), "wb"), write_through=True))
        keyboard = Keyboard()
        shown = b""
        for recall in (True, False):
            asking = asyncio.create_task(keyboard.ask("Token? ", secret=True, recall=recall))
            while not asking.done():
                await asyncio.sleep(0.01)
                if select.select([ours], [], [], 0)[0]:
                    shown += os.read(ours, 4096)
                    if b"Token? " in shown and b"*****" not in shown.rpartition(b"Token? ")[2]:
                        os.write(ours, b"swordfish\r")
            assert asking.result() == "swordfish"
        assert b"sword" not in shown
    os.close(ours)


@pytest.mark.parametrize("typed", ["x", "yy", "yes please", "Y E S", "ｙ", "y\ny", "1", "ja", "-", "ok"])
async def test_an_unknown_word_asks_again(typed: str) -> None:
    for answers in (YES_OR_NO, NO_UNLESS_YES):
        assert await pick(Said(typed, "Y"), "? ", answers)
    with pytest.raises(EOFError):
        await pick(Said(typed), "? ", NO_UNLESS_YES)


async def test_an_empty_line_is_never_a_yes() -> None:
    assert not await pick(Said("", "y"), "? ", NO_UNLESS_YES)
    assert not await pick(Said("", "n"), "? ", YES_OR_NO)


async def sent(asked: PromptInfo, said: Said, **options: Any) -> list[Draft]:
    """The drafts that a dialogue sends."""
    drafts: list[Draft] = []

    async def send(draft: Draft) -> AnswerOutcome:
        drafts.append(draft)
        return AnswerOutcome(AnswerStatus.ACCEPTED, "a", asked, False)

    await settle(asked, said, send, **options)
    return drafts


BOTH = ((ACCEPT, "Yes"), (EDIT, "Change"), (RESPOND, "Answer"), (REJECT, "No"))


@pytest.mark.parametrize("choice", ["a", "e", ""])
async def test_what_was_not_shown_is_asked_about(choice: str) -> None:
    unseen = ("script: 900 of 20900 characters",)
    contents = [pb.PromptPart(content_id="t", text="old", editable=True)]
    asked = prompt(decisions=BOTH, contents=contents)
    for reply in ("", "n"):
        said = Said(choice, reply, "q")
        assert await sent(asked, said, unseen=unseen) == []
        assert unseen[0] in said.text
    assert len(await sent(asked, Said(choice, "y", "y", texts=["new"]), unseen=unseen)) == 1
    assert len(await sent(asked, Said("r", "no"), unseen=unseen)) == 1  # a no needs none


def unseen_of(asked: PromptInfo, **options: bool) -> tuple[str, ...]:
    return write_prompt(PlainWriter(io.StringIO()), asked, now(), **options)


LONG_TEXT = "x\n" * LONG
OPTIONS = [pb.Option(value=f"v{n}") for n in range(MOST_CHOICES + 1)]


@pytest.mark.parametrize(
    "asked",
    [
        prompt(body=LONG_TEXT),
        prompt(
            contents=[pb.PromptPart(content_id="a", text="a"), pb.PromptPart(content_id="b", text=LONG_TEXT)]
        ),
        asking(question(single=pb.SingleInput(options=OPTIONS))),
    ],
    ids=["body", "second", "choices"],
)
def test_what_is_cut_is_unseen_until_all_is_shown(asked: PromptInfo) -> None:
    assert len(unseen_of(asked)) == 1
    assert unseen_of(asked, full=True) == ()


@pytest.mark.parametrize(
    "part",
    [
        pb.PromptPart(content_id="u", url="https://x/report"),
        pb.PromptPart(content_id="i", media_type="image/png", text="iVBORw0KGgo="),
        pb.PromptPart(content_id="p", media_type="application/pdf", text="%PDF"),
    ],
)
def test_what_no_terminal_shows_is_unseen(part: pb.PromptPart) -> None:
    assert len(unseen_of(prompt(contents=[part]), full=True)) == 1


async def test_a_long_default_is_shown_before_enter_takes_it() -> None:
    hidden = "y" * 70 + " and delete everything"
    said = Said("", "", "y")
    (draft,) = await sent(asking(question("q", text=pb.TextInput(default_value=hidden))), said)
    assert draft.values == {"q": hidden}
    assert said.text.count("and delete everything") == 2  # before it was taken, and before it was sent


TEXTS = asking(question("a", required=True, text=pb.TextInput()), question("b", text=pb.TextInput()))


async def test_what_was_typed_is_offered_again() -> None:
    """After the dialogue was broken off anywhere: in a form, and with a comment."""
    typed = SavedInput()
    with pytest.raises(EOFError):
        await sent(TEXTS, Said("c why", "", "first", "second"), saved=typed)
    said = Said("", "", "y")  # the decision to answer is kept too
    (draft,) = await sent(TEXTS, said, saved=typed)
    assert (draft.values, draft.comment) == ({"a": "first", "b": "second"}, "why")
    written = Said()
    typed.write(written.writer, TEXTS)
    assert "Title of a: first" in written.text


async def test_what_was_typed_is_not_offered_where_it_does_not_fit() -> None:
    typed = SavedInput({"values": {"a": "word"}})
    number = asking(question("a", required=True, integer=pb.IntegerInput()))
    (draft,) = await sent(number, Said("", "", "4", "y"), saved=typed)
    assert draft.values == {"a": 4}


async def test_an_answer_to_a_claimed_prompt_is_kept() -> None:
    drafts: list[Draft] = []

    async def send(draft: Draft) -> AnswerOutcome:
        drafts.append(draft)
        if len(drafts) == 1:
            raise PromptClaimed("taken", metadata={"claimed_by": "bob"})
        return AnswerOutcome(AnswerStatus.ACCEPTED, "a", TEXTS, False)

    said = Said("", "first", "", "y", "", "y")
    await settle(TEXTS, said, send)
    assert drafts[0] == drafts[1]
    assert said.text.count("Title of a: first") == 2
    drafts.clear()
    with pytest.raises(PromptClaimed):
        await settle(TEXTS, Said("", "first", "", "y", "n"), send)


CITIES = question(
    "city",
    multi=pb.MultiInput(
        options=[
            pb.Option(value="Berlin, Mitte"), pb.Option(value="Hamburg"),
            pb.Option(value="m", title="München, Süd"),
        ]
    ),
)  # fmt: skip
OTHER = question("city", multi=pb.MultiInput(options=CITIES.multi.options, allow_other=True))
MIXED = question("x", multi=pb.MultiInput(options=[pb.Option(value=v) for v in ("a", "b", "a, b", "c")]))


def multi(asked: pb.Question) -> Field:
    (found,) = entries(asking(asked))
    assert isinstance(found, Field)
    return found


@pytest.mark.parametrize(
    ("asked", "typed", "value"),
    [
        (CITIES, "Berlin, Mitte", ["Berlin, Mitte"]),
        (CITIES, "berlin,mitte", ["Berlin, Mitte"]),
        (CITIES, "München, Süd", ["m"]),
        (CITIES, "Hamburg,Berlin, Mitte", ["Hamburg", "Berlin, Mitte"]),
        (CITIES, "München, Süd, 2, Berlin, Mitte", ["m", "Hamburg", "Berlin, Mitte"]),
        (OTHER, "Köln; Süd, Nord", ["Köln; Süd, Nord"]),
        (OTHER, "1, Köln; Süd, Nord", ["Berlin, Mitte", "Köln; Süd, Nord"]),
        (OTHER, '["Köln", "Süd"]', ["Köln", "Süd"]),
        (MIXED, "a, b", ["a, b"]),
        (MIXED, "b, c", ["b", "c"]),
    ],
)
def test_a_choice_with_a_comma_is_one_choice(asked: pb.Question, typed: str, value: list[str]) -> None:
    assert read(multi(asked), typed) == value
    assert parse_assignments(asking(asked), [f"{asked.question_id}={typed}"]) == {asked.question_id: value}


@pytest.mark.parametrize(
    ("asked", "typed"), [(MIXED, "a, b, c"), (OTHER, "Köln, Hamburg"), (CITIES, "Berlin, Nord")]
)
def test_what_may_be_read_in_two_ways_is_refused(asked: pb.Question, typed: str) -> None:
    with pytest.raises(ValueError, match=r"JSON array|not offered"):
        read(multi(asked), typed)


def test_json_beside_words() -> None:
    assert parse_assignments(asking(CITIES), ['city:=["m", "Hamburg"]']) == {"city": ["m", "Hamburg"]}
    with pytest.raises(ValueError, match="city: is not JSON"):
        parse_assignments(asking(CITIES), ["city:=m"])


EMPTY = [
    {"type": "object", "properties": {}}, {"type": "object", "additionalProperties": False},
    {"type": "object", "properties": {}, "title": "Empty", "additionalProperties": False},
]  # fmt: skip


@pytest.mark.parametrize("schema", EMPTY)
async def test_a_form_without_fields_asks_for_none(schema: Any) -> None:
    asked = prompt(schema_json=json.dumps(schema))
    assert entries(asked) == ()
    (draft,) = await sent(asked, Said("", "y"))
    assert draft == Draft(DecisionKind.RESPOND)


async def test_any_object_may_be_none() -> None:
    (draft,) = await sent(prompt(schema_json='{"type": "object"}'), Said("", "", "y"))
    assert draft.values == {}
    (whole,) = entries(prompt(schema_json='{"type": "object", "required": ["a"]}'))
    assert isinstance(whole, Field)
    assert whole.required


@pytest.mark.parametrize(
    ("part", "default"),
    [
        ({"type": "integer"}, "many"), ({"type": "integer"}, None), ({"type": "integer", "minimum": 5}, 1),
        ({"type": "boolean"}, "yes"), ({"enum": ["x"]}, "z"),
        ({"type": "array", "items": {"enum": ["x"]}}, ["q"]),
        ({"type": "string", "format": "date"}, "yesterday"),
        ({"type": "array", "items": {"type": "string"}}, "q"),
        ({"type": "number"}, True), ({"type": "string", "maxLength": 2}, "abc"),
    ],
)  # fmt: skip
async def test_a_default_that_does_not_fit_is_not_offered(part: dict[str, Any], default: Any) -> None:
    """An older server may still have one."""
    schema = {"type": "object", "properties": {"f": {**part, "default": default}}, "required": ["f"]}
    asked = prompt(schema_json=json.dumps(schema))
    (field,) = entries(asked)
    assert isinstance(field, Field)
    assert not fits(field, default)
    said = Said("", "")
    with pytest.raises(EOFError):
        await sent(asked, said)
    assert "! must be given" in said.text


@pytest.mark.parametrize("label", ["Reject", "r", "a", "skip", "quit", "edit", "e", "yes", "1", "?", " "])
async def test_a_label_never_takes_the_place_of_a_key(label: str) -> None:
    """What the asker calls a decision cannot make a key or a word of the table mean that decision."""
    asked = prompt(decisions=((ACCEPT, label),))
    for word in (
        "r",
        "reject",
        "e",
        "edit",
        "d",
        "dismiss",
        "v",
        "s",
        "skip",
        "q",
        "quit",
        "y",
        "yes",
        "1",
        "ok",
    ):
        if word == label.casefold() and word in ("yes", "1"):
            continue  # a word of no key: it is what the asker calls it, and still confirmed
        with suppress(EOFError):
            assert await sent(asked, Said(word, "y", "y")) == []
    with pytest.raises(EOFError):
        await sent(asked, Said("a"))
    assert len(await sent(asked, Said("a", "y"))) == 1


@pytest.mark.parametrize("keys", ["aa", "a a", "approve!", "A\nA", "a y", "ay", "aaaaaaaa", "rr", "\n", " "])
async def test_a_key_held_down_or_a_sentence_decides_nothing(keys: str) -> None:
    asked = prompt(decisions=BOTH[:1] + BOTH[3:])
    with pytest.raises(EOFError):
        await sent(asked, Said(keys))
    with pytest.raises(EOFError):
        await sent(asked, Said("a", keys) if keys.strip() else Said(keys, keys))


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("Confirm", "a Confirm"), ("approve", "a approve"), ("", "a approve"),
        ("Ship it", "a approve (Ship it)"), ("Reject", "a approve (Reject)"),
        ("Do nothing   r Reject", "a approve (Do nothing r Reject)"),
        ("no\nr Reject", "a approve (no r Reject)"), ("x" * 90, f"a approve ({'x' * 90})"),
    ],
)  # fmt: skip
async def test_a_label_does_not_pass_for_another_decision(label: str, shown: str) -> None:
    """In the menu, and in the question that confirms it."""
    said = Said("a")
    with pytest.raises(EOFError):
        await sent(prompt(decisions=((ACCEPT, label),)), said)
    menu, _, question = said.text.strip().partition("\n")
    assert menu == shown
    name = shown.removeprefix("a ")
    assert question.endswith(f"{name[:1].upper()}{name[1:]}? [y/N] ".rstrip())
