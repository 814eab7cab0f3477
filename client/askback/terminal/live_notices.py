"""Keeps a live console's list of prompts up to date, and announces what happens to them."""

from __future__ import annotations

import asyncio

from askback._console.console import Console
from askback._console.console_prompt import ConsolePrompt
from askback._console.console_view import Closing
from askback.terminal import words
from askback.terminal.delegation_words import changes_of_delegations, delegation_of, reason_words
from askback.terminal.delegator import Delegator
from askback.terminal.prompt_answerer import PromptAnswerer
from askback.terminal.prompt_list import PromptList, Row
from askback.terminal.terminal import Terminal
from askback.terminal.vote_words import changes_of_votes, progress_words


class LiveNotices:
    """Stores what the server sends in the list of prompts, and writes a notice about it for the person.

    There is no notice about the prompt that the person is working on: its dialogue says what happened.
    """

    def __init__(
        self,
        console: Console,
        terminal: Terminal,
        prompts: PromptList,
        answerer: PromptAnswerer,
        delegator: Delegator,
        *,
        bell: bool = False,
    ) -> None:
        self._console = console
        self._terminal = terminal
        self._prompts = prompts
        self._answerer = answerer
        self._delegator = delegator
        self._bell = bell
        self.arrived = asyncio.Event()
        """Set when a prompt arrives or ends; a caller that waits for it clears it first."""
        self.announcing = False
        """Whether prompts are announced; off until the person has seen the list of open ones."""

    async def run(self) -> None:
        """Follow the console until it ends. Raises AskbackError when the server refuses for good."""
        unsubscribe = [
            self._console.on_closed(self._on_closed),
            self._console.on_connection(self._on_connection),
        ]
        try:
            await self._follow()
        finally:
            for end in unsubscribe:
                end()

    async def _follow(self) -> None:
        async for prompt in self._console.prompts():
            row, what = self._prompts.put(prompt)
            self.arrived.set()
            is_worked_on = row is self._answerer.working
            if what == "claimed" and is_worked_on:
                who = words.claim(prompt, words.now())
                self._terminal.notice(f"* {who} has taken {row.number} on" if who else "* it was given back")
            if what == "voted" and self.announcing and not row.skipped:
                self._tell_of_votes(row)
            if what in ("same", "claimed", "voted") or row.skipped or not self.announcing or is_worked_on:
                continue
            left = words.time_left(prompt, words.now())
            time = "" if left == "-" else f" ({left} left)"
            mine = delegation_of(prompt, self._terminal.person)
            why = f", {reason_words(mine, words.now())}" if mine is not None and what == "new" else ""
            self._terminal.notice(f"* {row.number} {what}: [{prompt.kind}] {prompt.title}{time}{why}", "name")
            if self._bell and what != "changed":
                self._terminal.writer.bell()

    def _tell_of_votes(self, row: Row[ConsolePrompt]) -> None:
        """Say what other people did; the person's own vote or delegation has its own line."""
        before, person = row.before or row.prompt, self._terminal.person
        if what := changes_of_votes(before, row.prompt, person):
            progress = "; ".join(progress_words(row.prompt))
            self._terminal.notice(f"* {row.number} {what}: {row.prompt.title} ({progress})", "name")
        if what := changes_of_delegations(before, row.prompt, words.now(), person):
            self._terminal.notice(f"* {row.number} {row.prompt.title}: {what}", "name")

    def _on_closed(self, closing: Closing) -> None:
        row = self._prompts.close(closing)
        self.arrived.set()
        if row is None or (closing.why == "removed" and self._delegator.take_leaving(row)):
            return
        if self.announcing and row is not self._answerer.working:
            self._terminal.notice(
                f"+ {row.number} {row.status_words(words.now())}: {row.prompt.title}", "quiet"
            )

    def _on_connection(self, connected: bool) -> None:
        if connected:
            self._terminal.notice("== connected again; what happened meanwhile follows ==", "good")
        else:
            self._terminal.notice(
                "== no connection: trying again. What is shown may be out of date; answers wait ==", "warning"
            )
