"""`askback tui` at a real terminal, with a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest

from askback.terminal.full_screen.dead_time import DEAD_SECONDS
from tests.support.interactive import InteractiveProcess, InteractiveProcesses
from tests.support.requests import ACCEPT, confirm
from tests.support.service import ServiceWorld

CLEAR = "\x15"
"""Ctrl-U, which empties a line: a key that was pressed twice is in it."""


@pytest.fixture
async def consoles(lite: ServiceWorld, tmp_path: Path) -> AsyncIterator[InteractiveProcesses]:
    """Starts terminals for `lite`."""
    consoles = InteractiveProcesses(f"127.0.0.1:{lite.service.port}", tmp_path)
    yield consoles
    consoles.end()


async def press_until(ana: InteractiveProcess, words: str, *keys: str) -> None:
    """Press keys in turn like a person: again, if nothing happens because the screen has just changed.

    In turn and not in one piece: Textual runs the binding of Ctrl-U after the letters that came with it.
    """
    there, turns = len(ana.shown), cycle(keys)
    async with asyncio.timeout(30):
        while words not in ana.shown[there:]:
            ana.type(next(turns))
            with suppress(TimeoutError):
                await asyncio.wait_for(ana.wait_for(words), 2 * DEAD_SECONDS)


async def test_a_prompt_is_approved_at_a_terminal(lite: ServiceWorld, consoles: InteractiveProcesses) -> None:
    asked = await lite.create_prompt(confirm("Pay it?"))
    ana = consoles.start("ana", "tui", terminal=True, TERM="xterm-256color")
    ana.resize(40)
    await ana.wait_for("Pay it?")
    await press_until(ana, "[y/N]", "a")
    await press_until(ana, "answered by ana", CLEAR, "y\r")
    answer = (await lite.prompt(asked.prompt_id)).resolution.answer
    assert (answer.decision, answer.user_id) == (ACCEPT, "ana")
    ana.type("q")
    assert await ana.wait_for_end() == 0
    assert "Traceback" not in ana.shown


async def test_a_pipe_is_refused_with_the_command_for_it(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    ana = consoles.start("ana", "tui")
    await ana.wait_for("on a pipe use `askback console`")
    assert await ana.wait_for_end() == 2
