"""`askback inbox next`: the most urgent prompt, claimed, shown, answered; then the one after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.inbox.view import view, view_options
from askback.cli.session import Session, client_command

if TYPE_CHECKING:
    from askback.client import Client
    from askback.prompts import AnswerOutcome, PromptInfo
    from askback.terminal.board import Row
    from askback.terminal.guard import Guarded
    from askback.terminal.terminal import Terminal

_WORDS = {"a": "answer", "answer": "answer", "s": "skip", "skip": "skip", "q": "quit", "quit": "quit"}


@click.command("next", cls=Command)
@view_options
@client_command
async def turn(session: Session, **options: Any) -> None:
    """Take the most urgent one, answer it, and go on.

    What others have taken on is passed by. It is claimed while you read: nobody else answers it
    meanwhile. Skipped or left, it is given back.
    """
    if session.out.as_json:
        raise click.UsageError("next is a dialogue; programs use `inbox ls --json` and `inbox answer --json`")
    terminal = session.terminal()
    narrowed, seen = await view(session.client, options), set[str]()
    answered = 0
    while (prompt := await _take(session.client, narrowed, seen)) is not None:
        seen.add(prompt.prompt_id)
        done, more = await _turn(session, prompt, terminal)
        answered += done
        if not more:
            break
    else:
        terminal.paper.line("nothing more waits for you" if seen else "nothing waits for you")
    session.out.note(f"{answered} answered")


async def _take(client: Client, narrowed: dict[str, Any], seen: set[str]) -> PromptInfo | None:
    """Claim the first prompt in the queue that can be; None if there is none that was not seen yet."""
    from askback.errors import NotFound, PromptClaimed, PromptClosed

    async for prompt in client.prompts(**narrowed):
        if prompt.prompt_id in seen:
            continue
        try:
            return await client.claim(prompt.prompt_id)
        except (NotFound, PromptClaimed, PromptClosed):
            continue
    return None


async def _turn(session: Session, prompt: PromptInfo, terminal: Terminal) -> tuple[bool, bool]:
    """One prompt: whether it was answered, and whether to go on. The claim does not outlive it."""
    from contextlib import suppress

    from askback.cli.inbox.sending import sending
    from askback.errors import AskbackError, PromptClaimed, PromptClosed
    from askback.terminal.asking import pick
    from askback.terminal.draft import Typed
    from askback.terminal.following import work_on
    from askback.terminal.verdicts import taken, tell
    from askback.terminal.wizard import settle
    from askback.terminal.words import now

    typed = Typed()

    async def ask(row: Row[PromptInfo], guarded: Guarded) -> tuple[AnswerOutcome | None, bool]:
        what = await pick(guarded, "[a]nswer, [s]kip, [q]uit: ", _WORDS)
        if what != "answer":
            return None, what == "skip"
        send = sending(session.client, row.prompt, guarded)
        return await settle(row.prompt, guarded, send, typed=typed, unseen=row.unseen), True

    answered = False
    try:
        terminal.paper.line()
        outcome, more = await work_on(session.client, prompt, terminal, ask, typed)
        if outcome is not None:
            answered = True
            terminal.paper.line(taken(outcome), "good")
        return answered, more
    except (PromptClaimed, PromptClosed) as error:
        tell(terminal.paper, error, now())
    except EOFError:
        return False, False
    finally:
        if not answered:
            with suppress(AskbackError):
                await session.client.release(prompt.prompt_id)
    return False, True
