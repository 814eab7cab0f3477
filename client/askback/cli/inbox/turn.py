"""`askback inbox next`: the most urgent prompt, claimed, shown, answered; then the one after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from askback.cli.inbox.view import view, view_options
from askback.cli.session import Session, client_command

if TYPE_CHECKING:
    from askback.client import Client
    from askback.prompts import PromptInfo
    from askback.terminal.terminal import Terminal


@click.command("next")
@view_options
@client_command
async def turn(session: Session, **options: Any) -> None:
    """Take the most urgent one, answer it, and go on.

    What others have taken on is passed by. It is claimed while you read: nobody else answers it
    meanwhile. Skipped or left, it is given back.
    """
    from askback.terminal.paper import paper
    from askback.terminal.terminal import Terminal

    if session.out.as_json:
        raise click.UsageError("next is a dialogue; programs use `inbox ls --json` and `inbox answer --json`")
    terminal = Terminal(paper(plain=not session.out.is_rich))
    narrowed, seen = view(options), set[str]()
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
    from askback.errors import AskbackError, PromptClaimed, PromptClosed, PromptStale
    from askback.terminal.sheet import write_sheet
    from askback.terminal.verdicts import taken, tell
    from askback.terminal.wizard import settle
    from askback.terminal.words import now

    answered = False
    try:
        terminal.paper.line()
        write_sheet(terminal.paper, prompt, now())
        reply = (await terminal.ask("[a]nswer, [s]kip, [q]uit: ")).strip().lower()
        if reply in ("q", "quit"):
            return False, False
        if reply not in ("a", "answer", ""):
            return False, True
        outcome = await settle(prompt, terminal, sending(session.client, prompt, terminal))
        if outcome is not None:
            answered = True
            terminal.paper.line(taken(outcome), "good")
    except (PromptClaimed, PromptClosed, PromptStale) as error:
        tell(terminal.paper, error, now())
    except EOFError:
        return False, False
    finally:
        if not answered:
            with suppress(AskbackError):
                await session.client.release(prompt.prompt_id)
    return answered, True
