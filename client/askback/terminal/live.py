"""The live console: prompts appear as they come, and commands are lines."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

from askback.answers import giving_values, saying_no
from askback.console import Console
from askback.console_prompt import ConsolePrompt
from askback.desk import Closing
from askback.enums import DecisionKind
from askback.errors import AskbackError
from askback.prompts import AnswerOutcome, PromptInfo
from askback.terminal import words
from askback.terminal.asking import NO_UNLESS_YES, pick, unseen_is_meant
from askback.terminal.board import Board, Ended, Row
from askback.terminal.draft import Typed
from askback.terminal.following import tell_moved
from askback.terminal.guard import Guarded, Moved
from askback.terminal.pages import show_prompt
from askback.terminal.queue import screen
from askback.terminal.sheet import write_sheet
from askback.terminal.terminal import Terminal
from askback.terminal.typed import typed_values
from askback.terminal.verdicts import taken, tell
from askback.terminal.wizard import CARRIES_VALUES, by_console, settle
from askback.v1 import hitl_service_pb2 as pb

HELP = """\
list [--all]                 what is open, the most urgent first; --all when they do not fit the screen
show [N] [--full]            read a prompt; it becomes the one that commands without N mean
answer [N]                   decide, and fill in its form field by field
answer N field=value ...     give the values at once
approve [N] [comment]        say yes; a prompt that you have not read is shown first
reject [N] [comment]         say no
claim [N], release [N]       take it on, so that nobody else answers it meanwhile; give it back
skip [N]                     leave it to others: it is not listed any more
wait                         wait until something is open
help, quit                   Ctrl-D leaves a question, Ctrl-C ends the console"""


_LOCAL = ("list", "ls", "wait", "help", "?")


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
        self._working: Row[ConsolePrompt] | None = None
        self._claimed: set[str] = set()
        self._typed: dict[tuple[str, str], Typed] = {}
        self.errors: list[AskbackError | LookupError | ValueError] = []
        """What was refused so far: a script's exit code is made of it."""
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "list": self._list, "ls": self._list, "show": self._show, "answer": self._answer,
            "approve": self._approve, "reject": self._reject, "claim": self._claim,
            "release": self._release, "skip": self._skip, "wait": self._wait, "help": self._help,
            "?": self._help,
        }  # fmt: skip

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
            if what == "claimed" and row is self._working:
                who = words.claim(prompt, words.now())
                self._terminal.notice(f"* {who} has taken {row.number} on" if who else "* it was given back")
            if what in ("same", "claimed") or row.skipped or not self._listed or row is self._working:
                continue
            left = words.left(prompt, words.now())
            time = "" if left == "-" else f" ({left} left)"
            self._terminal.notice(f"* {row.number} {what}: [{prompt.kind}] {prompt.title}{time}", "name")
            if self._bell and what != "changed":
                self._paper.bell()

    def _closed(self, closing: Closing) -> None:
        row = self._board.close(closing)
        self._arrived.set()
        if row is not None and self._listed and row is not self._working:
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
                line = (await self._terminal.ask("askback> ")).strip()
            except EOFError:
                return
            if "\n" in line:
                self._refused(ValueError("one command at a time: nothing of this paste was done"))
                continue
            verb, _, rest = line.partition(" ")
            if verb in ("quit", "exit", "q"):
                return
            command = self._commands.get(verb)
            if command is None:
                if verb:
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
        self._paper.block(HELP)

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
            await show_prompt(self._terminal, row, full=option.strip() == "--full")
            return
        request = pb.GetPromptRequest(prompt_id=row.prompt.prompt_id)
        reply: pb.GetPromptResponse = await self._desk.request(get_prompt=request)
        write_sheet(self._paper, PromptInfo(reply.prompt), words.now(), full=option.strip() == "--full")
        self._board.current = row

    async def _answer(self, rest: str) -> None:
        word, _, given = rest.partition(" ")
        row = self._open(word)
        self._board.current = row
        prompt = row.prompt
        if given.strip():
            values = typed_values(prompt, shlex.split(given))
            await self._work(row, lambda guarded: self._once(row, guarded, giving_values(prompt), values, ""))
            return
        typed = self._typed_for(row)

        async def fill_in(guarded: Guarded) -> AnswerOutcome | None:
            if row.seen != prompt.revision:
                await show_prompt(self._terminal, row, guarded)
            return await settle(prompt, guarded, by_console(prompt), typed=typed, unseen=row.unseen)

        await self._work(row, fill_in)

    def _typed_for(self, row: Row[ConsolePrompt]) -> Typed:
        """What was typed for this question, under its key: offered again when it is asked again."""
        return self._typed.setdefault((row.prompt.job_id, row.prompt.key), Typed())

    async def _approve(self, rest: str) -> None:
        word, _, comment = rest.partition(" ")
        await self._say(self._open(word), DecisionKind.ACCEPT, comment.strip())

    async def _reject(self, rest: str) -> None:
        word, _, comment = rest.partition(" ")
        row = self._open(word)
        await self._say(row, saying_no(row.prompt), comment.strip())

    async def _say(self, row: Row[ConsolePrompt], decision: DecisionKind, comment: str) -> None:
        offered = [option.decision for option in row.prompt.decisions]
        if decision not in offered:
            raise ValueError(f"{row.number} offers {', '.join(offered)}; use `answer {row.number}`")
        await self._work(row, lambda guarded: self._once(row, guarded, decision, None, comment))

    async def _once(
        self, row: Row[ConsolePrompt], guarded: Guarded, decision: DecisionKind, values: Any, comment: str
    ) -> AnswerOutcome | None:
        """One decision without a form; a prompt that the person has not read is shown first."""
        prompt = row.prompt
        option = next((o for o in prompt.decisions if o.decision is decision), None)
        if row.seen != prompt.revision:
            await show_prompt(self._terminal, row, guarded)
            question = f"{option.label if option else decision}? [y/N] "
            if not await pick(guarded, question, NO_UNLESS_YES):
                return None
        if decision in CARRIES_VALUES and not await unseen_is_meant(guarded, row.unseen):
            return None
        while option and option.comment_required and not comment:
            comment = (await guarded.ask("Comment: ")).strip()
        guarded.check()
        return await prompt.decide(decision, values=values, comment=comment)

    async def _work(
        self, row: Row[ConsolePrompt], work: Callable[[Guarded], Awaitable[AnswerOutcome | None]]
    ) -> None:
        """Let the person work on one prompt, and tell what became of it."""
        self._board.current = self._working = row
        try:
            outcome = await work(Guarded(self._terminal, row))
        except Moved:
            await self._tell_moved(row)
            return
        except EOFError:
            outcome = None
        finally:
            self._working = None
        if outcome is None:
            self._paper.line(f"{row.number} is left as it is", "quiet")
        else:
            self._claimed.discard(row.prompt.prompt_id)
            self._typed.pop((row.prompt.job_id, row.prompt.key), None)
            self._paper.line(taken(outcome), "good")

    async def _tell_moved(self, row: Row[ConsolePrompt]) -> None:
        """Say what happened under the person's hands, and let nothing that was typed go on from here."""
        how = f"{row.number} {row.epitaph(words.now())}"
        self.errors.append(Ended(how))
        await tell_moved(self._terminal, f"{how}: {row.prompt.title}", row.prompt, self._typed_for(row))
        if row.closing is None:
            self._paper.line(f"  `answer {row.number}` offers it again", "quiet")

    async def _claim(self, rest: str) -> None:
        row = self._open(rest)
        await row.prompt.claim()
        self._claimed.add(row.prompt.prompt_id)
        self._paper.line(f"{row.number} is yours, for 10 minutes or until you leave", "good")

    async def _release(self, rest: str) -> None:
        row = self._open(rest)
        await row.prompt.release()
        self._claimed.discard(row.prompt.prompt_id)
        self._paper.line(f"{row.number} is nobody's now")

    async def _skip(self, rest: str) -> None:
        row = self._open(rest)
        row.skipped = True
        if row.prompt.prompt_id in self._claimed:
            await self._release(str(row.number))
        self._paper.line(f"{row.number} is left to others", "quiet")

    async def _release_all(self) -> None:
        """Give every claim of this console back; a server that does not answer ends them by time."""
        prompts = [row.prompt for row in self._board.open_rows() if row.prompt.prompt_id in self._claimed]
        if prompts and self._desk.connected:
            giving = asyncio.gather(*(prompt.release() for prompt in prompts), return_exceptions=True)
            await asyncio.wait((giving,), timeout=2.0)

    def _open(self, word: str) -> Row[ConsolePrompt]:
        row = self._board.find(word)
        if row.closing is not None:
            raise Ended(f"{row.number} {row.epitaph(words.now())}")
        return row
