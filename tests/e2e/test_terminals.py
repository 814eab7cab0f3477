"""`askback` commands at a pseudo-terminal, also while the server is killed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from askback import Client, Content, PromptState
from askback._model.prompts import PromptInfo
from tests.support.interactive import InteractiveProcesses
from tests.support.processes import Processes, Server

CTRL_C, CTRL_D = "\x03", "\x04"


@pytest.fixture
async def server(processes: Processes, tmp_path: Path) -> Server:
    """A server in a separate process."""
    return await processes.server(f"sqlite+aiosqlite:///{tmp_path / 'askback.db'}")


@pytest.fixture
async def consoles(server: Server, tmp_path: Path) -> AsyncIterator[InteractiveProcesses]:
    """Starts `askback` commands that use the server."""
    consoles = InteractiveProcesses(server.target, tmp_path)
    yield consoles
    consoles.end()


@asynccontextmanager
async def boss(server: Server) -> AsyncIterator[Client]:
    """A client that asks questions."""
    async with Client(server.target, user="boss") as client:
        yield client


async def _ask(client: Client, title: str, **options: object) -> PromptInfo:
    run = await client.ask(title, **options)  # type: ignore[arg-type]
    assert run.prompt is not None
    return run.prompt


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_console_survives_server_kills(
    server: Server, consoles: InteractiveProcesses, terminal: bool
) -> None:
    """It reports the outage. After the restart it shows new prompts once, and answers given offline count."""
    async with boss(server) as client:
        first, second = await _ask(client, "First?"), await _ask(client, "Second?")
        ana = consoles.start("ana", "console", "--plain", terminal=terminal)
        shown = await ana.wait_for("askback> ")
        assert (shown.count("First?"), shown.count("Second?")) == (1, 1)
        await ana.enter("show 1")
        for round in range(2):
            server.kill()
            await ana.wait_for("== no connection: trying again.")
            await ana.wait_for("askback> ")
            if round == 0:
                # Typed while no server runs: stored, sent once after the reconnect, and its verdict is shown.
                ana.type("approve 1 offline\n")
            await server.serve()
            await ana.wait_for("== connected again;")
            if round == 0:
                await ana.wait_for("Approved: First?")
        third = await _ask(client, "Third?")
        news = await ana.wait_for("* 3 new: [confirm] Third?")
        assert "First?" not in news
        assert "Second?" not in news
        listed = await ana.enter("list", "Third?")
        assert (listed.count("Second?"), listed.count("First?")) == (1, 0)
        assert "2 open" in listed
        answers = [entry async for entry in client.answers(first.prompt_id)]
        assert [(answer.comment, answer.by) for answer, _ in answers] == [("offline", "ana")]
        assert (await client.prompt(second.prompt_id)).is_open
        assert (await client.prompt(third.prompt_id)).is_open
        await ana.wait_for("askback> ")  # input before the prompt is discarded
        ana.type("quit\n")
        assert await ana.wait_for_end() == 0


async def test_a_prompt_that_ended_during_an_outage_is_reported(
    server: Server, consoles: InteractiveProcesses, processes: Processes, tmp_path: Path
) -> None:
    """It was answered while the console was disconnected: the console reports that, and takes no answer."""
    async with boss(server) as client:
        ended, stays = await _ask(client, "Gone?"), await _ask(client, "Stays?")
        ana = consoles.start("ana", "console", terminal=True)
        await ana.wait_for("askback> ")
        await ana.enter("show 1")
        server.kill()
        await ana.wait_for("== no connection: trying again.")
        other = await processes.server(f"sqlite+aiosqlite:///{tmp_path / 'askback.db'}", name="other")
        async with boss(other) as elsewhere:
            await elsewhere.answer(ended.prompt_id, "REJECT")
        other.kill()
        await server.serve()
        await ana.wait_for("== connected again;")
        await ana.wait_for("+ 1 answered by boss")
        await ana.enter("approve", "! 1 answered by boss")
        assert (await client.prompt(stays.prompt_id)).proto.submissions == 0


async def test_a_console_discards_input_when_its_prompt_ends(
    server: Server, consoles: InteractiveProcesses
) -> None:
    """The prompt is answered elsewhere while a line is half typed: that line decides nothing."""
    async with boss(server) as client:
        first, second = await _ask(client, "First?"), await _ask(client, "Second?")
        ana = consoles.start("ana", "console", terminal=True)
        await ana.wait_for("askback> ")
        await ana.enter("show 2")
        await ana.enter("answer 1", "Decide: ")
        ana.type("approve 2")  # no Enter yet
        await client.answer(first.prompt_id, "REJECT", comment="no")
        await ana.wait_for("+ 1 answered by boss")
        await ana.wait_for("What you typed was not sent. Press Enter to go on: ")
        await ana.enter("", "askback> ")
        assert (await client.prompt(second.prompt_id)).is_open
        await ana.enter("claim 2", "2 is yours")
        assert (await client.prompt(second.prompt_id)).claimed_by == "ana"
        ana.type(CTRL_C)
        assert await ana.wait_for_end() == 130
        assert (await client.prompt(second.prompt_id)).claimed_by == ""
        assert "Traceback" not in ana.shown


async def test_inbox_answer_asks_edits_and_sends(
    server: Server, consoles: InteractiveProcesses, tmp_path: Path
) -> None:
    """The content is edited in $EDITOR. A second answer is refused as CLOSED."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/draft/final/ "$1"\n')
    editor.chmod(0o755)
    async with boss(server) as client:
        contents = [Content("notes", "the draft\n", "Notes", editable=True)]
        prompt = await _ask(client, "Right?", kind="preview", contents=contents)
        ana = consoles.start("ana", "inbox", "answer", prompt.prompt_id, terminal=True, EDITOR=str(editor))
        await ana.wait_for("[preview] Right?")
        await ana.wait_for("Decide: ")
        await ana.enter("e", "Notes: +1 -1 lines")
        await ana.wait_for("+the final")
        await ana.wait_for("Send it? [y]es, [n]o: change it, [c]omment, [q]uit: ")
        await ana.enter("", "! type one of: y, yes, n, no, c, comment, q, quit")
        await ana.wait_for("Send it?")
        await ana.enter("c", "Comment: ")
        await ana.enter("better", "Send it?")
        await ana.enter("y", "Approved with changes: Right?")
        assert await ana.wait_for_end() == 0
        answer = (await client.prompt(prompt.prompt_id)).answered
        assert answer is not None
        assert (answer.edits, answer.comment) == ({"notes": "the final\n"}, "better")
        late = consoles.start("ana", "inbox", "answer", prompt.prompt_id, terminal=True)
        await late.wait_for("CLOSED: answered by ana")
        assert await late.wait_for_end() == 4


async def test_an_answer_typed_during_an_outage_is_sent_on_retry(
    server: Server, consoles: InteractiveProcesses
) -> None:
    """It is sent again when the person agrees, as the same answer."""
    async with boss(server) as client:
        prompt = await _ask(client, "Why?", form=str, kind="clarify")
        ana = consoles.start("ana", "inbox", "answer", prompt.prompt_id, "--timeout", "5s", terminal=True)
        await ana.wait_for("Decide: ")
        await ana.enter("", "Why? (required)")
        await ana.enter("because", "Send it?")
        server.kill()
        await ana.enter("y", "your answer is kept")
        await ana.wait_for("Try again? [y/n] ")
        await server.serve()
        await ana.enter("y", "Answered: Why?")
        assert await ana.wait_for_end() == 0
        assert (await client.prompt(prompt.prompt_id)).proto.submissions == 1


async def test_inbox_next_releases_its_claim(server: Server, consoles: InteractiveProcesses) -> None:
    """Ctrl-D and Ctrl-C leave no claim."""
    async with boss(server) as client:
        prompt = await _ask(client, "Take me?")
        for key, code in ((CTRL_D, 0), (CTRL_C, 130)):
            ana = consoles.start("ana", "inbox", "next", terminal=True)
            await ana.wait_for("Decide: ")
            assert (await client.prompt(prompt.prompt_id)).claimed_by == "ana"
            ana.type(key)
            assert await ana.wait_for_end() == code
            assert (await client.prompt(prompt.prompt_id)).claimed_by == ""
            assert "Traceback" not in ana.shown
        ana = consoles.start("ana", "inbox", "next", terminal=True)
        await ana.wait_for("Decide: ")
        await ana.enter("r", "Reason (Enter for none): ")
        await ana.enter("not now", "Rejected: Take me?")
        await ana.wait_for("nothing more waits for you")
        assert await ana.wait_for_end() == 0
        assert (await client.prompt(prompt.prompt_id)).state is PromptState.ANSWERED


@pytest.mark.parametrize(("typed", "left"), [("y", []), ("", ["two"])])
async def test_inbox_approve_shows_each_prompt_and_asks(
    server: Server, consoles: InteractiveProcesses, typed: str, left: list[str]
) -> None:
    """Enter alone approves nothing."""
    async with boss(server) as client:
        one, two = await _ask(client, "one"), await _ask(client, "two")
        ana = consoles.start("ana", "inbox", "approve", one.prompt_id, two.prompt_id, terminal=True)
        await ana.wait_for("[confirm] one")
        await ana.wait_for("Confirm? [y/N] ")
        await ana.enter("y", "Approved: one")
        await ana.wait_for("[confirm] two")
        await ana.wait_for("Confirm? [y/N] ")
        ana.type(typed + "\n")
        assert await ana.wait_for_end() == 0
        assert [p.title async for p in client.prompts()] == left
