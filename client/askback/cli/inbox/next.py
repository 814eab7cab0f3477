"""`askback inbox next`: the most urgent prompt, claimed, shown, answered; then the one after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.view import view, view_options

if TYPE_CHECKING:
    from askback._client.client import Client
    from askback._model.identity import Identity
    from askback._model.prompts import AnswerOutcome, PromptInfo
    from askback.terminal.draft import SavedInput
    from askback.terminal.prompt_dialogue import PromptDialogue
    from askback.terminal.prompt_list import Row
    from askback.terminal.terminal import Terminal
    from askback.terminal.wizard import NotAnswered


@click.command("next", cls=Command)
@view_options
@client_command
async def next_prompt(context: CommandContext, **options: Any) -> None:
    """Take the most urgent one, answer it, and go on.

    What others have claimed is skipped, as is what you may not answer or have voted on. A prompt is claimed
    while you read it: others cannot answer it meanwhile. It is released when you skip or leave it. Keys: a
    approve, r reject, e edit, Enter fill in the form, c comment, s skip, j and k next and previous, / search,
    ? help, q quit; each with Enter.
    """
    if context.out.as_json:
        raise click.UsageError("next is a dialogue; programs use `inbox ls --json` and `inbox answer --json`")
    walk = _InboxWalk(context.client, await view(context.client, options), context.terminal())
    await walk.run()
    left = f", {walk.skipped} skipped and still open" if walk.skipped else ""
    context.out.note(f"{walk.answered} answered{left}")


class _InboxWalk:
    """Takes a person through the open prompts, forwards and backwards."""

    def __init__(self, client: Client, narrowed: dict[str, Any], terminal: Terminal) -> None:
        self._client = client
        self._narrowed = narrowed
        self._terminal = terminal
        self._seen: set[str] = set()
        self._behind: list[str] = []
        self._ahead: list[str] = []
        self._saved: dict[str, SavedInput] = {}
        self.answered = 0
        self.skipped = 0

    async def run(self) -> None:
        """Run until no prompt is left, or the person quits."""
        from askback.terminal.keys import Action

        prompt = await self._claim_next()
        while prompt is not None:
            self._seen.add(prompt.prompt_id)
            left = await self._answer(prompt)
            if left is None or left.action is Action.SKIP:
                self.skipped += left is not None
                prompt = await self._claim_next()
            elif left.action is Action.QUIT:
                return
            else:
                prompt = await self._claim_other(prompt, left)
        self._terminal.writer.line("nothing more waits for you" if self._seen else "nothing waits for you")

    async def _claim_next(self, text: str = "") -> PromptInfo | None:
        """Claim the first prompt that the person has not seen yet; None if there is none.

        With `text` the first one that has these words, seen or not. Skips prompts that cannot be claimed.
        """
        from askback.cli.inbox.urgent import inbox
        from askback.errors import NotFound, PermissionDenied, PromptClaimed, PromptClosed
        from askback.terminal.search import matches
        from askback.terminal.vote_words import vote_of

        while self._ahead and not text:
            if (known := await self._claim_again(self._ahead.pop())) is not None:
                return known
        async for prompt in inbox(self._client, self._narrowed):
            if matches(prompt, text) if text else prompt.prompt_id not in self._seen:
                if vote_of(prompt, await self._person(prompt)) is not None and not text:
                    continue  # it waits for others
                try:
                    return await self._client.claim(prompt.prompt_id)
                except (NotFound, PermissionDenied, PromptClaimed, PromptClosed):
                    continue
        return None

    async def _person(self, prompt: PromptInfo) -> Identity | None:
        """Who is at the terminal, if it matters for this prompt."""
        from askback.terminal.prompt_work import person_for

        if self._terminal.person is None:
            self._terminal.person = await person_for(self._client, [prompt])
        return self._terminal.person

    async def _claim_again(self, prompt_id: str) -> PromptInfo | None:
        """Claim a prompt that the person has seen before; None if it can no longer be claimed."""
        from askback.errors import NotFound, PermissionDenied, PromptClaimed, PromptClosed

        try:
            return await self._client.claim(prompt_id)
        except (NotFound, PermissionDenied, PromptClaimed, PromptClosed):
            return None

    async def _claim_other(self, prompt: PromptInfo, left: NotAnswered) -> PromptInfo | None:
        """Claim the prompt that the person wants instead; the same one if there is no other."""
        from askback.terminal.keys import Action

        found: PromptInfo | None = None
        if left.action is Action.PREVIOUS:
            while self._behind and found is None:
                found = await self._claim_again(self._behind.pop())
            if found is not None:
                self._ahead.append(prompt.prompt_id)
            missing = "there is none before this one"
        else:
            found = await self._claim_next(left.text if left.action is Action.SEARCH else "")
            if found is not None:
                self._behind.append(prompt.prompt_id)
            missing = "there is none after this one" if not left.text else f"none has the words {left.text!r}"
        if found is None:
            self._terminal.writer.line(missing, "warning")
            return await self._claim_again(prompt.prompt_id) or await self._claim_next()
        return found

    async def _answer(self, prompt: PromptInfo) -> NotAnswered | None:
        """Let the person answer one claimed prompt, and release the claim if they do not.

        Returns None if the prompt was answered or has ended, else what the person wants instead.
        """
        from contextlib import suppress

        from askback.cli.inbox.sender import client_sender
        from askback.errors import AskbackError, PromptClaimed, PromptClosed
        from askback.terminal.draft import SavedInput
        from askback.terminal.keys import Action
        from askback.terminal.prompt_work import work_on
        from askback.terminal.verdicts import accepted_words, write_refusal
        from askback.terminal.wizard import NotAnswered, ask_for_answer
        from askback.terminal.words import now

        saved = self._saved.setdefault(prompt.prompt_id, SavedInput())

        async def ask(row: Row[PromptInfo], dialogue: PromptDialogue) -> AnswerOutcome | NotAnswered:
            send = client_sender(self._client, row.prompt, dialogue)
            return await ask_for_answer(
                row.prompt,
                dialogue,
                send,
                saved=saved,
                unseen=row.unseen,
                many=True,
                person=self._terminal.person,
            )

        outcome: AnswerOutcome | NotAnswered = NotAnswered(Action.QUIT)
        try:
            self._terminal.writer.line()
            outcome = await work_on(self._client, prompt, self._terminal, ask, saved)
            if isinstance(outcome, NotAnswered):
                return outcome
            self.answered += 1
            self._terminal.writer.line(accepted_words(outcome), "good")
        except (PromptClaimed, PromptClosed) as error:
            write_refusal(self._terminal.writer, error, now())
        except EOFError:
            return NotAnswered(Action.QUIT)
        finally:
            if isinstance(outcome, NotAnswered):
                with suppress(AskbackError):
                    await self._client.release(prompt.prompt_id)
        return None
