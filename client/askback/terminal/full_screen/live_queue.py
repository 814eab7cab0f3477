"""Stores what the server sends in the list of prompts, and counts what happened without a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from askback._console.console import Console
from askback._console.console_view import Closing
from askback._model.identity import Identity
from askback._model.prompts import PromptInfo
from askback.terminal import words
from askback.terminal.delegation_words import changes_of_delegations, delegation_of, reason_words
from askback.terminal.prompt_list import PromptList
from askback.terminal.vote_words import changes_of_votes, progress_words


@dataclass(slots=True)
class Away:
    """What happened while the connection was lost."""

    ended: int = 0
    added: int = 0


class LiveQueue:
    """Follows a console. `changed` is called after each change, `notice` with what a person should read."""

    def __init__(
        self,
        console: Console,
        prompts: PromptList,
        changed: Callable[[], None],
        notice: Callable[[str, str], None],
        person: Identity | None = None,
    ) -> None:
        self._person = person
        self._console = console
        self._prompts = prompts
        self._changed = changed
        self._notice = notice
        self._arrived = asyncio.Event()
        self._away: Away | None = None
        self._is_complete = False

    @property
    def is_live(self) -> bool:
        """Whether the stream is open and the list is complete: decisions wait for both."""
        return self._console.connected and self._is_complete

    async def run(self) -> None:
        """Follow until the console ends. Raises AskbackError when the server refuses for good."""
        unsubscribe = [
            self._console.on_closed(self._on_closed),
            self._console.on_connection(self._on_connection),
        ]
        completing = asyncio.create_task(self._complete())
        try:
            await self._follow()
        finally:
            completing.cancel()
            for end in unsubscribe:
                end()

    async def _follow(self) -> None:
        async for prompt in self._console.prompts():
            row, what = self._prompts.put(prompt)
            if what == "new" and self._away is not None:
                self._away.added += 1
            elif what in ("reminded", "escalated"):
                self._notice(f"* {what}: [{prompt.kind}] {prompt.title}", "name")
            elif what == "new" and (mine := delegation_of(prompt, self._person)) is not None:
                self._notice(f"* {prompt.title}: {reason_words(mine, words.now())}", "name")
            elif what == "voted":
                self._tell_of_changes(row.before or prompt, prompt)
            self._arrived.set()
            self._changed()

    def _tell_of_changes(self, before: PromptInfo, prompt: PromptInfo) -> None:
        """Say what other people did to a prompt."""
        if done := changes_of_votes(before, prompt, self._person):
            self._notice(f"* {done}: {prompt.title} ({'; '.join(progress_words(prompt))})", "name")
        if done := changes_of_delegations(before, prompt, words.now(), self._person):
            self._notice(f"* {prompt.title}: {done}", "name")

    async def _complete(self) -> None:
        """Wait until the list has every open prompt, after the start and after each reconnect."""
        while True:
            await self._console.caught_up.wait()
            while not self._prompts.holds(self._console.open_ids):
                self._arrived.clear()
                await self._arrived.wait()
            self._is_complete = True
            if self._away is not None:
                away, self._away = self._away, None
                self._notice(f"== connected again: {away.ended} ended, {away.added} new meanwhile ==", "good")
            self._changed()
            self._arrived.clear()
            while self._is_complete:
                self._arrived.clear()
                await self._arrived.wait()

    def _on_closed(self, closing: Closing) -> None:
        if self._prompts.close(closing) is not None and self._away is not None:
            self._away.ended += 1
        self._arrived.set()
        self._changed()

    def _on_connection(self, connected: bool) -> None:
        if not connected:
            self._away = self._away or Away()
            self._is_complete = False
        self._arrived.set()
        self._changed()
