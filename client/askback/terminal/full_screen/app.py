"""The full-screen console: the queue, the selected prompt, and a pane for questions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static, TextArea

from askback._client.rule_calls import Rules
from askback._console.console import Console
from askback._console.console_prompt import ConsolePrompt
from askback._model.answers import negative_decision, values_decision
from askback._model.identity import Identity
from askback._text.text import one_line
from askback.errors import AskbackError
from askback.terminal import words
from askback.terminal.delegator import Delegator
from askback.terminal.full_screen.dead_time import DeadTime
from askback.terminal.full_screen.live_queue import LiveQueue
from askback.terminal.full_screen.menu_text import menu_text
from askback.terminal.full_screen.pane_terminal import PaneTerminal
from askback.terminal.full_screen.prompt_view import PromptView
from askback.terminal.full_screen.question_pane import QuestionPane
from askback.terminal.full_screen.queue_view import QueueView
from askback.terminal.group_answerer import GroupAnswerer
from askback.terminal.keys import (
    CONSOLE_KEYS,
    SCREEN_KEYS,
    Action,
    Key,
    decision_of,
    help_lines,
)
from askback.terminal.prompt_answerer import PromptAnswerer
from askback.terminal.prompt_list import PromptList, Row
from askback.terminal.rule_maker import RuleMaker
from askback.terminal.search import matches
from askback.terminal.verdicts import write_refusal
from askback.terminal.wizard import NotAnswered

_BY_KEY = {key.key.lower(): key for key in CONSOLE_KEYS if not key.planned}
_TICK_SECONDS = 1.0
_RELEASE_SECONDS = 2.0


class FullScreenConsole(App[AskbackError | None]):
    """The screen of one console. Its result is the error with which the server refused for good, if any."""

    CSS = """
    #banner { height: 1; padding: 0 1; text-style: bold; }
    #banner.offline { background: $warning; color: $text; }
    #middle { height: 1fr; }
    #queue { width: 2fr; min-width: 30; padding: 0 1; border-right: solid $panel; }
    #prompt { width: 3fr; padding: 0 1; }
    #pane { height: auto; max-height: 50%; border-top: solid $panel; padding: 0 1; }
    #lines { height: auto; max-height: 8; }
    #line { border: none; height: 1; padding: 0; }
    #text { height: 8; }
    #menu { height: auto; max-height: 3; padding: 0 1; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[Any] = [("ctrl+c,ctrl+q", "leave_console", "quit")]

    def __init__(
        self,
        console: Console,
        dead_time: DeadTime | None = None,
        person: Identity | None = None,
        rules: Rules | None = None,
    ) -> None:
        super().__init__()
        self._console = console
        self._person = person
        self._rules = rules
        self._prompts = PromptList()
        self._dead_time = dead_time or DeadTime()
        self._banner, self._menu = Static(id="banner", markup=False), Static(id="menu", markup=False)
        self._queue, self._view = QueueView(person), PromptView(person)
        self._pane = QuestionPane(self._dead_time, lambda: self._live.is_live, self.repaint)
        self._search = ""
        self._work: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._was_live = self._has_begun = False

    def compose(self) -> ComposeResult:
        """The banner, the queue beside the prompt, the pane and the keys."""
        yield self._banner
        with Horizontal(id="middle"):
            yield self._queue
            yield self._view
        yield self._pane
        yield self._menu

    def on_mount(self) -> None:
        """Follow the console."""
        self._terminal = PaneTerminal(self._pane)
        self._terminal.person = self._person
        self._answerer = PromptAnswerer(self._prompts, self._terminal, [])
        self._group = GroupAnswerer(self._console, self._prompts, self._terminal, self._answerer, [])
        self._delegator = Delegator(self._terminal)
        self._rule_maker = RuleMaker(self._rules, self._terminal)
        self._live = LiveQueue(
            self._console, self._prompts, self._on_change, self._terminal.notice, self._person
        )
        self._following = asyncio.create_task(self._follow())
        self.set_interval(_TICK_SECONDS, self.repaint)
        self._queue.focus()
        self.repaint()

    async def _follow(self) -> None:
        try:
            await self._live.run()
        except AskbackError as error:
            await self._leave(error)

    def _on_change(self) -> None:
        """Draw a change. Once, as soon as all is there, the most urgent prompt is selected."""
        is_live = self._live.is_live
        if is_live != self._was_live:
            self._was_live = is_live
            self._dead_time.begin()
        if is_live and not self._has_begun:
            self._has_begun = True
            self._prompts.current = next(iter(self._rows()), None)
        self.repaint()

    def _rows(self) -> list[Row[ConsolePrompt]]:
        """The rows in the queue: what is open and matches the search, and the selected one in any case."""
        current = self._prompts.current
        return [
            row
            for row in self._prompts.rows_with(current)
            if row is current or not self._search or matches(row.prompt, self._search)
        ]

    def repaint(self) -> None:
        """Draw everything that may have changed."""
        if not self.is_running or self._following is None:
            return
        self._terminal.fit()
        rows, current = self._rows(), self._prompts.current
        self._queue.show(rows, current)
        if self._view.show(current):
            self._dead_time.begin()
        self._pane.repaint()
        self._banner.update(self._banner_text(rows))
        self._banner.set_class(not self._live.is_live, "offline")
        asking = self._pane.question is not None
        similar = 0 if current is None else len(self._prompts.similar_rows(current))
        self._menu.update(menu_text(current, self._person, similar, asking=asking))

    def _banner_text(self, rows: list[Row[ConsolePrompt]]) -> Text:
        count = sum(row.closing is None for row in rows)
        found = f", with the words {one_line(self._search, 40)}" if self._search else ""
        if self._live.is_live:
            return Text(f"{count} open{found}")
        what = "reading what waits" if self._console.connected else "no connection: trying again"
        return Text(f"== {what}. {count} open as far as known; read only ==")

    async def on_key(self, event: events.Key) -> None:
        """Keys act on the selected prompt, never while a text is typed."""
        if isinstance(self.focused, Input | TextArea):
            return
        name = event.key if event.key == "enter" else (event.character or event.key)
        if name in (" ", "pagedown"):
            self._view.scroll_page_down(animate=False)
        elif name == "pageup":
            self._view.scroll_page_up(animate=False)
        elif name == "t":
            self._start(self._answerer.toggle_claim)
        elif (key := _BY_KEY.get(name)) is not None:
            await self._press(key)
        else:
            return
        event.stop()

    async def _press(self, key: Key) -> None:
        match key.action:
            case Action.QUIT:
                await self.action_leave_console()
            case Action.NEXT:
                self._move(1)
            case Action.PREVIOUS:
                self._move(-1)
            case Action.HELP:
                for line in [*help_lines(), *(f"{name:<7}{does}" for name, does in SCREEN_KEYS)]:
                    self._terminal.writer.line(f"  {line}")
            case Action.SEARCH:
                self._start(self._find, on_prompt=False)
            case Action.COMMENT:
                self._start(self._comment)
            case Action.SKIP:
                self._start(self._skip)
            case Action.AGREE:
                self._start_seen(lambda row: self._answerer.agree(row, ""))
            case Action.WITHDRAW:
                self._start(self._answerer.withdraw)
            case Action.OVERRIDE:
                self._start_seen(self._answerer.override)
            case Action.SIMILAR:
                self._start_seen(self._group.decide_similar)
            case Action.DELEGATE:
                self._start(lambda row: self._delegator.delegate(row, ""))
            case Action.RETURN:
                self._start(lambda row: self._delegator.end(row, "", confirm=True), ended=True)
            case Action.ALWAYS:
                self._start(self._rule_maker.always, ended=True)
            case action:
                self._start(lambda row: self._decide(row, action))

    def _move(self, step: int) -> None:
        if self._work is not None:
            return
        rows, current = self._rows(), self._prompts.current
        place = rows.index(current) + step if current in rows else 0
        if 0 <= place < len(rows):
            if current is not None and self._dead_time.is_over:
                self._note_seen(current)  # it may be decided with similar ones later
            self._prompts.current = rows[place]
            self._dead_time.begin()
            self.repaint()

    def _start(
        self, work: Callable[[Any], Awaitable[None]], *, on_prompt: bool = True, ended: bool = False
    ) -> None:
        """Begin work about the selected prompt, unless it is too early or other work is not done."""
        row = self._prompts.current
        if self._work is not None or (on_prompt and not self._dead_time.is_over):
            return
        if on_prompt and (row is None or (row.closing is not None and not ended)):
            self._terminal.notice("! it has ended: j goes on" if row else "! j selects a prompt", "warning")
        elif on_prompt and not self._live.is_live:
            self._terminal.notice("! no connection: read only", "warning")
        else:
            self._work = asyncio.create_task(self._do(work, row))

    async def _do(self, work: Callable[[Any], Awaitable[None]], row: Row[ConsolePrompt] | None) -> None:
        try:
            await work(row)
        except EOFError:
            pass
        except AskbackError as error:
            write_refusal(self._terminal.writer, error, words.now())
        except (LookupError, ValueError) as error:
            self._terminal.notice(f"! {error}", "warning")
        finally:
            self._work = None
            if self.is_running:
                self._queue.focus()
                self._dead_time.begin()
                self.repaint()

    async def _decide(self, row: Row[ConsolePrompt], action: Action) -> None:
        prompt = row.prompt
        decision = decision_of(action)
        if action is Action.REJECT:
            decision = negative_decision(prompt)
        elif action is Action.FILL or decision is None:
            decision = values_decision(prompt)
        self._note_seen(row)
        left = await self._answerer.decide(row, decision, "", named=False)
        if isinstance(left, NotAnswered) and left.action is Action.SKIP:
            await self._skip(row)

    def _start_seen(self, work: Callable[[Row[ConsolePrompt]], Awaitable[None]]) -> None:
        """Begin work about what the person sees of the selected prompt."""

        async def start(row: Row[ConsolePrompt]) -> None:
            self._note_seen(row)
            await work(row)

        self._start(start)

    def _note_seen(self, row: Row[ConsolePrompt]) -> None:
        row.seen, row.unseen = row.prompt, self._view.unseen()

    async def _comment(self, row: Row[ConsolePrompt]) -> None:
        text = (await self._terminal.ask("Comment: ")).strip()
        self._answerer.take_comment(row, text)
        self._terminal.notice("  the next decision carries it" if text else "  no comment", "quiet")

    async def _skip(self, row: Row[ConsolePrompt]) -> None:
        """Hide a prompt and go on to the next: the person asks for both."""
        rows = self._rows()
        place = rows.index(row)
        others = rows[place + 1 :] or rows[:place][-1:]
        row.skipped = True
        self._prompts.current = others[0] if others else None
        if row.prompt.prompt_id in self._answerer.claimed:
            self._answerer.claimed.discard(row.prompt.prompt_id)
            await row.prompt.release()

    async def _find(self, row: object) -> None:
        self._search = (await self._terminal.ask("Find (Enter for all): ")).strip()

    async def action_leave_console(self) -> None:
        """Leave, on q or Ctrl-C."""
        await self._leave(None)

    async def _leave(self, error: AskbackError | None) -> None:
        """End what runs before the screen does: a task that outlives it would draw on nothing."""
        for task in (self._following, self._work):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        with suppress(TimeoutError):
            if self._console.connected:
                await asyncio.wait_for(self._answerer.release_all(), _RELEASE_SECONDS)
        self.exit(error)
