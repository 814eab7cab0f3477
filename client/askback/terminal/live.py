"""The live console: prompts appear as they arrive, and commands are lines."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from functools import partial

from askback._client.rule_calls import Rules
from askback._console.console import Console
from askback._console.console_prompt import ConsolePrompt
from askback._model.answers import negative_decision, values_decision
from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo
from askback.errors import AskbackError
from askback.terminal import words
from askback.terminal.delegator import Delegator
from askback.terminal.group_answerer import GroupAnswerer
from askback.terminal.keys import CONSOLE_KEYS, Action, help_lines
from askback.terminal.live_help import HELP
from askback.terminal.live_notices import LiveNotices
from askback.terminal.pages import show_prompt
from askback.terminal.prompt_answerer import PromptAnswerer
from askback.terminal.prompt_form import form_of
from askback.terminal.prompt_list import Ended, PromptList, Row
from askback.terminal.prompt_table import fit_screen
from askback.terminal.prompt_text import write_prompt
from askback.terminal.rule_maker import RuleMaker
from askback.terminal.search import matches, write_found
from askback.terminal.terminal import Terminal
from askback.terminal.verdicts import write_refusal
from askback.terminal.wizard import NotAnswered
from askback.v1 import hitl_service_pb2 as pb

_LOCAL = ("list", "ls", "wait", "help", "?", "j", "k", "c", "comment", "")


class LiveConsole:
    """A console on a terminal for a person, or on a pipe for a script.

    When a prompt ends or changes while it is being answered, nothing that was typed is sent, and lines are
    discarded until an empty one confirms that the person has seen it. The input is offered again.
    """

    def __init__(
        self, console: Console, terminal: Terminal, rules: Rules | None = None, *, bell: bool = False
    ) -> None:
        self._console = console
        self._terminal = terminal
        self._writer = terminal.writer
        self._prompts = PromptList()
        self.errors: list[AskbackError | LookupError | ValueError] = []
        """The errors so far; the first one becomes a script's exit code."""
        self._answerer = PromptAnswerer(self._prompts, terminal, self.errors)
        self._group = GroupAnswerer(
            console, self._prompts, terminal, self._answerer, self.errors, partial(show_prompt, terminal)
        )
        self._delegator = Delegator(terminal)
        self._rule_maker = RuleMaker(rules, terminal)
        self._notices = LiveNotices(
            console, terminal, self._prompts, self._answerer, self._delegator, bell=bell
        )
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "list": self._list,
            "ls": self._list,
            "show": self._show,
            "answer": self._answer,
            "claim": self._claim,
            "release": self._release,
            "wait": self._wait,
            "also": partial(self._delegate, add=True),
            "": self._fill,
            "/": self._search,
            **self._key_commands(),
        }

    def _key_commands(self) -> dict[str, Callable[[str], Awaitable[None]]]:
        """The commands for the keys, each also under its word."""
        other: dict[Action, Callable[[str], Awaitable[None]]] = {
            Action.COMMENT: self._comment,
            Action.SKIP: self._skip,
            Action.HELP: self._help,
            Action.AGREE: self._agree,
            Action.WITHDRAW: lambda rest: self._answerer.withdraw(self._find_open(rest)),
            Action.OVERRIDE: lambda rest: self._answerer.override(self._find_open(rest)),
            Action.SIMILAR: lambda rest: self._group.decide_similar(self._find_open(rest)),
            Action.DELEGATE: self._delegate,
            Action.RETURN: self._return,
            Action.ALWAYS: lambda rest: self._rule_maker.always(self._prompts.find(rest)),
            Action.NEXT: lambda rest: self._move(1),
            Action.PREVIOUS: lambda rest: self._move(-1),
        }
        found: dict[str, Callable[[str], Awaitable[None]]] = {}
        does: Callable[[str], Awaitable[None]]
        for key in CONSOLE_KEYS:
            if key.decision is not None and key.action is not Action.FILL:
                which = negative_decision if key.action is Action.REJECT else partial(_always, key.decision)
                does = partial(self._decide, which=which)
            elif key.action in other:
                does = other[key.action]
            else:
                continue
            found |= {key.key: does, str(key.action): does}
        return found

    async def run(self) -> None:
        """Run until `quit` or the end of the input. Raises AskbackError when the server refuses for good."""
        notices = asyncio.create_task(self._notices.run())
        commands = asyncio.create_task(self._run_commands())
        try:
            await asyncio.wait((notices, commands), return_when=asyncio.FIRST_COMPLETED)
            for task in (notices, commands):
                if task.done():
                    task.result()
        finally:
            notices.cancel()
            commands.cancel()
            await asyncio.gather(notices, commands, return_exceptions=True)
            await self._release_all()

    async def _run_commands(self) -> None:
        await self._console.caught_up.wait()
        while not self._prompts.holds(self._console.open_ids):
            self._notices.arrived.clear()
            await self._notices.arrived.wait()
        await self._list("")
        self._notices.announcing = True
        while True:
            try:
                line = (await self._terminal.ask("askback> ", recall=True)).strip()
            except EOFError:
                return
            if "\n" in line:
                self._report(ValueError("one command at a time: nothing of this paste was done"))
                continue
            verb, _, rest = line.partition(" ")
            if verb in ("quit", "exit", "q"):
                return
            if line.startswith("/"):
                verb, rest = "/", line[1:]
            elif verb.isascii() and verb.isdecimal():
                verb, rest = "show", line  # only the number of a row
            command = self._commands.get(verb)
            if command is None:
                self._report(LookupError(f"{verb!r} is no command; `help` lists them"))
                continue
            if not self._console.connected and verb not in _LOCAL:
                self._writer.line("no connection now; what needs the server waits for it", "warning")
            try:
                await command(rest.strip())
            except EOFError:
                return
            except (AskbackError, LookupError, ValueError) as error:
                self._report(error)

    def _report(self, error: AskbackError | LookupError | ValueError) -> None:
        self.errors.append(error)
        if isinstance(error, AskbackError):
            write_refusal(self._writer, error, words.now())
        else:
            self._writer.wrap(f"! {error.args[0] if error.args else error}", "error", "  ")

    async def _help(self, rest: str) -> None:
        self._writer.raw(f"{HELP}\n")  # trusted text: `block` would replace the runs of spaces
        for line in help_lines():
            self._writer.line(f"  {line}")

    async def _list(self, rest: str) -> None:
        rows = self._prompts.open_rows()
        self._writer.line(f"{len(rows)} open" if rows else "nothing is open")
        if not rows:
            return
        size = shutil.get_terminal_size() if self._terminal.lines.is_terminal else (0, 0)
        if rest.strip() == "--all":
            size = (size[0], 0)
        text = fit_screen(
            [row.prompt for row in rows],
            words.now(),
            [row.number for row in rows],
            size,
            person=self._terminal.person,
        )
        self._writer.raw("".join(f"{line}\n" for line in text))

    async def _wait(self, rest: str) -> None:
        while not self._prompts.open_rows():
            self._notices.arrived.clear()
            await self._notices.arrived.wait()
        await self._list("")

    async def _show(self, rest: str) -> None:
        word, _, option = rest.partition(" ")
        row = self._prompts.find(word)
        if row.closing is None:
            self._prompts.current = row
            keys = self._terminal.has_keys
            await show_prompt(self._terminal, row, full=option.strip() == "--full", asking=keys)
            if keys:
                self._answerer.write_menu(row)
            return
        request = pb.GetPromptRequest(prompt_id=row.prompt.prompt_id)
        reply: pb.GetPromptResponse = await self._console.request(get_prompt=request)
        write_prompt(self._writer, PromptInfo(reply.prompt), words.now(), full=option.strip() == "--full")
        self._prompts.current = row

    async def _answer(self, rest: str) -> None:
        word, _, given = rest.partition(" ")
        row = self._find_open(word)
        await self._follow_up(row, await self._answerer.answer(row, given.strip()))

    async def _fill(self, rest: str) -> None:
        """An empty line starts the form of the current prompt if the person has seen it; else nothing."""
        row = self._prompts.current
        if (
            row is None
            or row.closing is not None
            or not row.has_shown(row.prompt)
            or form_of(row.prompt) is None
        ):
            return
        await self._follow_up(
            row, await self._answerer.decide(row, values_decision(row.prompt), "", named=False)
        )

    async def _decide(self, rest: str, which: Callable[[PromptInfo], DecisionKind]) -> None:
        word, _, comment = rest.partition(" ")
        if "," in word:
            if word.endswith(","):
                raise ValueError("name them without spaces: 1,4,7")
            rows = dict.fromkeys(map(self._find_open, filter(None, word.split(","))))
            await self._group.decide([*rows], which, comment.strip())
            return
        row = self._find_open(word)
        decision = which(row.prompt)
        left = await self._answerer.decide(row, decision, comment.strip(), named=bool(word))
        await self._follow_up(row, left)

    async def _follow_up(self, row: Row[ConsolePrompt], left: NotAnswered | None) -> None:
        """Do what the person wants instead of answering."""
        if left is not None and left.action is Action.SKIP:
            await self._skip(str(row.number))

    async def _agree(self, rest: str) -> None:
        word, _, name = rest.partition(" ")
        await self._answerer.agree(self._find_open(word), name.strip())

    async def _delegate(self, rest: str, *, add: bool = False) -> None:
        word, _, given = rest.partition(" ")
        await self._delegator.delegate(self._find_open(word), given.strip(), add=add)

    async def _return(self, rest: str) -> None:
        word, _, name = rest.partition(" ")
        await self._delegator.end(self._prompts.find(word), name.strip(), confirm=not word)

    async def _comment(self, rest: str) -> None:
        row = self._find_open("")
        text = rest or (await self._terminal.ask("Comment: ")).strip()
        self._answerer.take_comment(row, text)
        self._writer.line(
            f"the next decision about {row.number} carries it" if text else "no comment", "quiet"
        )

    async def _move(self, step: int) -> None:
        """Show the next or the previous prompt."""
        rows = self._prompts.open_rows()
        at = (
            rows.index(self._prompts.current)
            if self._prompts.current in rows
            else -1
            if step > 0
            else len(rows)
        )
        if not 0 <= at + step < len(rows):
            raise LookupError("there is none " + ("after this one" if step > 0 else "before this one"))
        await self._show(str(rows[at + step].number))

    async def _search(self, text: str) -> None:
        """List the prompts that have these words; show the prompt if there is only one."""
        rows = [row for row in self._prompts.open_rows() if matches(row.prompt, text)]
        if not text or not rows:
            raise LookupError(f"none has the words {text!r}" if text else "say what to find: /refund")
        write_found(self._writer, rows)
        if len(rows) == 1:
            await self._show(str(rows[0].number))

    async def _claim(self, rest: str) -> None:
        row = self._find_open(rest)
        await row.prompt.claim()
        self._answerer.claimed.add(row.prompt.prompt_id)
        self._writer.line(f"{row.number} is yours, for 10 minutes or until you leave", "good")

    async def _release(self, rest: str) -> None:
        row = self._find_open(rest)
        await row.prompt.release()
        self._answerer.claimed.discard(row.prompt.prompt_id)
        self._writer.line(f"{row.number} is not claimed any more")

    async def _skip(self, rest: str) -> None:
        row = self._find_open(rest)
        row.skipped = True
        if row.prompt.prompt_id in self._answerer.claimed:
            await self._release(str(row.number))
        self._writer.line(f"{row.number} is left to others", "quiet")

    async def _release_all(self) -> None:
        if self._answerer.claimed and self._console.connected:
            releasing = asyncio.ensure_future(self._answerer.release_all())
            await asyncio.wait((releasing,), timeout=2.0)

    def _find_open(self, word: str) -> Row[ConsolePrompt]:
        row = self._prompts.find(word)
        if row.closing is not None:
            raise Ended(f"{row.number} {row.status_words(words.now())}")
        return row


def _always(decision: DecisionKind, prompt: PromptInfo) -> DecisionKind:
    return decision
