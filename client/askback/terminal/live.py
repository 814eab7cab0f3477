"""The live console: prompts appear as they come, and commands are lines."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from functools import partial

from askback._console.console import Console
from askback._console.console_prompt import ConsolePrompt
from askback._console.desk import Closing
from askback._model.answers import giving_values, saying_no
from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo
from askback.errors import AskbackError
from askback.terminal import words
from askback.terminal.answering import Answering
from askback.terminal.board import Board, Ended, Row
from askback.terminal.fields import entries
from askback.terminal.finding import matches
from askback.terminal.keys import KEYS, Action, help_lines
from askback.terminal.pages import show_prompt
from askback.terminal.queue import screen
from askback.terminal.sheet import write_sheet
from askback.terminal.terminal import Terminal
from askback.terminal.verdicts import tell
from askback.terminal.wizard import Left
from askback.v1 import hitl_service_pb2 as pb

HELP = """\
list [--all]                 what is open, the most urgent first; --all when they do not fit the screen
N, show N [--full]            show a prompt and make it the current one
answer [N]                   decide, and fill in its form field by field
answer N field=value ...     give the values at once
approve [N] [comment]        say yes; a prompt that you have not read is shown first
reject [N] [comment]         say no
claim [N], release [N]       mark it as yours, so that others cannot answer it; release it
skip [N]                     leave it to others and hide it
wait                         wait until something is open
help, quit                   Ctrl-D leaves a question, Ctrl-C ends the console

Keys, each with Enter, about the prompt that you look at:"""

_LOCAL = ("list", "ls", "wait", "help", "?", "j", "k", "c", "comment", "")
_MOST_FOUND = 20
"""So many prompts of a search are listed."""


class LiveConsole:
    """One person's console on a terminal, or a script's on a pipe.

    When a prompt ends or changes while it is being answered, what was typed goes nowhere, and lines are
    thrown away until an empty one says that the person has seen it. It is offered again.
    """

    def __init__(self, desk: Console, terminal: Terminal, *, bell: bool = False) -> None:
        self._desk = desk
        self._terminal = terminal
        self._paper = terminal.paper
        self._bell = bell
        self._board = Board()
        self._arrived = asyncio.Event()
        self._listed = False
        self.errors: list[AskbackError | LookupError | ValueError] = []
        """What was refused so far: a script's exit code is made of it."""
        self._answering = Answering(self._board, terminal, self.errors)
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "list": self._list,
            "ls": self._list,
            "show": self._show,
            "answer": self._answer,
            "claim": self._claim,
            "release": self._release,
            "wait": self._wait,
            "": self._fill,
            "/": self._search,
            **self._by_key(),
        }

    def _by_key(self) -> dict[str, Callable[[str], Awaitable[None]]]:
        """What the keys do here, each also by its word."""
        other: dict[Action, Callable[[str], Awaitable[None]]] = {
            Action.COMMENT: self._comment,
            Action.SKIP: self._skip,
            Action.HELP: self._help,
            Action.NEXT: lambda rest: self._move(1),
            Action.PREVIOUS: lambda rest: self._move(-1),
        }
        found: dict[str, Callable[[str], Awaitable[None]]] = {}
        does: Callable[[str], Awaitable[None]]
        for key in KEYS:
            if key.decision is not None and key.action is not Action.FILL:
                which = saying_no if key.action is Action.REJECT else partial(_always, key.decision)
                does = partial(self._decide, which=which)
            elif key.action in other:
                does = other[key.action]
            else:
                continue
            found |= {key.key: does, str(key.action): does}
        return found

    async def run(self) -> None:
        """Until `quit` or the end of the input. Raises AskbackError when the server refuses for good."""
        ends = [self._desk.on_closed(self._closed), self._desk.on_connection(self._connection)]
        following = asyncio.create_task(self._follow())
        talking = asyncio.create_task(self._talk())
        try:
            await asyncio.wait((following, talking), return_when=asyncio.FIRST_COMPLETED)
            for task in (following, talking):
                if task.done():
                    task.result()
        finally:
            for end in ends:
                end()
            following.cancel()
            talking.cancel()
            await asyncio.gather(following, talking, return_exceptions=True)
            await self._release_all()

    async def _follow(self) -> None:
        async for prompt in self._desk.prompts():
            row, what = self._board.put(prompt)
            self._arrived.set()
            if what == "claimed" and row is self._answering.working:
                who = words.claim(prompt, words.now())
                self._terminal.notice(f"* {who} has taken {row.number} on" if who else "* it was given back")
            if (
                what in ("same", "claimed")
                or row.skipped
                or not self._listed
                or row is self._answering.working
            ):
                continue
            left = words.left(prompt, words.now())
            time = "" if left == "-" else f" ({left} left)"
            self._terminal.notice(f"* {row.number} {what}: [{prompt.kind}] {prompt.title}{time}", "name")
            if self._bell and what != "changed":
                self._paper.bell()

    def _closed(self, closing: Closing) -> None:
        row = self._board.close(closing)
        self._arrived.set()
        if row is not None and self._listed and row is not self._answering.working:
            self._terminal.notice(f"+ {row.number} {row.epitaph(words.now())}: {row.prompt.title}", "quiet")

    def _connection(self, connected: bool) -> None:
        if connected:
            self._terminal.notice("== connected again; what happened meanwhile follows ==", "good")
        else:
            self._terminal.notice(
                "== no connection: trying again. What is shown may be out of date; answers wait ==", "warning"
            )

    async def _talk(self) -> None:
        await self._desk.caught_up.wait()
        while not self._board.holds(self._desk.open_ids):
            self._arrived.clear()
            await self._arrived.wait()
        await self._list("")
        self._listed = True
        while True:
            try:
                line = (await self._terminal.ask("askback> ", recall=True)).strip()
            except EOFError:
                return
            if "\n" in line:
                self._refused(ValueError("one command at a time: nothing of this paste was done"))
                continue
            verb, _, rest = line.partition(" ")
            if verb in ("quit", "exit", "q"):
                return
            if line.startswith("/"):
                verb, rest = "/", line[1:]
            elif verb.isascii() and verb.isdecimal():
                verb, rest = "show", line  # the number of a row alone
            command = self._commands.get(verb)
            if command is None:
                self._refused(LookupError(f"{verb!r} is no command; `help` lists them"))
                continue
            if not self._desk.connected and verb not in _LOCAL:
                self._paper.line("no connection now; what needs the server waits for it", "warning")
            try:
                await command(rest.strip())
            except EOFError:
                return
            except (AskbackError, LookupError, ValueError) as error:
                self._refused(error)

    def _refused(self, error: AskbackError | LookupError | ValueError) -> None:
        self.errors.append(error)
        if isinstance(error, AskbackError):
            tell(self._paper, error, words.now())
        else:
            self._paper.line(f"! {error.args[0] if error.args else error}", "error")

    async def _help(self, rest: str) -> None:
        self._paper.raw(f"{HELP}\n")  # our own words: `block` would count the spaces in them
        for line in help_lines():
            self._paper.line(f"  {line}")

    async def _list(self, rest: str) -> None:
        rows = self._board.open_rows()
        self._paper.line(f"{len(rows)} open" if rows else "nothing is open")
        if not rows:
            return
        size = shutil.get_terminal_size() if self._terminal.lines.is_terminal else (0, 0)
        if rest.strip() == "--all":
            size = (size[0], 0)
        text = screen([row.prompt for row in rows], words.now(), [row.number for row in rows], size)
        self._paper.raw("".join(f"{line}\n" for line in text))

    async def _wait(self, rest: str) -> None:
        while not self._board.open_rows():
            self._arrived.clear()
            await self._arrived.wait()
        await self._list("")

    async def _show(self, rest: str) -> None:
        word, _, option = rest.partition(" ")
        row = self._board.find(word)
        if row.closing is None:
            self._board.current = row
            keys = self._terminal.has_keys
            await show_prompt(self._terminal, row, full=option.strip() == "--full", asking=keys)
            if keys:
                self._answering.write_menu(row)
            return
        request = pb.GetPromptRequest(prompt_id=row.prompt.prompt_id)
        reply: pb.GetPromptResponse = await self._desk.request(get_prompt=request)
        write_sheet(self._paper, PromptInfo(reply.prompt), words.now(), full=option.strip() == "--full")
        self._board.current = row

    async def _answer(self, rest: str) -> None:
        word, _, given = rest.partition(" ")
        row = self._open(word)
        await self._left(row, await self._answering.answer(row, given.strip()))

    async def _fill(self, rest: str) -> None:
        """An empty line fills in the form of the prompt that the person looks at, and decides nothing."""
        row = self._board.current
        if (
            row is None
            or row.closing is not None
            or row.seen != row.prompt.revision
            or not entries(row.prompt)
        ):
            return
        await self._left(row, await self._answering.decide(row, giving_values(row.prompt), "", named=False))

    async def _decide(self, rest: str, which: Callable[[PromptInfo], DecisionKind]) -> None:
        word, _, comment = rest.partition(" ")
        row = self._open(word)
        decision = which(row.prompt)
        left = await self._answering.decide(row, decision, comment.strip(), named=bool(word))
        await self._left(row, left)

    async def _left(self, row: Row[ConsolePrompt], left: Left | None) -> None:
        """Do what the person wants instead of an answer."""
        if left is not None and left.action is Action.SKIP:
            await self._skip(str(row.number))

    async def _comment(self, rest: str) -> None:
        row = self._open("")
        text = rest or (await self._terminal.ask("Comment: ")).strip()
        self._answering.take_comment(row, text)
        self._paper.line(
            f"the next decision about {row.number} carries it" if text else "no comment", "quiet"
        )

    async def _move(self, step: int) -> None:
        """Look at the next or the previous one."""
        rows = self._board.open_rows()
        at = rows.index(self._board.current) if self._board.current in rows else -1 if step > 0 else len(rows)
        if not 0 <= at + step < len(rows):
            raise LookupError("there is none " + ("after this one" if step > 0 else "before this one"))
        await self._show(str(rows[at + step].number))

    async def _search(self, text: str) -> None:
        """List what has these words; the only one is shown."""
        rows = [row for row in self._board.open_rows() if matches(row.prompt, text)]
        if not text or not rows:
            raise LookupError(f"none has the words {text!r}" if text else "say what to find: /refund")
        for row in rows[:_MOST_FOUND]:
            self._paper.line(f"{row.number:>4}  [{row.prompt.kind}] {row.prompt.title}")
        if len(rows) > _MOST_FOUND:
            self._paper.line(f"      and {len(rows) - _MOST_FOUND} more", "quiet")
        if len(rows) == 1:
            await self._show(str(rows[0].number))

    async def _claim(self, rest: str) -> None:
        row = self._open(rest)
        await row.prompt.claim()
        self._answering.claimed.add(row.prompt.prompt_id)
        self._paper.line(f"{row.number} is yours, for 10 minutes or until you leave", "good")

    async def _release(self, rest: str) -> None:
        row = self._open(rest)
        await row.prompt.release()
        self._answering.claimed.discard(row.prompt.prompt_id)
        self._paper.line(f"{row.number} is not claimed any more")

    async def _skip(self, rest: str) -> None:
        row = self._open(rest)
        row.skipped = True
        if row.prompt.prompt_id in self._answering.claimed:
            await self._release(str(row.number))
        self._paper.line(f"{row.number} is left to others", "quiet")

    async def _release_all(self) -> None:
        """Give every claim of this console back; a server that does not answer ends them by time."""
        prompts = [
            row.prompt for row in self._board.open_rows() if row.prompt.prompt_id in self._answering.claimed
        ]
        if prompts and self._desk.connected:
            giving = asyncio.gather(*(prompt.release() for prompt in prompts), return_exceptions=True)
            await asyncio.wait((giving,), timeout=2.0)

    def _open(self, word: str) -> Row[ConsolePrompt]:
        row = self._board.find(word)
        if row.closing is not None:
            raise Ended(f"{row.number} {row.epitaph(words.now())}")
        return row


def _always(decision: DecisionKind, prompt: PromptInfo) -> DecisionKind:
    return decision
