"""Reading lines in the event loop, numbers of prompts, and aborted dialogues."""

import asyncio
import io
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from askback._console.console_prompt import ConsolePrompt
from askback._console.console_view import Closing
from askback._model.answers import answer_request
from askback._model.shown import set_revision
from askback.terminal.draft import SavedInput
from askback.terminal.editing import edit_contents
from askback.terminal.line_reader import LineReader
from askback.terminal.prompt_dialogue import PromptChanged, PromptDialogue
from askback.terminal.prompt_list import MAX_ENDED, PromptList
from askback.terminal.terminal import NoEditor, Terminal
from askback.terminal.writer import PlainWriter
from askback.v1 import prompt_pb2 as pb
from tests.support.dialogue import prompt


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        with suppress(OSError):
            os.close(fd)


async def test_lines_are_read_from_a_pipe(pipe: tuple[int, int]) -> None:
    lines = LineReader(pipe[0])
    os.write(pipe[1], "one\r\ntwö\nthree".encode())
    assert [await lines.line(), await lines.line()] == ["one", "twö"]
    waiting = asyncio.create_task(lines.line())
    await asyncio.sleep(0)
    os.write(pipe[1], b" and more\n\nlast")
    assert await waiting == "three and more"
    assert await lines.line() == ""
    os.close(pipe[1])
    assert await lines.line() == "last"
    for _ in range(2):
        with pytest.raises(EOFError):
            await lines.line()


async def test_a_cancelled_read_loses_no_line(pipe: tuple[int, int]) -> None:
    lines = LineReader(pipe[0])
    os.write(pipe[1], b"half")
    waiting = asyncio.create_task(lines.line())
    for _ in range(3):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    os.write(pipe[1], b" a line\n")
    assert await lines.line() == "half a line"


async def test_nothing_is_read_between_two_questions(pipe: tuple[int, int]) -> None:
    """While an editor runs, nothing else reads the terminal."""
    lines = LineReader(pipe[0])
    os.write(pipe[1], b"first\n")
    assert await lines.line() == "first"
    os.write(pipe[1], b"for the editor\n")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert os.read(pipe[0], 100) == b"for the editor\n"


async def test_lines_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "script").write_bytes(b"list\nquit\n")
    with (tmp_path / "script").open() as script:
        lines = LineReader(script.fileno())
        assert [await lines.line(), await lines.line()] == ["list", "quit"]
        with pytest.raises(EOFError):
            await lines.line()


def prompt_on_screen(name: str, revision: int = 1, version: int = 1, priority: int = 0) -> ConsolePrompt:
    content = pb.PromptContent(title=f"Title of {name}", kind="confirm", priority=priority)
    proto = pb.Prompt(prompt_id=name, revision=revision, version=version, content=content)
    proto.state = pb.PROMPT_STATE_PENDING
    return ConsolePrompt(proto, None)  # type: ignore[arg-type]


def test_a_prompt_keeps_its_number() -> None:
    prompts = PromptList()
    assert [prompts.put(prompt_on_screen(name))[0].number for name in "abc"] == [1, 2, 3]
    assert prompts.put(prompt_on_screen("b", version=2)) == (prompts.find("2"), "same")
    assert prompts.put(prompt_on_screen("b", revision=2)) == (prompts.find("b"), "changed")
    prompts.close(Closing("b", "j", "removed"))
    assert prompts.put(prompt_on_screen("d"))[0].number == 4
    assert [row.number for row in prompts.open_rows()] == [1, 3, 4]
    assert prompts.put(prompt_on_screen("b", revision=2))[1] == "new"
    assert prompts.find("2").closing is None
    assert prompts.put(prompt_on_screen("z", priority=9))[0] is prompts.open_rows()[0]


def test_the_end_of_an_id_finds_a_row() -> None:
    prompts = PromptList()
    rows = {name: prompts.put(prompt_on_screen(name))[0] for name in ("0-1abcdef", "0-2abcdef", "0-345678")}
    assert prompts.find("1ABCDEF") is rows["0-1abcdef"]
    assert prompts.find("345678") is rows["0-345678"]
    with pytest.raises(LookupError, match="abcdef fits more than one prompt: 1, 2"):
        prompts.find("abcdef")
    with pytest.raises(LookupError, match="no prompt bcdef"):
        prompts.find("bcdef")


def test_only_the_person_changes_the_current_prompt() -> None:
    prompts = PromptList()
    with pytest.raises(LookupError, match="number"):
        prompts.find("")
    row, _ = prompts.put(prompt_on_screen("a"))
    prompts.current = row
    prompts.put(prompt_on_screen("b", priority=100))
    prompts.close(Closing("a", "j", "closed"))
    assert prompts.find("") is row
    with pytest.raises(LookupError, match="no prompt 7"):
        prompts.find("7")
    with pytest.raises(LookupError, match="no prompt x"):
        prompts.find("x")


def test_a_closing_is_reported_once_and_tombstones_are_bounded() -> None:
    prompts = PromptList()
    assert prompts.close(Closing("never-seen", "j", "closed")) is None
    for n in range(MAX_ENDED + 10):
        prompts.put(prompt_on_screen(str(n) + "x"))
        assert prompts.close(Closing(str(n) + "x", "j", "closed")) is not None
        assert prompts.close(Closing(str(n) + "x", "j", "closed")) is None
    with pytest.raises(LookupError):
        prompts.find("1")
    assert prompts.find(str(MAX_ENDED + 10)).closing is not None
    assert prompts.put(prompt_on_screen("new"))[0].number == MAX_ENDED + 11


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((1, "a"), (1, "a"), True),
        ((1, "a"), (1, "b"), False),
        ((1, "a"), (2, "a"), False),
        ((1, "a"), (2, "b"), False),
        ((1, ""), (1, "b"), True),
        ((1, "a"), (1, ""), True),
        ((1, ""), (2, ""), False),
    ],
)
def test_what_was_shown_is_compared_by_revision_and_digest(
    one: tuple[int, str], other: tuple[int, str], same: bool
) -> None:
    """By revision alone if one message comes from a server without digests."""
    prompts = PromptList()
    shown, newest = (prompt_on_screen("a", revision=revision) for revision, _ in (one, other))
    shown.proto.shown_digest, newest.proto.shown_digest = one[1], other[1]
    row, _ = prompts.put(shown)
    assert not row.has_shown(shown)
    row.seen = shown
    assert row.has_shown(newest) == same
    assert prompts.put(newest)[1] == ("same" if same else "changed")
    assert row.changed.is_set() != same


def test_no_digest_is_sent_with_the_revision_that_a_person_names() -> None:
    prompt = prompt_on_screen("a", revision=2)
    prompt.proto.shown_digest = "a" * 64
    set_revision(prompt, 2)
    assert answer_request(prompt, "ACCEPT").shown_digest == "a" * 64
    set_revision(prompt, 1)
    request = answer_request(prompt, "ACCEPT")
    assert (request.revision, request.shown_digest) == (1, "")
    assert answer_request(prompt, "ACCEPT", shown_digest="b" * 64).shown_digest == "b" * 64


class Guard:
    """A list with one prompt and a dialogue about it."""

    def __init__(self, fd: int) -> None:
        self.out = io.StringIO()
        self.terminal = Terminal(PlainWriter(self.out), LineReader(fd))
        self.prompts = PromptList()
        self.row, _ = self.prompts.put(prompt_on_screen("a"))
        self.dialogue = PromptDialogue(self.terminal, self.row)


@pytest.mark.parametrize("how", ["closed", "changed", "claimed"])
async def test_a_dialogue_is_aborted_when_its_prompt_changes(pipe: tuple[int, int], how: str) -> None:
    guard = Guard(pipe[0])
    asking = asyncio.create_task(guard.dialogue.ask("? "))
    await asyncio.sleep(0)
    if how == "closed":
        guard.prompts.close(Closing("a", "j", "closed"))
    else:
        guard.prompts.put(prompt_on_screen("a", revision=2 if how == "changed" else 1, version=2))
    if how == "claimed":
        os.write(pipe[1], b"typed\n")
        assert await asking == "typed"
        return
    with pytest.raises(PromptChanged):
        await asking
    with pytest.raises(PromptChanged):
        await guard.dialogue.ask("? ")
    assert "revision 2" in guard.row.status_words(None) or how == "closed"  # type: ignore[arg-type]


async def test_a_line_typed_as_its_prompt_closes_is_dropped(pipe: tuple[int, int]) -> None:
    """The line was typed for a prompt that has closed, and is dropped."""
    guard = Guard(pipe[0])
    asking = asyncio.create_task(guard.dialogue.ask("? "))
    for _ in range(3):
        await asyncio.sleep(0)
    os.write(pipe[1], b"yes\n")
    guard.prompts.close(Closing("a", "j", "closed"))
    with pytest.raises(PromptChanged):
        await asking


async def test_notices_stand_above_the_open_question(pipe: tuple[int, int]) -> None:
    guard = Guard(pipe[0])
    guard.terminal.notice("before")
    asking = asyncio.create_task(guard.terminal.ask("askback> "))
    await asyncio.sleep(0)
    guard.terminal.notice("* 2 new: \x1b[2Jx")
    os.write(pipe[1], b"list\n")
    await asking
    assert guard.out.getvalue() == "before\naskback> \n* 2 new: <U+001B>[2Jx\naskback> list\n"


async def test_the_editor_receives_the_text_and_its_result_is_read(
    pipe: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal $EDITOR receives the text unchanged. Changes in the meantime are reported afterwards."""
    editor = tmp_path / "editor"
    editor.write_text(
        '#!/bin/sh\ncp "$1" "$(dirname "$0")/given"\nprintf "new\\n" > "$1"\n'
        'case "$1" in *.md) ;; *) exit 1 ;; esac\n'
    )
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr(LineReader, "is_terminal", property(lambda self: True))
    guard = Guard(pipe[0])
    rewriting: asyncio.Task[Any] = asyncio.create_task(guard.dialogue.edit_text("old\x1b\n", "text/markdown"))
    await asyncio.sleep(0)
    guard.terminal.notice("meanwhile")
    assert guard.out.getvalue() == ""
    assert await rewriting == "new\n"
    assert (tmp_path / "given").read_text() == "old\x1b\n"
    assert guard.out.getvalue() == "meanwhile\n"
    with pytest.raises(OSError, match="ended with 1"):
        await guard.dialogue.edit_text("x", "text/plain")
    monkeypatch.setenv("EDITOR", "rm")
    with pytest.raises(OSError, match="rm left no text: No such file"):
        await guard.dialogue.edit_text("x", "text/plain")


@pytest.mark.parametrize(
    ("editor", "why"),
    [
        ("/nowhere/to/be/found", "/nowhere/to/be/found cannot be started: No such file or directory"),
        ("/", "/ cannot be started: Permission denied"),
        ("'vi", "is no command, 'vi: No closing quotation"),
    ],
)
async def test_an_editor_that_cannot_be_started_is_reported(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, editor: str, why: str
) -> None:
    """The text is then edited in place."""
    monkeypatch.setenv("EDITOR", editor)
    monkeypatch.setenv("VISUAL", "  ")  # blank counts as unset
    monkeypatch.setattr(LineReader, "is_terminal", property(lambda self: True))
    guard = Guard(pipe[0])
    with pytest.raises(NoEditor, match=re.escape(why)):
        await guard.dialogue.edit_text("x", "text/plain")
    text = pb.PromptPart(content_id="draft", title="Draft", text="old\n", editable=True)
    os.write(pipe[1], b"new\n.\n")
    assert await edit_contents(guard.dialogue, prompt(contents=[text]), SavedInput()) == {"draft": "new\n"}
    assert f"{why}; edit the text here" in guard.out.getvalue()
