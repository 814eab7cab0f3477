"""A decision requires a deliberate key, and everything that it approves was shown before."""

import io
from contextlib import suppress

import pytest

from askback._model.enums import AnswerStatus
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.errors import PromptClaimed
from askback.terminal.draft import Draft, SavedInput
from askback.terminal.prompt_text import MAX_CHARS, MAX_CHOICES, write_prompt
from askback.terminal.short_questions import NO_UNLESS_YES, YES_OR_NO, pick
from askback.terminal.wizard import ask_for_answer
from askback.terminal.words import now
from askback.terminal.writer import PlainWriter
from askback.v1 import prompt_pb2 as pb
from tests.support.dialogue import (
    ACCEPT,
    EDIT,
    REJECT,
    RESPOND,
    ScriptedDialogue,
    asking,
    drafts_of,
    prompt,
    question,
)

BOTH = ((ACCEPT, "Yes"), (EDIT, "Change"), (RESPOND, "Answer"), (REJECT, "No"))


@pytest.mark.parametrize("typed", ["x", "yy", "yes please", "Y E S", "ｙ", "y\ny", "1", "ja", "-", "ok"])
async def test_an_unknown_word_asks_again(typed: str) -> None:
    for answers in (YES_OR_NO, NO_UNLESS_YES):
        assert await pick(ScriptedDialogue(typed, "Y"), "? ", answers)
    with pytest.raises(EOFError):
        await pick(ScriptedDialogue(typed), "? ", NO_UNLESS_YES)


async def test_an_empty_line_is_never_a_yes() -> None:
    assert not await pick(ScriptedDialogue("", "y"), "? ", NO_UNLESS_YES)
    assert not await pick(ScriptedDialogue("", "n"), "? ", YES_OR_NO)


@pytest.mark.parametrize("choice", ["a", "e", ""])
async def test_approving_unseen_content_needs_a_confirmation(choice: str) -> None:
    unseen = ("script: 900 of 20900 characters",)
    contents = [pb.PromptPart(content_id="t", text="old", editable=True)]
    asked = prompt(decisions=BOTH, contents=contents)
    for reply in ("", "n"):
        said = ScriptedDialogue(choice, reply, "q")
        assert await drafts_of(asked, said, unseen=unseen) == []
        assert unseen[0] in said.text
    assert len(await drafts_of(asked, ScriptedDialogue(choice, "y", "y", texts=["new"]), unseen=unseen)) == 1
    assert len(await drafts_of(asked, ScriptedDialogue("r", "no"), unseen=unseen)) == 1  # not for a rejection


def unseen_of(asked: PromptInfo, **options: bool) -> tuple[str, ...]:
    return write_prompt(PlainWriter(io.StringIO()), asked, now(), **options)


LONG_TEXT = "x\n" * MAX_CHARS
OPTIONS = [pb.Option(value=f"v{n}") for n in range(MAX_CHOICES + 1)]


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
def test_cut_content_counts_as_unseen_until_shown_whole(asked: PromptInfo) -> None:
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
def test_content_that_no_terminal_shows_counts_as_unseen(part: pb.PromptPart) -> None:
    assert len(unseen_of(prompt(contents=[part]), full=True)) == 1


async def test_a_long_default_is_shown_before_enter_takes_it() -> None:
    hidden = "y" * 70 + " and delete everything"
    said = ScriptedDialogue("", "", "y")
    (draft,) = await drafts_of(asking(question("q", text=pb.TextInput(default_value=hidden))), said)
    assert draft.values == {"q": hidden}
    assert said.text.count("and delete everything") == 2  # before it was accepted, and before it was sent


TEXTS = asking(question("a", required=True, text=pb.TextInput()), question("b", text=pb.TextInput()))


async def test_typed_values_are_offered_again() -> None:
    """After the dialogue was aborted at any place: in a form, or with a comment."""
    typed = SavedInput()
    with pytest.raises(EOFError):
        await drafts_of(TEXTS, ScriptedDialogue("c why", "", "first", "second"), saved=typed)
    said = ScriptedDialogue("", "", "y")  # the decision to answer is kept too
    (draft,) = await drafts_of(TEXTS, said, saved=typed)
    assert (draft.values, draft.comment) == ({"a": "first", "b": "second"}, "why")
    written = ScriptedDialogue()
    typed.write(written.writer, TEXTS)
    assert "Title of a: first" in written.text


async def test_typed_values_that_no_longer_fit_are_not_offered() -> None:
    typed = SavedInput({"values": {"a": "word"}})
    number = asking(question("a", required=True, integer=pb.IntegerInput()))
    (draft,) = await drafts_of(number, ScriptedDialogue("", "", "4", "y"), saved=typed)
    assert draft.values == {"a": 4}


async def test_the_answer_to_a_claimed_prompt_is_offered_later() -> None:
    drafts: list[Draft] = []

    async def send(draft: Draft) -> AnswerOutcome:
        drafts.append(draft)
        if len(drafts) == 1:
            raise PromptClaimed("taken", metadata={"claimed_by": "bob"})
        return AnswerOutcome(AnswerStatus.ACCEPTED, "a", TEXTS, False)

    said = ScriptedDialogue("", "first", "", "y", "", "y")
    await ask_for_answer(TEXTS, said, send)
    assert drafts[0] == drafts[1]
    assert said.text.count("Title of a: first") == 2
    drafts.clear()
    with pytest.raises(PromptClaimed):
        await ask_for_answer(TEXTS, ScriptedDialogue("", "first", "", "y", "n"), send)


@pytest.mark.parametrize("label", ["Reject", "r", "a", "skip", "quit", "edit", "e", "yes", "1", "?", " "])
async def test_a_label_does_not_replace_a_key(label: str) -> None:
    """The label of a decision cannot give a key or a word of the table another meaning."""
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
            continue  # a word that is no key is taken as the asker's label, and still confirmed
        with suppress(EOFError):
            assert await drafts_of(asked, ScriptedDialogue(word, "y", "y")) == []
    with pytest.raises(EOFError):
        await drafts_of(asked, ScriptedDialogue("a"))
    assert len(await drafts_of(asked, ScriptedDialogue("a", "y"))) == 1


@pytest.mark.parametrize("keys", ["aa", "a a", "approve!", "A\nA", "a y", "ay", "aaaaaaaa", "rr", "\n", " "])
async def test_a_key_held_down_or_a_sentence_decides_nothing(keys: str) -> None:
    asked = prompt(decisions=BOTH[:1] + BOTH[3:])
    with pytest.raises(EOFError):
        await drafts_of(asked, ScriptedDialogue(keys))
    with pytest.raises(EOFError):
        await drafts_of(asked, ScriptedDialogue("a", keys) if keys.strip() else ScriptedDialogue(keys, keys))


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
    said = ScriptedDialogue("a")
    with pytest.raises(EOFError):
        await drafts_of(prompt(decisions=((ACCEPT, label),)), said)
    menu, _, question = said.text.strip().partition("\n")
    assert menu == shown
    name = shown.removeprefix("a ")
    assert question.endswith(f"{name[:1].upper()}{name[1:]}? [y/N] ".rstrip())
