"""A key counts only after its question is on the screen, and a paste does not count as several answers."""

import asyncio
import io
import os
import pty
import select
import signal
import tty

import pytest
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from askback.terminal.keyboard import Keyboard, _Keys, burst, normalise_paste


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
def test_a_single_line_counts_as_typed_keys(data: str, submits: int) -> None:
    assert sum(key.key in (Keys.ControlM, Keys.ControlJ) for key in keys(data)) == submits
    assert [key.key for key in keys("y\ry\x03")] == [Keys.ControlC]


def test_ctrl_c_is_kept_when_typed_ahead_keys_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr("signal.raise_signal", raised.append)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with os.fdopen(theirs, closefd=True) as stdin:
        typed = _Keys(stdin)
        os.write(ours, b"yes")
        typed.discard()
        assert raised == []
        os.write(ours, b"y\x03")
        typed.discard()
        assert raised == [signal.SIGINT]
    os.close(ours)


def test_keys_typed_ahead_are_dropped() -> None:
    """On a real terminal: keys buffered in the kernel are dropped, and later ones are read."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, closefd=True) as stdin:
        typed = _Keys(stdin)
        os.write(ours, b"y\n")
        typed.discard()
        assert not select.select([theirs], [], [], 0)[0]
        os.write(ours, b"n\n")
        assert select.select([theirs], [], [], 10)[0]
    os.close(ours)


async def test_keys_typed_while_a_question_is_drawn_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than a key press. A key pressed before the question is visible is no answer."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, closefd=True) as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", terminal)
        patch.setattr("sys.stdout", io.TextIOWrapper(os.fdopen(os.dup(theirs), "wb"), write_through=True))
        drawn = 0

        def draw() -> str:
            nonlocal drawn
            drawn += 1
            if drawn == 1:
                os.write(ours, b"y\r")
                assert select.select([theirs], [], [], 10)[0]
            return ""

        asking = asyncio.create_task(Keyboard().ask("Approve? ", choice=True, left=draw))
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
